"""What `sunup measure --json` wrote, for `sunup plan`."""

import json
from dataclasses import replace
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.planning import App

# Seconds, and bytes: at most. What takes longer than a gateway waits is nothing to plan with.
_NEEDS = {
    "init": 300.0,
    "processor": 25.0,
    "first_processor": 25.0,
    "queries": 25.0,
    "log_bytes": 1e6,
}


def app_of(path: Path) -> App:
    """What the app needs. Raises `CommandError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        needs = {name: float(content["needs"][name]) for name in _NEEDS}
        if not all(0 <= value <= _NEEDS[name] for name, value in needs.items()):
            raise ValueError(needs)  # noqa: TRY301
        return replace(App(), **needs)  # type: ignore[arg-type]  # the numbers among its fields
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CommandError(
            f"{path} is not what sunup measure --json writes",
            "Make it: sunup measure --json > measured.json",
        ) from None
