"""`sunup plan` at the command line."""

import json
from pathlib import Path

import pytest

from tests.local.cli.conftest import Cli

LOG = "\n".join(
    f'192.0.2.1 - - [{2 + day:02}/Nov/2026:{hour:02}:30:00 +0000] "GET /users HTTP/1.1" 200 5'
    for day in range(14)
    for hour in (9, 11, 12, 15)
)


def test_it_says_what_a_month_costs_and_who_waits(app_dir: Path, cli: Cli, tmp_path: Path) -> None:
    page, picture = tmp_path / "plan.html", tmp_path / "week.svg"
    status, out, err = cli(
        "plan", app_dir, "--visits", "200/day", "--hours", "9-18", "--days", "mon-fri",
        "--html", page, "--svg", picture,
    )  # fmt: skip
    assert status == 0, err
    assert "A month costs $" in out
    assert "Aurora capacity" in out
    assert "wait for it" in out
    assert "What one change would do" in out
    assert "Prices of us-east-1, 2026-09" in out
    assert "\x1b" not in out
    assert "Mon" in page.read_text()
    assert picture.read_text().startswith("<svg")


def test_scripts_get_json(app_dir: Path, cli: Cli) -> None:
    status, out, _ = cli("plan", app_dir, "--visits", "50/day", "--months", 2, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["dollars"]["median"] > 0
    assert 0 < found["waited"]["median"] <= 1
    assert found["prices"]["acu_hour"] == 0.12
    assert {"title", "dollars", "waited", "how"} <= found["changes"][0].keys()


def test_the_deployment_is_that_of_terraform(app_dir: Path, cli: Cli) -> None:
    tfvars = app_dir / "terraform" / "terraform.tfvars"
    tfvars.write_text(
        'region = "eu-central-1"\nlambda_memory = 512 # MB\ndb_idle_session_timeout = 30\n'
        'wake_schedule = "cron(45 7 ? * MON-FRI *)"\nreserved_concurrency = null\n'
    )
    status, out, err = cli("plan", app_dir, "--months", 1)
    assert status == 0, err
    assert "sessions end after 30 s, 512 MB" in out
    assert "no wake schedule" in out
    # What is given wins.
    assert "128 MB" in cli("plan", app_dir, "--months", 1, "--memory", 128)[1]
    tfvars.write_text('db_engine = "dsql"\n')
    status, out, _ = cli("plan", app_dir, "--months", 1, "--visits", "3000/day")
    assert (status, "DSQL storage" in out, "Aurora capacity" in out) == (0, True, False)
    for wrong in (
        'lambda_memory = "much"', "lambda_memory = 0", 'lambda_memory = "nan"', 'max_acu = "inf"',
        "reserved_concurrency = -1", "lambda_timeout = 0", "db_idle_session_timeout = -5",
    ):  # fmt: skip
        tfvars.write_text(wrong)
        status, _, err = cli("plan", app_dir)
        assert (status, "is not a number from" in err) == (1, True), wrong
    tfvars.write_text('db_engine = "mysql"\n')
    assert "neither aurora nor dsql" in cli("plan", app_dir)[2]
    tfvars.write_text("lambda_memory = \n")
    assert "cannot be read" in cli("plan", app_dir)[2]
    # One that Terraform takes, and that nobody can simulate, is told and left out.
    tfvars.write_text('wake_schedule = "cron(0 8 1 * ? *)"\n')
    status, out, err = cli("plan", app_dir, "--months", 1)
    assert (status, "cannot be simulated: left out" in out) == (0, True)
    # Not at the top level, or not at all.
    tfvars.write_text(
        "\ufeff/* lambda_memory = 1024 */\nenvironment = {\n  lambda_memory = 512\n}\n"
        "name = <<EOT\nlambda_memory = 256\nEOT\nlambda_memory = 128\n"
    )
    assert "128 MB" in cli("plan", app_dir, "--months", 1)[1]


def test_connections_are_those_of_terraform_whatever_the_engine_s_option(
    app_dir: Path, cli: Cli
) -> None:
    (app_dir / "terraform" / "terraform.tfvars").write_text(
        "max_acu = 1\nreserved_concurrency = 500\n"
    )
    many = ("plan", app_dir, "--months", 1, "--burst", "400@9", "--json")
    plain, named = (cli(*many, *more)[1] for more in ((), ("--engine", "aurora")))
    assert json.loads(plain)["connections"] == json.loads(named)["connections"] <= 189


def test_an_access_log_is_played(app_dir: Path, cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LOG)
    status, out, err = cli("plan", app_dir, "--log", log)
    assert status == 0, err
    assert "56 requests of 13." in out
    assert "192.0.2.1" not in out + err
    status, _, err = cli("plan", app_dir, "--log", log, "--visits", "3/day")
    assert (status, "exclude each other" in err) == (1, True)
    status, out, _ = cli("plan", app_dir, "--log", log, "--ping", "5m")
    assert (status, "--ping is not part of what a log plays" in out) == (0, True)
    assert "--only is of a log's lines" in cli("plan", app_dir, "--only", "GET")[2]
    # A pattern of pyproject.toml does not count then.
    pyproject = app_dir / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + '\n[tool.sunup.plan]\nvisits = "20/day"\n')
    assert cli("plan", app_dir, "--log", log)[0] == 0
    pyproject.write_text(pyproject.read_text() + f'log = "{log}"\njson = true\n')
    assert json.loads(cli("plan", app_dir)[1])["visits"] > 0


