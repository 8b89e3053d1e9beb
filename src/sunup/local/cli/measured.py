"""What `sunup measure --json` wrote, for `sunup plan`."""

import json
from dataclasses import replace
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.planning import App

_NEEDS = ("init", "processor", "first_processor", "queries", "log_bytes")


def app_of(path: Path) -> App:
    """What the app needs. Raises `CommandError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        needs = {name: float(content["needs"][name]) for name in _NEEDS}
        return replace(App(), **needs)  # type: ignore[arg-type]  # the numbers among its fields
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CommandError(
            f"{path} is not what sunup measure --json writes",
            "Make it: sunup measure --json > measured.json",
        ) from None
