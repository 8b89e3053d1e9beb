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
        ".env", ".env.*", "*.env", ".envrc", "!.env.example", "!.env.sample", "!.env.template",
        "secrets/", ".secrets/", "secret.*", "secrets.*", "!secrets.py", "!secret.py",
        "credentials", "credentials.*", "!credentials.py", "*credentials*.json",
        "client_secret*.json", "service-account*.json", "service_account*.json",
        "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
        "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
        ".aws/", ".ssh/", ".gnupg/", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".htpasswd",
        "*.dump", "*.sql.gz", "*.bak", "*.sqlite", "*.sqlite3", "*.db",
        "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*", "kubeconfig", "*.kubeconfig",
        "node_modules/",
    )
)  # fmt: skip

# May be a certificate, which is public: their content decides.
_KEYS = (".pem", ".key")
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}")

# Forms that their makers document, so that such scans find them.
_CONTENTS = {
    "an AWS access key": re.compile(rb"(?<![A-Z0-9])(AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    "a private key": _PRIVATE_KEY,
    "a GitHub token": re.compile(rb"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "a Slack token": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "a Stripe key": re.compile(rb"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    "an API key": re.compile(rb"\b(sk-ant-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{35})"),
    "a password in a URL": re.compile(
        rb"\b(postgres(ql)?|mysql|mongodb(\+srv)?|redis)://[^\s:/@]+:[^\s@{<$%'\"]{3,}@"
    ),
}  # fmt: skip
_LARGEST = 1_000_000
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
                f"Left out, since it looks like a secret or data: {_names(left_out)}. "
                f"[tool.sunup] include = [...] takes it along, exclude = [...] ends this note."
            )
        notes += [
            f"{path} has what looks like {what}, and goes into the package: all who may read the "
            "function's code can read it."
            for path, what in self.suspicious[:_SHOWN]
        ]
        return notes


def looked_for(folder: Path, paths: Iterable[Path]) -> Found:
    """Look at names and contents."""
    left_out: list[Path] = []
    suspicious: list[tuple[Path, str]] = []
    for path in sorted(paths):
        content = _content(folder / path)
        # A source is code, whatever it is called: `app/secrets/vault.py`.
        by_name = path.suffix != ".py" and _NAMES.match_file(path.as_posix())
        if by_name or (path.suffix in _KEYS and _PRIVATE_KEY.search(content)):
            left_out.append(path)
            continue
        for what, pattern in _CONTENTS.items():
            if pattern.search(content):
                suspicious.append((path, what))
                break
    return Found(left_out, suspicious)


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            return b""
        return path.read_bytes()
    except OSError:
        return b""  # told when it is copied


def _names(paths: list[Path]) -> str:
    shown = ", ".join(path.as_posix() for path in paths[:_SHOWN])
    return shown + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
