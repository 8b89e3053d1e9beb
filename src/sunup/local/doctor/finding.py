"""What a check finds, and what the checks share."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from sunup.connecting.credentials import Credentials
from sunup.local.aws import Aws
from sunup.local.project import Project
from sunup.settings import Settings

Status = Literal["ok", "warning", "failure", "skipped"]
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, what to do."""

    link: str
    status: Status
    detail: str
    cure: str = ""


Findings = Iterator[Finding]


@dataclass
class Examination:
    """What earlier checks found out for later ones; None where they could not."""

    project: Project
    aws: Aws
    stack: ExitStack = field(default_factory=ExitStack)
    outputs: dict[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    reachable: bool = False
    credentials: Credentials | None = None
    identity: str | None = None
    app: Connection | None = None
    owner: Connection | None = None
    role_is_wrong: bool = False
