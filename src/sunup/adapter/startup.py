"""INIT without searches for garbage that is not there.

Importing makes objects that stay: at CPython's default threshold the collector looks through them
over and over, for 5 to 8 % of an INIT (docs/decisions/0011-cold-start.md).
"""

import gc

# A collection begins at this many more objects made than freed: more than an app's imports make.
# FastAPI and SQLAlchemy leave some 150,000; 50,000 cost 1.2 % of the instructions of their INIT.
_THRESHOLD = 1_000_000

_default: tuple[int, int, int] | None = None


def begin() -> None:
    """Collect less. An app that has set the threshold, or switched collecting off, is obeyed."""
    global _default
    if _default is None and gc.isenabled() and 0 < gc.get_threshold()[0] < _THRESHOLD:
        _default = gc.get_threshold()
        gc.set_threshold(_THRESHOLD, *_default[1:])


def end() -> None:
    """Collect as before; what was imported is never looked through again (`gc.freeze`)."""
    global _default
    if _default is None:
        return
    if gc.get_threshold() == (_THRESHOLD, *_default[1:]):
        gc.set_threshold(*_default)
        gc.freeze()
    _default = None
