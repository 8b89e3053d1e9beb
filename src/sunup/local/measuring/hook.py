"""Runs in the sandbox, in front of the runtime's own start: notes what INIT does, and for how long.

A file of its own, started as `python -S -s hook.py HANDLER`: the package that is measured has the
standard library and the app only. What it notes is written as JSON to `SUNUP_MEASURE_FILE` at the
end of INIT, and again after the first request. With `SUNUP_MEASURE_EDGES` it notes who imports
whom, too, which takes time of its own: then times mean nothing.

Times are `perf_counter`'s and `thread_time`'s, in seconds. As little as can be is imported here.
"""

# ruff: noqa: SLF001, PTH105, PTH109, PTH123  # importlib's own functions; pathlib would be imported before the app's
import sys
import time
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_importlib: "Any" = sys.modules["_frozen_importlib"]
_began = time.perf_counter(), time.thread_time()
_known = frozenset(sys.modules)

_clock, _used = time.perf_counter, time.thread_time
# name, kind, thread, its parent's place (-1: none, -2: beside others), begin, end, processor
_entries: "list[list[Any]]" = []
_open: dict[int, list[int]] = {}
_edges: set[tuple[str, str]] = set()
_marks: dict[str, tuple[float, float, float]] = {}

# What sunup does at a start besides importing: in the module, of the class, the function.
_SPANS = {
    "sunup.adapter.asgi": ("AsgiRunner", "start", "the app's start-up"),
    "sunup.adapter.priming": ("", "ask", "priming"),
    "sunup.asyncpg.attempt": ("", "connected", "connecting"),
    "sunup.psycopg.attempt": ("", "connect", "connecting"),
}
# They import on behalf of others: who that is, the open imports tell.
_MACHINERY = frozenset({"importlib", "importlib._bootstrap", "_frozen_importlib"})
_COROUTINE = 0x80  # inspect.CO_COROUTINE


def _begin(name: str, kind: str) -> int:
    thread = get_ident()
    stack = _open.setdefault(thread, [])
    place = len(_entries)
    _entries.append([name, kind, thread, stack[-1] if stack else -1, _clock(), None, _used()])
    stack.append(place)
    return place


def _end(place: int) -> None:
    entry = _entries[place]
    entry[6] = _used() - entry[6]
    entry[5] = _clock()
    stack = _open[get_ident()]
    if stack and stack[-1] == place:
        stack.pop()


_load: "Callable[[str, Any], Any]" = _importlib._find_and_load


def _find_and_load(name: str, import_: "Any") -> "Any":
    if name in sys.modules:
        return _load(name, import_)
    stack = _open.get(get_ident())
    if stack:
        _edges.add((_entries[stack[-1]][0], name))
    place = _begin(name, "import")
    try:
        module = _load(name, import_)
    finally:
        _end(place)
    if name in _SPANS:
        owner, function, title = _SPANS[name]
        _wrap(getattr(module, owner) if owner else module, function, title)
    elif name == "awslambdaric.lambda_runtime_client":
        _at_next(module.LambdaRuntimeClient)
    return module


def _wrap(owner: "Any", name: str, title: str) -> None:
    function = getattr(owner, name)
    code: CodeType = function.__code__

    async def beside(*arguments: "Any", **options: "Any") -> "Any":
        # Others run on its thread meanwhile: it is not part of what is open there.
        entry: list[Any] = [title, "span", get_ident(), -2, _clock(), None, _used()]
        _entries.append(entry)
        try:
            return await function(*arguments, **options)
        finally:
            entry[6] = _used() - entry[6]
            entry[5] = _clock()

    def within(*arguments: "Any", **options: "Any") -> "Any":
        place = _begin(title, "span")
        try:
            return function(*arguments, **options)
        finally:
            _end(place)

    setattr(owner, name, beside if code.co_flags & _COROUTINE else within)


def _at_next(client: "Any") -> None:
    """Its first question for an event is the end of INIT; the second that of the first request."""
    wait = client.wait_next_invocation

    def wait_next(self: "Any") -> "Any":
        name = "first" if "init" in _marks else "init"
        if name not in _marks:
            _marks[name] = (_clock(), _used(), time.process_time())
            _write()
        return wait(self)

    client.wait_next_invocation = wait_next


def _write() -> None:
    import json
    import os

    now = _clock()
    content = {
        "began": _began,
        "marks": _marks,
        "main": get_ident(),
        "entries": [[*each[:5], each[5] or now, each[6]] for each in list(_entries)],
        "edges": sorted(_edges),
        "known": sorted(_known),
        "files": {
            name: getattr(module, "__file__", None) or ""
            for name, module in list(sys.modules.items())
        },
    }
    path = os.environ["SUNUP_MEASURE_FILE"]
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(f"{path}.new", path)


def _note_edges() -> None:
    import builtins

    original = builtins.__import__

    def importing(
        name: str,
        globals: "Any" = None,  # noqa: A002  # as `__import__` has them
        locals: "Any" = None,  # noqa: A002
        fromlist: "Any" = (),
        level: int = 0,
    ) -> "Any":
        module = original(name, globals, locals, fromlist, level)
        who = (globals or {}).get("__name__")
        if who and who not in _MACHINERY:
            absolute = name
            if level:
                package = (globals or {}).get("__package__") or who
                base = package.rsplit(".", level - 1)[0] if level > 1 else package
                absolute = f"{base}.{name}" if name else base
            parts = absolute.split(".")
            for at in range(len(parts)):
                _edges.add((who, ".".join(parts[: at + 1])))
            for each in fromlist or ():
                inner = f"{absolute}.{each}"
                if inner in sys.modules:
                    _edges.add((who, inner))
        return module

    builtins.__import__ = importing


def _main() -> None:
    import os

    # The folder of this file is no part of the package.
    sys.path[0] = os.getcwd()
    if "SUNUP_MEASURE_EDGES" in os.environ:
        _note_edges()
    _importlib._find_and_load = _find_and_load
    from awslambdaric.__main__ import main

    main(["awslambdaric", *sys.argv[1:]])


if __name__ == "__main__":
    _main()
