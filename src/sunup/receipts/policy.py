"""What an app has asked for: which requests get a receipt, and what may be done for them."""

import re
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

Routes = bool | str | Collection[str]

CallerOf = Callable[[Mapping[str, Any]], str | None]

_ISOLATIONS = ("read_committed", "repeatable_read", "serializable")


class Policy:
    """See `sunup.exactly_once`. Times are in seconds, sizes in bytes."""

    def __init__(
        self,
        *,
        required: Routes = (),
        always: Routes = (),
        repeat: Routes = (),
        caller: CallerOf | None = None,
        keep: float = 24 * 3600,
        largest: int = 64 * 1024,
        wait: float = 2.0,
        isolation: str | None = None,
    ) -> None:
        self.required = _patterns("required", required)
        self.always = _patterns("always", always)
        self.repeat = _patterns("repeat", repeat)
        self.caller = caller
        self.keep = int(_number("keep", keep, 1, 10 * 365 * 24 * 3600, "seconds"))
        self.largest = int(_number("largest", largest, 0, 2**30, "bytes"))
        self.wait = _number("wait", wait, 0, 3600, "seconds")
        if isolation is not None and isolation not in _ISOLATIONS:
            raise ValueError(f"isolation is {isolation!r}; expected {', '.join(_ISOLATIONS)}")
        self.isolation = isolation


def matches(patterns: tuple[str, ...], method: str, path: str) -> bool:
    """Whether one of these patterns is meant for a request."""
    return any(fnmatchcase(f"{method} {path}", each) for each in patterns)


def _number(name: str, value: float, least: float, most: float, unit: str) -> float:
    if not least <= value <= most:  # nor NaN
        raise ValueError(f"{name} is {value!r}; expected {unit}, from {least} to {most}")
    return value


def _patterns(name: str, routes: Routes) -> tuple[str, ...]:
    if isinstance(routes, bool):
        return ("*",) if routes else ()
    given = (routes,) if isinstance(routes, str) else tuple(routes)
    for each in given:
        if not isinstance(each, str):
            raise TypeError(f"{name} has {each!r}; expected text, such as 'POST /users'")
        if each != "*" and not _PATTERN.fullmatch(each):
            raise ValueError(
                f"{name} has {each!r}; expected a path, or a method other than GET and a path, such"
                " as 'POST /users' or 'PUT /users/*'"
            )
    return tuple(f"* {each}" if each.startswith("/") else each for each in given)


_PATTERN = re.compile(r"(?:(?!GET|HEAD|OPTIONS|TRACE)(?:[A-Z]+|\*) )?[/*].*")
