"""Commands that need more than `sunup[deploy]` has: without it they say so, and the others work."""

import importlib
from collections.abc import Callable
from typing import Any

import typer

from sunup.local.errors import CommandError

# Whatever is given to it, it is not done.
ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True}


def command(name: str) -> Callable[..., Any]:
    """The function of the module of that name, or one that says what is not installed."""
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"{__package__}.{name}"), name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] == "sunup":
            raise
        return _without(name, missing)
    return found


def _without(name: str, missing: str) -> Callable[..., Any]:
    def absent(context: typer.Context) -> None:
        del context
        raise CommandError(f"sunup {name} needs {missing}", "Install it: pip install 'sunup[dev]'")

    absent.__doc__ = f"Not available: needs {missing} (pip install 'sunup[dev]')."
    return absent
