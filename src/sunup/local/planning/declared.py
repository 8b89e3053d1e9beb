"""What the app's Terraform says of its deployment."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sunup.local.capacity import DSQL_CONNECTIONS, connection_limit
from sunup.local.errors import CommandError

from .cron import Times, scheduled
from .setup import Setup

# sunup's own, with one for a failure's code (docs/operation.md).
_METRICS = 6


def variables(path: Path) -> dict[str, object]:
    """The texts and numbers of a terraform.tfvars; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    import hcl2  # a tenth of a second

    try:
        content = hcl2.loads(text + "\n")
    except Exception as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CommandError(
            f"{path} cannot be read: {words}", "terraform validate says what is wrong."
        ) from None
    return {name: _plain(value) for name, value in content.items() if value is not None}


def declared(found: Mapping[str, object]) -> Setup:
    """The deployment that Terraform's variables describe. Raises `CommandError`."""
    setup = Setup()
    engine = found.get("db_engine", "aurora")
    if engine not in ("aurora", "dsql"):
        raise CommandError(f"db_engine = {engine!r} in terraform.tfvars is neither aurora nor dsql")
    acu = _number(found, "max_acu", 4, 1, 256)
    return replace(
        setup,
        engine="dsql" if engine == "dsql" else "aurora",
        memory=int(_number(found, "lambda_memory", setup.memory, 128, 10_240)),
        timeout=_number(found, "lambda_timeout", setup.timeout, 1, 900),
        concurrency=int(_number(found, "reserved_concurrency", setup.concurrency, 1, 100_000)),
        idle_session_timeout=_number(
            found, "db_idle_session_timeout", setup.idle_session_timeout, 0, 86_400
        ),
        max_connections=DSQL_CONNECTIONS if engine == "dsql" else connection_limit(acu),
        metrics=_METRICS if found.get("metrics") == "emf" else 0,
    )


def wakes(found: Mapping[str, object]) -> Times | None:
    """Its wake schedule. Raises `CommandError` for one that cannot be simulated."""
    schedule = found.get("wake_schedule")
    return scheduled(schedule) if isinstance(schedule, str) else None


def _plain(value: object) -> object:
    """Without the quotation marks that the parser keeps."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def _number(
    found: Mapping[str, object], name: str, default: float, least: float, most: float
) -> float:
    value = found.get(name, default)
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise CommandError(
            f"{name} = {value} in terraform.tfvars is not a number from {least:g} to {most:,g}",
            "terraform plan would refuse it, too.",
        )
    return number
