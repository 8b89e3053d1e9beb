"""What `sunup plan` was given of the deployment, and of prices."""

from dataclasses import replace

from sunup.local.capacity import DSQL_CONNECTIONS, connection_limit
from sunup.local.errors import CommandError
from sunup.local.planning import Prices, Range, Setup
from sunup.local.planning import reading as texts
from sunup.local.project import Project


def with_options(
    setup: Setup,
    *,
    engine: str | None,
    memory: int | None,
    pause_after: str | None,
    idle_session_timeout: float | None,
    concurrency: int | None,
    max_acu: float | None,
    storage: float | None,
    acu: str | None,
    resume_seconds: str | None,
) -> Setup:
    """The deployment with what was given instead. Raises `CommandError`."""
    if engine not in (None, "aurora", "dsql"):
        raise CommandError(f"--engine {engine!r} cannot be simulated", "Use aurora or dsql.")
    given: dict[str, object] = {
        "engine": engine,
        "memory": memory,
        "idle_session_timeout": idle_session_timeout,
        "concurrency": concurrency,
        "storage_gb": storage,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if engine == "dsql":
        changes["max_connections"] = DSQL_CONNECTIONS
    elif max_acu is not None or (engine == "aurora" and setup.engine == "dsql"):
        changes["max_connections"] = connection_limit(max_acu or 4)
    if pause_after is not None:
        changes["pause_after"] = _pause(pause_after)
    if acu is not None:
        changes["acu"] = texts.a_range(acu, "--acu")
    if resume_seconds is not None:
        changes["resume"] = resume = texts.a_range(resume_seconds, "--resume-seconds")
        deep = setup.deep_resume
        longer = [max(each, resume.high) for each in (deep.low, deep.mode, deep.high)]
        changes["deep_resume"] = Range(*longer)
    return replace(setup, **changes)  # type: ignore[arg-type]  # each of its own type


def _pause(text: str) -> float | None:
    if text == "never":
        return None
    seconds = texts.seconds(text, "--pause-after")
    if not 300 <= seconds <= 86_400:
        raise CommandError(
            f"--pause-after {text} is not possible", "Aurora pauses after 300 to 86400 s, or never."
        )
    return seconds


def prices_of(found: Project, given: list[str]) -> Prices:
    """The table with those of pyproject.toml, and of the options. Raises `CommandError`."""
    table = found.options("plan").get("prices", {})
    if not isinstance(table, dict):
        raise CommandError(
            "[tool.sunup.plan] prices is no table", "Write [tool.sunup.plan.prices] acu-hour = 0.14"
        )
    changes: dict[str, object] = dict(table)
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise CommandError(
                f"--price {each!r} is not NAME=DOLLARS", "For example: acu-hour=0.14"
            )
        changes[name.strip()] = value
    return Prices().with_changes(changes)
