"""Times of requests from logs of many kinds; the lines are those of the makers' own documentation."""

import gzip
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.planning import access_log
from sunup.local.planning.traffic import CRAWLER, DAY, VISIT

# Apache HTTP Server 2.4, "Log Files"; nginx, ngx_http_log_module; AWS, "Access logs for your
# Application Load Balancer", "CloudFront standard log file format", API Gateway's $context.
APACHE = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
ALB = (
    "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 "
    '10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0"'
)
CLOUDFRONT = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200"
GATEWAY = '{"requestId":"JKJaXmPLvHcESHA=","ip":"192.0.2.1","requestTime":"07/Aug/2026:09:20:11 +0000","status":"200"}'
SUNUP = (
    '{"timestamp": "2026-11-23T06:40:07.720+00:00", "level": "INFO", "message": "GET /users 200"}'
)
EPOCH = '{"requestTimeEpoch": 1785921611123, "path": "/"}'


@pytest.mark.parametrize(
    ("line", "clock"),
    [
        (APACHE, "13:55:36"),
        (ALB, "22:23:00"),
        (CLOUDFRONT, "21:02:31"),
        (GATEWAY, "09:20:11"),
        (SUNUP, "06:40:07"),
        (EPOCH, "09:20:11"),
        ('{"time_iso8601": "2026-08-07T09:20:11+00:00"}', "09:20:11"),
        ('{"time_local": "07/Aug/2026:09:20:11 +0000", "status": 200}', "09:20:11"),
        ('{"date": "2026-08-07", "time": "09:20:11", "c-ip": "192.0.2.1"}', "09:20:11"),
        ('{"entry": {"start_time": "2026-08-07T09:20:11Z"}}', "09:20:11"),
        ('{"ts": 1785921611123456}', "09:20:11"),
        ("2026/08/07 09:20:11 GET / 200", "09:20:11"),
        ('127.0.0.1 - - [07/Aug/2026 09:20:11] "GET / HTTP/1.1" 200 -', "09:20:11"),
        ("Nov 26 host app: 2026-11-26 07:08:09,123 GET /", "07:08:09"),
    ],
)
def test_the_time_of_a_line_is_found(line: str, clock: str) -> None:
    at = access_log.moment(line)
    assert at is not None
    hours, minutes, seconds = map(int, clock.split(":"))
    assert int(at % DAY) == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET /",
        '{"path": "/"}',
        "[99/Xyz/2026:00:00:00 +0000]",
        "{",
        "12",
        "2026-13-45T00:00:00Z",
        "[]",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        '{"time": 1e999}',
        '{"ts": 99999999999999999999999}',
        '{"a":' * 100_000,
    ],
)
def test_a_line_without_a_time_has_none(line: str) -> None:
    assert access_log.moment(line) is None


def lines(days: int, each: int) -> list[str]:
    # 2026-11-02 is a Monday.
    return [
        f'192.0.2.1 - - [{2 + day:02}/Nov/2026:{9 + at:02}:00:00 +0100] "GET /users HTTP/1.1" 200 5 "-" "Mozilla/5.0"'
        for day in range(days)
        for at in range(each)
    ]  # fmt: skip


def test_a_log_is_played_in_its_own_clock_from_its_monday_on(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text("\n".join([*lines(7, 3), "no time here", ""]))
    notes: list[str] = []
    found = access_log.read([file], None, notes.append)
    assert found.times[:3] == [9 * 3600, 10 * 3600, 11 * 3600]
    assert len(found.times) == 21
    assert found.seconds == pytest.approx(6 * DAY + 2 * 3600, rel=0.06)
    assert notes == ["1 of 22 lines have no time, and were left out"]


def test_files_are_joined_and_may_be_compressed(tmp_path: Path) -> None:
    whole = lines(7, 3)
    (tmp_path / "new.log").write_text("\n".join(whole[10:]))
    with gzip.open(tmp_path / "old.log.gz", "wt") as file:
        file.write("\n".join(whole[:10]))
    found = access_log.read([tmp_path / "new.log", tmp_path / "old.log.gz"], None, print)
    assert len(found.times) == 21


def test_crawlers_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    bots = [each.replace("Mozilla/5.0", "Googlebot/2.1") for each in lines(7, 1)]
    file.write_text("\n".join([*lines(7, 1), *bots]))
    assert sorted(access_log.read([file], None, print).kinds) == [VISIT] * 7 + [CRAWLER] * 7


@pytest.mark.parametrize(
    ("line", "crawler"),
    [
        (
            'x [02/Nov/2026:09:00:00 +0000] "GET /api/scans/17 HTTP/1.1" 200 5 "-" "Mozilla/5.0"',
            False,
        ),
        (
            'x [02/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "https://crawler-shop.example/" "Mozilla/5.0"',
            False,
        ),
        (
            'x [02/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0 (Linux; Cubot)"',
            False,
        ),
        (
            'x [02/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "facebookexternalhit/1.1"',
            True,
        ),
        ('x [02/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "kube-probe/1.29"', True),
        ('x [02/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "Go-http-client/1.1"', True),
        (
            '{"time": "2026-11-02T09:00:00Z", "path": "/robots-bot", "userAgent": "Mozilla/5.0"}',
            False,
        ),
        ('{"time": "2026-11-02T09:00:00Z", "path": "/", "user_agent": "Wget/1.21"}', True),
        (ALB.replace("2018-07-02T22", "2026-11-02T09"), True),
        (CLOUDFRONT.replace("\t200", "\t200\t-\tGooglebot/2.1"), True),
        (CLOUDFRONT, False),
    ],
)
def test_a_crawler_is_what_calls_itself_one(tmp_path: Path, line: str, crawler: bool) -> None:
    file = tmp_path / "access.log"
    # Another line two hours later, so that there is something to be played.
    file.write_text(f"{line}\n2099-01-01T00:00:00Z GET /\n")
    kinds = access_log.read([file], None, lambda note: None).kinds
    assert (kinds[0] == CRAWLER) is crawler


def test_one_line_of_another_century_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text("\n".join([*lines(7, 3), "9999-12-31T23:59:59Z GET /"]))
    notes: list[str] = []
    assert access_log.read([file], None, notes.append).seconds < 8 * DAY
    assert "1 of 22 lines have no time" in notes[0]


def test_only_lines_that_match_count(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text(
        "\n".join([*lines(7, 2), *(each.replace("/users", "/logo.png") for each in lines(7, 2))])
    )
    assert len(access_log.read([file], "GET /users", print).times) == 14


@pytest.mark.parametrize(
    ("content", "only", "told"),
    [
        ("", None, "no lines with a time"),
        ("hello", None, "no lines with a time"),
        (APACHE, "nothing", "that match --only"),
        (f"{APACHE}\n{APACHE}", None, "covers 0 s only"),
        (APACHE, "(", "no regular expression"),
    ],
)
def test_a_log_that_says_nothing_is_told(
    tmp_path: Path, content: str, only: str | None, told: str
) -> None:
    file = tmp_path / "access.log"
    file.write_text(content)
    with pytest.raises(CommandError, match=told):
        access_log.read([file], only, print)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    whole = bytearray(gzip.compress("\n".join(lines(7, 3) * 50).encode()))
    whole[40:60] = bytes(20)
    (tmp_path / "flipped.gz").write_bytes(bytes(whole))
    for name in ("missing.log", "broken.gz", "flipped.gz"):
        with pytest.raises(CommandError, match="cannot be read"):
            access_log.read([tmp_path / name], None, print)
