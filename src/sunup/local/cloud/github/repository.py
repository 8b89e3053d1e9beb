"""Which repository of GitHub's it is."""

import re
from dataclasses import dataclass
from pathlib import Path

from sunup.local import git
from sunup.local.errors import CommandError

_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})"
_NAME = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,100}"

# The ways to GitHub that git takes: HTTPS, SSH (also through its port 443), and the short form of
# SSH, whose host is often an alias such as github.com-work.
_HOSTS = (
    r"(?:https?|git)://(?:[^/@]+@)?(?:www\.)?github\.com(?::\d+)?/",
    r"ssh://(?:[^/@]+@)?(?:ssh\.)?github\.com(?:-[\w-]+)?(?::\d+)?/",
    r"(?:[^/@:]+@)?github\.com(?:-[\w-]+)?:/?",
)
_URL = re.compile(f"(?:{'|'.join(_HOSTS)})(?P<name>{_OWNER}/{_NAME}?)(?:\\.git)?/?", re.IGNORECASE)


@dataclass(frozen=True)
class Repository:
    """`name` is owner/name; the ids are GitHub's numbers, empty where they are not known."""

    name: str
    id: str = ""
    owner_id: str = ""

    @classmethod
    def of(
        cls, folder: Path, name: str | None, number: str | None, owner: str | None
    ) -> "Repository":
        """As it was named, else of git's `origin`. Raises `CommandError`."""
        name = name or _origin(folder)
        if name is None or not re.fullmatch(f"{_OWNER}/{_NAME}", name):
            raise CommandError(
                f"{name!r} is not a GitHub repository"
                if name
                else "no repository is known: git has no origin on GitHub",
                "Pass --repository OWNER/NAME.",
            )
        for option, value in (("--repository-id", number), ("--owner-id", owner)):
            if value and not re.fullmatch("[0-9]+", value):
                raise CommandError(
                    f"{option} {value!r} is not a number",
                    f"To look it up: gh api repos/{name} --jq '.id, .owner.id'",
                )
        return cls(name, number or "", owner or "")


def _origin(folder: Path) -> str | None:
    url = (git.asked(folder, "remote", "get-url", "origin") or "").strip()
    found = _URL.fullmatch(url)
    return found["name"] if found else None
