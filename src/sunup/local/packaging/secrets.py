"""What must not be in a package: secrets by their names, and by what is in them.

A package can be read by all who may read the function's code.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

# Keys, credentials, dumps and databases, in .gitignore's words.
_NAMES = GitIgnoreSpec.from_lines(
    (
        ".env", ".env[.~_-]*", "*.env", "env.prod*", ".envrc*", ".flaskenv",
        "!.env.example", "!.env.sample", "!.env.template",
        "secrets/", ".secrets/", "secret.*", "secrets.*", "!secrets.py", "!secret.py",
        "credentials", "credentials.*", "!credentials.py", "*credentials*.json",
        "client_secret*.json", "service-account*.json", "service_account*.json",
        "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
        ".git-credentials", ".dockercfg", ".my.cnf", ".vault_pass*", "_netrc", "*.ppk",
        "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
        ".aws/", ".ssh/", ".gnupg/", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".htpasswd",
        "*.dump", "*.sql.gz", "dump*.sql", "*.dump.sql", "backup*.sql", "*.bak",
        "*.sqlite", "*.sqlite3", "*.sqlite3-*", "*.db", "*.db-wal", "*.db-shm", "*.rdb",
        "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*", "kubeconfig", "*.kubeconfig",
        "node_modules/",
    )
)  # fmt: skip

# A key as PEM, also within JSON (with \\n) and with the headers of an encrypted one.
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    rb"(?:\s|\\+[nr]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n\\]*)+[A-Za-z0-9+/=]{16}"
)
# A key as DER: an ASN.1 sequence. As PEM it could be a certificate, which is public.
_BINARY = (".key", ".der", ".p8", ".pk8")
_SEQUENCE = b"\x30\x82"

# Forms that their makers document, so that such scans find them.
_CONTENTS = {
    "an AWS access key": re.compile(rb"(?<![A-Z0-9])(AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    "a private key": _PRIVATE_KEY,
    "a GitHub token": re.compile(rb"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "a Slack token": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "a Stripe key": re.compile(rb"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    "Django's SECRET_KEY": re.compile(rb"[\"']django-insecure-[^\"']{20,}[\"']"),
    "an API key": re.compile(rb"\b(sk-ant-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{35})"),
    "a password in a URL": re.compile(
        rb"\b(postgres(ql)?|mysql|mongodb(\+srv)?|redis)://[^\s:/@]+:[^\s@{<$%'\"]{3,}@"
    ),
}  # fmt: skip
# Bytes that are looked at.
_LONGEST = 1_000_000
_SHOWN = 6


@dataclass(frozen=True)
class Found:
    """`left_out` by their names or keys in them; `suspicious` go along: path and what it is."""

    left_out: list[Path]
    suspicious: list[tuple[Path, str]]

    def notes(self, left_out: list[Path]) -> list[str]:
        """For the user; `left_out` are those that nothing took back."""
        notes = []
        if left_out:
            notes.append(
                f"Left out, because it looks like a secret or data: {_names(left_out)}. To "
                "include it: [tool.sunup] include = [...]. To silence this note: exclude = [...]."
            )
        notes += [
            f"{path} contains what looks like {what}, and goes into the package: anyone who can "
            "read the function's code can read it."
            for path, what in self.suspicious[:_SHOWN]
        ]
        if len(self.suspicious) > _SHOWN:
            rest = [path for path, _ in self.suspicious[_SHOWN:]]
            notes.append(f"The same is true of {', '.join(path.as_posix() for path in rest)}.")
        return notes


def looked_for(folder: Path, paths: Iterable[Path]) -> Found:
    """Look at names and contents."""
    left_out: list[Path] = []
    suspicious: list[tuple[Path, str]] = []
    for path in sorted(paths):
        content = _content(folder / path)
        # A source is code, whatever it is called (`app/secrets/vault.py`) and has in it.
        if path.suffix != ".py" and (_by_name(folder, path) or _is_key(path, content)):
            left_out.append(path)
            continue
        for what, pattern in _CONTENTS.items():
            if pattern.search(content):
                suspicious.append((path, what))
                break
    return Found(left_out, suspicious)


def _by_name(folder: Path, path: Path) -> bool:
    """Its own name, in any case, and that of what it links to."""
    names = [path.as_posix()]
    place = folder / path
    if place.resolve() != folder.resolve() / path:
        names.append(place.resolve().name)
    return any(_NAMES.match_file(name.lower()) for name in names)


def _is_key(path: Path, content: bytes) -> bool:
    binary = path.suffix.lower() in _BINARY and content.startswith(_SEQUENCE)
    return binary or _PRIVATE_KEY.search(content) is not None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST)
    except OSError:
        return b""  # told when it is copied
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.replace(b"\0", b"") if is_utf16 else content


def _names(paths: list[Path]) -> str:
    shown = ", ".join(path.as_posix() for path in paths[:_SHOWN])
    return shown + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
