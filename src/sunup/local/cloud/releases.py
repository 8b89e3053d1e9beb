"""Releases: the published versions of the function, and the alias that says which is live.

Terraform owns the function and ignores its code; code and alias are sunup's. So nothing has to be
remembered on any machine, and whoever deploys from wherever sees what is live.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from sunup.local.aws import code_of, explained
from sunup.local.errors import CommandError

# Lambda API, PublishVersion: Description is at most 256 characters.
_LONGEST = 256
_LONGEST_NAME = 64
# Releases that were live once; they fit into the alias's description.
_REMEMBERED = 10

LATEST = "$LATEST"


@dataclass(frozen=True)
class Origin:
    """What a release was made of: commit, by whom, the heads of the migrations it knows.

    `ours` is false for a version that something else than sunup published.
    """

    commit: str = ""
    changed: bool = False
    by: str = ""
    heads: tuple[str, ...] = ()
    ours: bool = True

    @property
    def description(self) -> str:
        """As it is kept with the version, which cannot be changed later."""
        content: dict[str, object] = {"sunup": 1, "commit": self.commit[:40]}
        content |= {"by": self.by[:_LONGEST_NAME], "heads": self.heads}
        content |= {"changed": 1} if self.changed else {}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        if len(text) > _LONGEST:
            raise CommandError(
                f"the migrations have {len(self.heads)} heads", "Join them: sunup migrate merge."
            )
        return text

    @classmethod
    def parse(cls, description: str) -> "Origin":
        """Of a version's description; empty for one that sunup did not publish."""
        found = _parsed(description)
        commit, by, heads = (found.get(name) for name in ("commit", "by", "heads"))
        if isinstance(commit, str) and isinstance(by, str) and isinstance(heads, list):
            return cls(commit, bool(found.get("changed")), by, tuple(map(str, heads)))
        return cls(ours=False)


@dataclass(frozen=True)
class Release:
    """One published version. `share` is its part of the requests, 0 to 1."""

    number: int
    at: str
    sha256: str
    runtime: str
    arch: str
    origin: Origin
    share: float = 0.0

    @property
    def content(self) -> dict[str, object]:
        """For scripts."""
        return asdict(self)


@dataclass(frozen=True)
class Live:
    """What the alias says: the version, its revision, and a second version with its share.

    `before` are the releases that were live before it, the last one last.
    """

    version: str
    revision: str
    weights: Mapping[str, float]
    before: tuple[int, ...] = ()

    @property
    def number(self) -> int | None:
        """The release; None before the first."""
        return int(self.version) if self.version.isdecimal() else None

    def moved(self, number: int) -> tuple[int, ...]:
        """What was live before, once `number` is: going back forgets what came after it."""
        if number in self.before:
            return self.before[: self.before.index(number)]
        if number == self.number or self.number is None:
            return self.before
        return (*self.before, self.number)[-_REMEMBERED:]

    def share(self, number: int) -> float:
        """A release's part of the requests, 0 to 1."""
        canary = sum(self.weights.values())
        if str(number) == self.version:
            return round(1 - canary, 6)
        return self.weights.get(str(number), 0.0)


