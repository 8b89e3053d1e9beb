"""What an app has asked for: which requests get a receipt, and what may be done for them."""

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
        isolation: str = "read_committed",
    ) -> None:
        self.required = _patterns("required", required)
        self.always = _patterns("always", always)
        self.repeat = _patterns("repeat", repeat)
        self.caller = caller
        if keep < 1:
            raise ValueError(f"keep is {keep!r}; expected seconds, at least 1")
        self.keep = int(keep)
        if largest < 0:
            raise ValueError(f"largest is {largest!r}; expected bytes")
        self.largest = largest
        if wait < 0:
            raise ValueError(f"wait is {wait!r}; expected seconds")
        self.wait = wait
        if isolation not in _ISOLATIONS:
            raise ValueError(f"isolation is {isolation!r}; expected {', '.join(_ISOLATIONS)}")
        self.isolation = isolation


def matches(patterns: tuple[str, ...], method: str, path: str) -> bool:
    """Whether one of these patterns is meant for a request."""
    return any(fnmatchcase(f"{method} {path}", each) for each in patterns)


def _patterns(name: str, routes: Routes) -> tuple[str, ...]:
    if isinstance(routes, bool):
        return ("*",) if routes else ()
    given = (routes,) if isinstance(routes, str) else tuple(routes)
    for each in given:
        if each != "*" and not (each.startswith("/") or " /" in each or " *" in each):
            raise ValueError(
                f"{name} has {each!r}; expected a method and a path, such as 'POST /users' or"
                " 'PUT /users/*'"
            )
    return tuple(f"* {each}" if each.startswith("/") else each for each in given)
