"""A Python web app on AWS Lambda in front of an Aurora PostgreSQL that sleeps when nobody calls.

Names are loaded when first used: `import sunup` alone costs next to nothing in a cold start.
"""

from os import environ

__version__ = "0.1.0"

# Where each name is; what is not here is a failure's. Type checkers read the imports below.
_HOME = {
    "Caller": "adapter.caller",
    "Credentials": "connecting.credentials",
    "Handler": "adapter.handler",
    "RequestMiddleware": "adapter.middleware",
    "Settings": "settings",
    "SettingsError": "settings",
    "auth_token": "connecting.iam",
    "caller": "adapter.caller",
    "after_commit": "receipts",
    "deadline": "",
    "exactly_once": "receipts",
}

# Type checkers treat a variable of this name as true; importing `typing` for it costs milliseconds.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import deadline as deadline
    from .adapter.caller import Caller as Caller
    from .adapter.caller import caller as caller
    from .adapter.handler import Handler as Handler
    from .adapter.middleware import RequestMiddleware as RequestMiddleware
    from .connecting.credentials import Credentials as Credentials
    from .connecting.iam import auth_token as auth_token
    from .failures import *  # noqa: F403
    from .receipts import after_commit as after_commit
    from .receipts import exactly_once as exactly_once
    from .settings import Settings as Settings
    from .settings import SettingsError as SettingsError

if "AWS_LAMBDA_INITIALIZATION_TYPE" in environ:
    from .adapter.startup import begin, settle_environment

    settle_environment()
    begin()


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__all__":
        return __dir__()
    home = _HOME.get(name, "failures")
    if not home:
        return import_module(f".{name}", __name__)
    module = import_module(f".{home}", __name__)
    if home == "failures" and name not in module.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from . import failures

    return sorted([*_HOME, *failures.__all__, "__version__"])
