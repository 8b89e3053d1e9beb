"""A Python web app on AWS Lambda in front of an Aurora PostgreSQL that sleeps when nobody calls.

Names are loaded when first used: `import sunup` alone costs next to nothing in a cold start.
"""

from os import environ

__version__ = "0.1.0"

# Type checkers treat a variable of this name as true; importing `typing` for it costs milliseconds.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import deadline as deadline
    from .adapter.handler import Handler as Handler
    from .adapter.middleware import RequestMiddleware as RequestMiddleware
    from .credentials import Credentials as Credentials
    from .failures import (
        AccessRefused as AccessRefused,
    )
    from .failures import (
        ConnectionLost as ConnectionLost,
    )
    from .failures import (
        ConnectionsBusy as ConnectionsBusy,
    )
    from .failures import (
        CredentialsMissing as CredentialsMissing,
    )
    from .failures import (
        DatabaseFull as DatabaseFull,
    )
    from .failures import (
        DatabaseMissing as DatabaseMissing,
    )
    from .failures import (
        DatabaseReadOnly as DatabaseReadOnly,
    )
    from .failures import (
        DatabaseResuming as DatabaseResuming,
    )
    from .failures import (
        DatabaseUnavailable as DatabaseUnavailable,
    )
    from .failures import (
        DatabaseUnreachable as DatabaseUnreachable,
    )
    from .failures import (
        PasswordRefused as PasswordRefused,
    )
    from .failures import (
        TLSFailed as TLSFailed,
    )
    from .failures import (
        TokenRefused as TokenRefused,
    )
    from .iam import auth_token as auth_token
    from .settings import Settings as Settings
    from .settings import SettingsError as SettingsError

_HOME = {
    "Handler": "adapter.handler",
    "RequestMiddleware": "adapter.middleware",
    "Credentials": "credentials",
    "Settings": "settings",
    "SettingsError": "settings",
    "auth_token": "iam",
    "AccessRefused": "failures",
    "TLSFailed": "failures",
    "ConnectionLost": "failures",
    "ConnectionsBusy": "failures",
    "CredentialsMissing": "failures",
    "DatabaseFull": "failures",
    "DatabaseMissing": "failures",
    "DatabaseReadOnly": "failures",
    "DatabaseResuming": "failures",
    "DatabaseUnavailable": "failures",
    "DatabaseUnreachable": "failures",
    "PasswordRefused": "failures",
    "TokenRefused": "failures",
}

if "AWS_LAMBDA_INITIALIZATION_TYPE" in environ:
    from .startup import begin

    begin()

__all__ = [
    "AccessRefused",
    "ConnectionLost",
    "ConnectionsBusy",
    "Credentials",
    "CredentialsMissing",
    "DatabaseFull",
    "DatabaseMissing",
    "DatabaseReadOnly",
    "DatabaseResuming",
    "DatabaseUnavailable",
    "DatabaseUnreachable",
    "Handler",
    "PasswordRefused",
    "RequestMiddleware",
    "Settings",
    "SettingsError",
    "TLSFailed",
    "TokenRefused",
    "__version__",
    "auth_token",
    "deadline",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "deadline":
        return import_module(".deadline", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
