"""How the text of an environment variable is read: each kind of setting, with what it accepts."""

import os
import re
from collections.abc import Callable

_ZONEINFO = "/usr/share/zoneinfo"
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(ValueError):
    """A setting is missing or wrong."""

    def __init__(self, name: str, found: str | None, expected: str) -> None:
        self.name = name
        what = "is not set" if found is None else f"is {found!r}"
        super().__init__(f"{name} {what}; expected {expected}")


# Takes the variable's name, for the error, and its text. Raises `SettingsError`.
Kind = Callable[[str, str], object]


def text(_: str, found: str) -> str:
    """Any text."""
    return found


def host(name: str, found: str) -> str:
    """One host name or address, or the folder of a Unix socket."""
    found = found.strip()
    single_colon = found.count(":") == 1  # more are an IPv6 address
    if "," in found or (
        not found.startswith("/") and ("/" in found or "@" in found or single_colon)
    ):
        # A URL may hold a password: it is not repeated.
        shown = found if single_colon and "/" not in found and "@" not in found else "not a name"
        raise SettingsError(
            name, shown, "one host name, without scheme, user or port (see DB_PORT)"
        )
    return found


def whole(low: int, high: int) -> Kind:
    """A whole number."""

    def read(name: str, found: str) -> int:
        plain = re.fullmatch(r"\s*(\d+)\s*", found, re.ASCII)
        if plain and low <= int(plain[1]) <= high:
            return int(plain[1])
        raise SettingsError(name, found, f"a whole number from {low} to {high}")

    return read


def seconds(low: float, high: float) -> Kind:
    """A number of seconds."""

    def read(name: str, found: str) -> float:
        plain = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", found, re.ASCII)
        if plain and low <= float(plain[1]) <= high:
            return float(plain[1])
        raise SettingsError(name, found, f"seconds, a number from {low:g} to {high:g}")

    return read


def choice(*choices: str) -> Kind:
    """One of several words."""

    def read(name: str, found: str) -> str:
        if found.strip() in choices:
            return found.strip()
        raise SettingsError(name, found, f"one of {', '.join(choices)}")

    return read


def switch(name: str, found: str) -> bool:
    """On or off."""
    word = found.strip().lower()
    if word in ("on", "off"):
        return word == "on"
    raise SettingsError(name, found, "on or off")


def log_level(name: str, found: str) -> str:
    """A level of `logging`, in capitals or not."""
    level = found.strip().upper()
    level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)
    if level in _LOG_LEVELS:
        return level
    raise SettingsError(name, found, f"one of {', '.join(_LOG_LEVELS)}")


def timezone(name: str, found: str) -> str:
    """A name of the time zone database, or POSIX's form."""
    # Lambda itself sets TZ to ":UTC", the POSIX form for "a file of that name".
    zone = found.strip().removeprefix(":")
    # The C library silently takes any other word as UTC.
    named = re.fullmatch(r"[A-Za-z_]+(?:/[A-Za-z0-9_+\-]+)*", zone)
    posix = re.match(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+\-]+>)[+\-]?\d", zone)
    known = not os.path.isdir(_ZONEINFO) or os.path.isfile(f"{_ZONEINFO}/{zone}")  # noqa: PTH112, PTH113
    if posix or zone == "UTC" or (named and known):
        return zone
    raise SettingsError(name, zone, "the name of a time zone, such as UTC or Asia/Tokyo")