@pytest.mark.parametrize("init", ["NaN", "-5", "1e9", '"x"'])
def test_needs_that_cannot_be_are_refused(
    app_dir: Path, cli: Cli, tmp_path: Path, init: str
) -> None:
    measured = tmp_path / "measured.json"
    needs = f'"init": {init}, "processor": 0, "first_processor": 0, "queries": 0, "log_bytes": 0'
    measured.write_text('{"needs": {' + needs + "}}")
    status, _, err = cli("plan", app_dir, "--measured", measured)
    assert (status, "is not what sunup measure --json writes" in err) == (1, True)


def test_prices_may_be_others(app_dir: Path, cli: Cli) -> None:
    pyproject = app_dir / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text() + '\n[tool.sunup.plan]\nvisits = "20/day"\n'
        "[tool.sunup.plan.prices]\nacu-hour = 1.2\n"
    )
    _, dear, _ = cli("plan", app_dir, "--months", 1, "--json")
    _, given, _ = cli("plan", app_dir, "--months", 1, "--json", "--price", "acu-hour=0.12")

    def capacity(text: str) -> float:
        return float(json.loads(text)["parts"][0]["dollars"]["median"])

    assert capacity(dear) == pytest.approx(10 * capacity(given))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--visits", "lots"), "--visits 'lots' is no rate"),
        (("--hours", "9"), "--hours '9' are no hours"),
        (("--days", "someday"), "--days 'someday' are no days"),
        (("--burst", "9"), "--burst '9' is no burst"),
        (("--ping", "often"), "--ping 'often' is no time"),
        (("--pause-after", "60"), "Aurora pauses after 300 to 86400 s"),
        (("--resume-seconds", "x"), "--resume-seconds 'x' is neither"),
        (("--engine", "oracle"), "--engine 'oracle' cannot be simulated"),
        (("--price", "acu"), "--price 'acu' is not NAME=DOLLARS"),
        (("--price", "gold=3"), "there is no price 'gold'"),
        (("--log", "missing.log"), "missing.log cannot be read"),
        (("--measured", "missing.json"), "missing.json cannot be read"),
        (("--html", "nowhere/plan.html"), "there is no folder nowhere"),
        (("--html", "/tmp"), "/tmp is a folder"),
        (("--visits", "3000/day", "--requests", "1000"), "can be simulated"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(
    app_dir: Path, cli: Cli, arguments: tuple[str, ...], told: str
) -> None:
    status, out, err = cli("plan", app_dir, *arguments)
    assert (status, out) == (1, "")
    assert told in err
    assert len(err.strip().splitlines()) <= 2
