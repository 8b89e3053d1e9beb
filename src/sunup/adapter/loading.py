"""Finds an app by its name, `module:name`, and tells ASGI from WSGI."""

import importlib
import inspect
from typing import Any, Literal

from sunup.settings import SettingsError

Interface = Literal["asgi", "wsgi"]


def load(name: str, setting: str = "app") -> Any:
    """Import `module:name` (or `module:name.attribute`). Raises `SettingsError` if there is none.

    `module:create_app()` is what the function returns, without arguments. An error inside the
    module, or the function, is raised as it is.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise SettingsError(setting, name, "module:name, such as app:app")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only if the app's own module is missing; a missing one that it imports is its own error.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise SettingsError(setting, name, f"a module that exists: {error}") from None
    is_factory = path.endswith("()")
    for part in path.removesuffix("()").split("."):
        if not hasattr(found, part):
            raise SettingsError(setting, name, f"a name in the module {module_name!r}")
        found = getattr(found, part)
    if is_factory:
        if not callable(found):
            raise SettingsError(setting, name, f"a function, not {type(found).__name__}")
        found = found()
    if not callable(found):
        raise SettingsError(setting, name, f"an ASGI or WSGI app, not {type(found).__name__}")
    if inspect.isfunction(found) and not _takes_a_request(found):
        raise SettingsError(setting, name, f"an app; {path}() makes one: {module_name}:{path}()")
    return found


def _takes_a_request(function: Any) -> bool:
    """Whether it can be called as an ASGI app is, or a WSGI app; not so a factory."""
    signature = inspect.signature(function)
    for count in (2, 3):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return True
    return False


def interface_of(app: Any) -> Interface:
    """What is called with scope, receive and send is ASGI, with environ and start_response WSGI.

    What tells nothing of its parameters is ASGI if it is a coroutine function.
    """
    call = getattr(app, "__call__", None)  # noqa: B004
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return "asgi"
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return "wsgi"
    taken = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    needed = [each for each in taken if each.default is each.empty]
    by_name = len(taken) == 3 and taken[0].name == "scope"
    return "asgi" if len(needed) == 3 or by_name else "wsgi"
