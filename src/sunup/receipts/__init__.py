"""Exactly once: a request that may be repeated, and a COMMIT whose answer was lost.

app = exactly_once(app, database=db)

Only what a request without a key needs is loaded with this module.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sunup import request
from sunup.adapter.loading import interface_of

from .policy import Policy, Routes, matches

__all__ = ["after_commit", "exactly_once"]

A = TypeVar("A", bound=Callable[..., Any])


def exactly_once(
    app: Any,
    *,
    database: Any,
    required: Routes = (),
    always: Routes = (),
    repeat: Routes = (),
    caller: Callable[[Mapping[str, Any]], str | None] | None = None,
    keep: float = 24 * 3600,
    largest: int = 64 * 1024,
    wait: float = 2.0,
    isolation: str | None = None,
) -> Any:
    """An ASGI or WSGI app that executes a request with an `Idempotency-Key` at most once.

    Such a request's work is one transaction: each `database.connection()` and each session joins
    it, and its answer is kept in it, in the table `sunup_receipts`. Whoever repeats the request
    with its key gets that answer. What is answered 5xx, or raises, leaves nothing behind. Where the
    answer to COMMIT is lost, it is found out whether that happened, and the client is told.

    `database` is the app's: a `Database` of `sunup.asyncpg` or `sunup.psycopg`, or an engine of
    `sunup.integrations.sqlalchemy`. Routes are patterns of a method and a path, such as
    `POST /users` or `PUT /users/*`, or True for all. `required`: without a key the answer is 400.
    `always`: a request without one gets one, made of the gateway's id of it. `repeat`: sunup may
    run the work again, within the deadline, after a lost connection, a serialization failure, a
    deadlock or a failover; what the app did elsewhere is not undone. `caller` tells from a scope or
    an environ who calls, where no authorizer in front of the app does. An answer is kept for `keep`
    seconds, its body up to `largest` bytes. A second request waits `wait` seconds for the first;
    then the answer is 409. `isolation` is the transaction's, `read_committed`, `repeatable_read` or
    `serializable`, where it is not the connection's own. Raises `TypeError` and `ValueError` for
    what cannot be.
    """
    policy = Policy(
        required=required,
        always=always,
        repeat=repeat,
        caller=caller,
        keep=keep,
        largest=largest,
        wait=wait,
        isolation=isolation,
    )
    if interface_of(app) == "asgi":
        return _Asgi(app, policy, database)
    if not getattr(database, "blocking", not hasattr(database, "sync_engine")):
        raise TypeError(
            f"exactly_once got a WSGI app and {type(database).__module__}.{type(database).__name__}"
            ", which is for async apps; expected a sunup.psycopg.Database, or its engine"
        )
    return _Wsgi(app, policy, database)


def after_commit(function: Callable[[], Any]) -> None:
    """Call it when the request's work has been committed, before the request is answered.

    It takes no arguments, and may be a coroutine function in an ASGI app. What it raises is logged:
    the request stays executed. It is not called where the work was rolled back, and not where the
    process ends at this moment: what must happen belongs into a table (an outbox). Outside of a
    request with a receipt nothing is known of a commit: it is called at once, and a coroutine
    function is a `TypeError` there.
    """
    run = request.run_here()
    if run is not None and run.unit is not None:
        run.after_commit.append(function)
        return
    result = function()
    if hasattr(result, "__await__"):
        result.close()
        raise TypeError("after_commit got a coroutine function outside of a request with a receipt")


def wants(policy: Policy, method: str, path: str, *, has_key: bool) -> bool:
    """Whether a request may have a receipt: quickly, for each request."""
    if method in request.SAFE_METHODS:
        return False
    if has_key:
        return True
    if not policy.required and not policy.always:
        return False
    return matches(policy.required, method, path) or matches(policy.always, method, path)


class _Wrapped:
    def __init__(self, app: Any, policy: Policy, database: Any) -> None:
        self.app = app
        self._policy = policy
        self._database = database
        # Made for the first request that needs it.
        self._service: Any = None
        if not hasattr(database, "unit"):
            self._made()  # raises for what is no database

    def __getattr__(self, name: str) -> Any:
        # Frameworks' apps have attributes that others ask for (`app.state`, `app.routes`).
        if name == "app":
            raise AttributeError(name)
        return getattr(self.app, name)

    def _made(self) -> Any:
        if self._service is None:
            from .service import Service

            self._service = Service(self._policy, self._database)
        return self._service


class _Asgi(_Wrapped):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            has_key = False
            for name, _ in scope["headers"]:
                if name == b"idempotency-key":
                    has_key = True
            path, prefix = scope["path"], scope.get("root_path", "")
            path = path.removeprefix(prefix) if prefix else path
            if wants(self._policy, scope["method"], path, has_key=has_key):
                from .asgi import serve

                await serve(self._made(), self.app, scope, receive, send)
                return
        await self.app(scope, receive, send)


class _Wsgi(_Wrapped):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        has_key = "HTTP_IDEMPOTENCY_KEY" in environ
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if wants(self._policy, method, path, has_key=has_key):
            from .wsgi import serve

            return serve(self._made(), self.app, environ, start_response)
        return self.app(environ, start_response)
