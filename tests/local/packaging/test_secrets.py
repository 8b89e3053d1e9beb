"""Which files are secrets. The keys are made by openssl's forms, none of them opens anything."""

import json
from pathlib import Path

import pytest

from sunup.local.packaging import secrets

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"
ENCRYPTED = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    f"DEK-Info: AES-128-CBC,0F0F\n\n{BODY}\n"
)


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cfg/firebase-adminsdk.json", json.dumps({"private_key": KEY})),
        ("cfg/twice.env.txt", json.dumps(json.dumps({"private_key": KEY}))),
        ("cfg/enc.key", ENCRYPTED),
        ("cfg/der.key", b"\x30\x82\x04\xbd" + b"\0" * 100),
        ("cfg/utf16.pem", KEY.encode("utf-16")),
        ("cfg/large.pem", KEY + "A" * 2_000_000),
        ("AuthKey.p8", KEY),
        ("deploy_key", KEY.replace("PRIVATE", "OPENSSH PRIVATE")),
        ("UP.PEM", KEY),
        ("key.yaml", KEY),
        ("own.asc", KEY.replace("PRIVATE KEY", "PGP PRIVATE KEY BLOCK")),
    ],
)
def test_what_has_a_private_key_in_it_is_one_whatever_it_is_called(
    tmp_path: Path, name: str, content: bytes | str
) -> None:
    path = write(tmp_path, name, content)
    assert secrets.looked_for(tmp_path, [path]).left_out == [path]


@pytest.mark.parametrize(
    "name",
    [
        "cfg/.ENV", "cfg/Credentials.json", "cfg/SECRETS.yaml", ".env~", ".env-prod", ".envrc.local",
        ".git-credentials", ".dockercfg", ".my.cnf", ".vault_pass", "_netrc", "a.ppk", "env.prod",
        "db.sqlite3-wal", "dump.sql", "prod.dump.sql",
    ],
)  # fmt: skip
def test_names_count_in_any_case(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "x")
    assert secrets.looked_for(tmp_path, [path]).left_out == [path]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("roots.pem", "-----BEGIN CERTIFICATE-----\nMIIB"),
        ("page.md", "A key begins with -----BEGIN PRIVATE KEY----- and ends later."),
        ("schema.sql", "create table t ()"),
        ("secrets.py", ""),
        (".env.example", "A="),
        ("data.der", b"\x30\x03\x02\x01\x01"),
    ],
)
def test_what_only_looks_like_one_goes_along(
    tmp_path: Path, name: str, content: bytes | str
) -> None:
    path = write(tmp_path, name, content)
    found = secrets.looked_for(tmp_path, [path])
    assert (found.left_out, found.suspicious) == ([], [])


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path, "elsewhere/.env", "A=1")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/settings.txt").symlink_to(tmp_path / "elsewhere/.env")
    path = Path("settings.txt")
    assert secrets.looked_for(tmp_path / "app", [path]).left_out == [path]


def test_none_of_many_suspicious_files_goes_in_without_a_word(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"f{number}.py", "AKIA" + "A" * 16) for number in range(9)]
    told = "\n".join(secrets.looked_for(tmp_path, paths).notes([]))
    assert all(path.name in told for path in paths)
