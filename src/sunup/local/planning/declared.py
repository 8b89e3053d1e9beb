"""What the app's Terraform says of its deployment."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sunup.local.capacity import DSQL_CONNECTIONS, connection_limit
from sunup.local.errors import CommandError

from .cron import Times, scheduled
from .setup import Setup

# A setting with one value, as terraform.tfvars has the ones that count here.
_ASSIGNMENT = re.compile(
    r"""^\s*([A-Za-z_][\w-]*)\s*=\s*(?:"([^"\\$]*)"|(-?[\d.]+)|(true|false|null))\s*(?:(?:#|//).*)?$""",
    re.MULTILINE,
)


# sunup's own, with one for a failure's code (docs/operation.md).
_METRICS = 6


def variables(path: Path) -> dict[str, str]:
    """The texts and numbers of a terraform.tfvars; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    return {
        name: quoted or number
        for name, quoted, number, _ in _ASSIGNMENT.findall(text)
        if quoted or number
    }


def declared(found: Mapping[str, str]) -> tuple[Setup, Times | None]:
    """The deployment that Terraform's variables describe, and its wake schedule."""
    setup = Setup()
    engine = found.get("db_engine", "aurora")
    acu = _number(found, "max_acu", 4)
    setup = replace(
        setup,
        engine="dsql" if engine == "dsql" else "aurora",
        memory=int(_number(found, "lambda_memory", setup.memory)),
        timeout=_number(found, "lambda_timeout", setup.timeout),
        concurrency=int(_number(found, "reserved_concurrency", setup.concurrency)),
        idle_session_timeout=_number(found, "db_idle_session_timeout", setup.idle_session_timeout),
        max_connections=DSQL_CONNECTIONS if engine == "dsql" else connection_limit(acu),
    )
    if found.get("metrics") == "emf":
        setup = replace(setup, metrics=_METRICS)
    schedule = found.get("wake_schedule")
    return setup, None if schedule is None else scheduled(schedule)


def _number(found: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(found.get(name, default))
    except ValueError:
        raise CommandError(
            f"{name} = {found[name]!r} in terraform.tfvars is no number", "Write it without quotes."
        ) from None