class Releases:
    """Of one function. `client` is botocore's for Lambda. All raise `CommandError`."""

    def __init__(self, client: Any, name: str, alias: str) -> None:
        self._lambda = client
        self._name = name
        self._alias = alias

    def live(self) -> Live:
        """What the alias says now."""
        with explained(f"read the alias {self._alias} of {self._name}"):
            found = self._lambda.get_alias(FunctionName=self._name, Name=self._alias)
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        before = _parsed(found.get("Description", "")).get("before")
        return Live(
            found["FunctionVersion"],
            found.get("RevisionId", ""),
            weights,
            tuple(each for each in before if type(each) is int) if isinstance(before, list) else (),
        )

    def listed(self) -> list[Release]:
        """The releases that are kept, the newest first."""
        live = self.live()
        with explained(f"list the versions of {self._name}"):
            pages = self._lambda.get_paginator("list_versions_by_function")
            versions = [
                each
                for page in pages.paginate(FunctionName=self._name)
                for each in page["Versions"]
            ]
        found = [
            Release(
                int(each["Version"]),
                each.get("LastModified", ""),
                each.get("CodeSha256", ""),
                each.get("Runtime", ""),
                (each.get("Architectures") or ["x86_64"])[0],
                Origin.parse(each.get("Description", "")),
                live.share(int(each["Version"])),
            )
            for each in versions
            if each["Version"].isdecimal()
        ]
        return sorted(found, key=lambda each: -each.number)

    def publish(self, sha256: str, origin: Origin) -> int:
        """Publish what the function is now; returns the version.

        The same as before where nothing changed (Lambda API, PublishVersion). `sha256` is in
        base64: another's code, put there meanwhile, is not published.
        """
        with explained(f"publish a version of {self._name}"):
            try:
                made = self._lambda.publish_version(
                    FunctionName=self._name, CodeSha256=sha256, Description=origin.description
                )
            except ClientError as error:
                if "CodeSHA256" in str(error) or code_of(error) == "PreconditionFailedException":
                    raise overtaken(self._name) from None
                raise
            if made["CodeSha256"] != sha256:
                raise overtaken(self._name)
            self._lambda.get_waiter("published_version_active").wait(
                FunctionName=self._name, Qualifier=made["Version"]
            )
        return int(made["Version"])

    def point(self, live: Live, number: int, weights: Mapping[str, float] | None = None) -> None:
        """Move the alias, unless somebody has moved it since `live` was read.

        Where an answer was lost, botocore asks again, with a revision that is the old one now: so
        what the alias says then counts.
        """
        wanted = dict(weights or {})
        before = json.dumps({"sunup": 1, "before": live.moved(number)}, separators=(",", ":"))
        with explained(f"move the alias {self._alias} of {self._name}"):
            try:
                self._lambda.update_alias(
                    FunctionName=self._name,
                    Name=self._alias,
                    FunctionVersion=str(number),
                    Description=before,
                    RoutingConfig={"AdditionalVersionWeights": wanted},
                    **({"RevisionId": live.revision} if live.revision else {}),
                )
            except ClientError as error:
                if code_of(error) != "PreconditionFailedException":
                    raise
                now = self.live()
                if (now.version, dict(now.weights)) != (str(number), wanted):
                    raise overtaken(self._name) from None

    def verify(self, number: int, sha256: str | None = None) -> None:
        """Ask Lambda what is live, and compare."""
        with explained(f"read which version of {self._name} is live"):
            found = self._lambda.get_function_configuration(
                FunctionName=self._name, Qualifier=self._alias
            )
        if str(found["Version"]) != str(number) or sha256 not in (None, found["CodeSha256"]):
            raise CommandError(
                f"release {number} should be live, but version {found['Version']} is",
                "Somebody else may have deployed at the same time: see sunup releases.",
            )

    def prune(self, keep: int) -> list[int]:
        """Delete sunup's own but the newest, and what an alias points to; returns those."""
        used = self._used()
        ours = [each.number for each in self.listed() if each.origin.ours]
        old = [number for number in ours[keep:] if str(number) not in used]
        deleted = []
        for number in old:
            with explained(f"delete the old version {number} of {self._name}"):
                try:
                    self._lambda.delete_function(FunctionName=self._name, Qualifier=str(number))
                    deleted.append(number)
                except ClientError as error:
                    # An alias was pointed to it a moment ago, or somebody else deletes it.
                    if code_of(error) not in (
                        "ResourceConflictException",
                        "ResourceNotFoundException",
                    ):
                        raise
        return deleted

    def _used(self) -> set[str]:
        with explained(f"list the aliases of {self._name}"):
            pages = self._lambda.get_paginator("list_aliases")
            aliases: Iterable[Mapping[str, Any]] = [
                each for page in pages.paginate(FunctionName=self._name) for each in page["Aliases"]
            ]
        found = set()
        for each in aliases:
            weights = (each.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
            found |= {each["FunctionVersion"], *weights}
        return found


def _parsed(description: str) -> dict[str, object]:
    """What sunup wrote into a description; nothing where somebody else did."""
    try:
        found = json.loads(description)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("sunup") else {}


def overtaken(name: str) -> CommandError:
    """Somebody else deployed at the same time."""
    return CommandError(
        f"somebody else has deployed {name} at the same time; their release is live",
        "See sunup releases. Run the command again to deploy yours.",
    )
