"""The console: what happens, as JSON and as a page, and the buttons for the faults."""

import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunup.connecting.credentials import Credentials
from sunup.connecting.iam import auth_token, dsql_token

from .aurora import Aurora
from .dsql import Dsql
from .functions import Functions
from .issuer import Issuer
from .neon import Neon
from .timeline import Timeline
from .tokens import Iam

PAGE = Path(__file__).with_name("page")

_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Console:
    """Reads and changes the parts of an emulator, on its event loop."""

    def __init__(
        self,
        aurora: Aurora | Dsql,
        functions: Functions,
        iam: Iam,
        issuer: Issuer,
        timeline: Timeline,
    ) -> None:
        self._aurora = aurora
        self._functions = functions
        self._iam = iam
        self._timeline = timeline

        async def rotate() -> None:
            iam.rotate()
            timeline.add("fault", fault="credentials rotated")

        async def revoke() -> None:
            iam.revoke()
            timeline.add("fault", fault="credentials revoked")

        self._actions: dict[str, Callable[[], Awaitable[Any]]] = {
            "aurora/pause": aurora.pause,
            "aurora/resume": aurora.resume,
            "aurora/drop": aurora.faults.drop,
            "aurora/refuse": aurora.faults.refuse,
            "aurora/restart": aurora.faults.restart,
            "aurora/failover": aurora.faults.failover,
            "credentials/rotate": rotate,
            "credentials/revoke": revoke,
            "instances/reap": functions.reap,
        }
        if isinstance(aurora, Dsql):
            self._actions |= {
                "dsql/conflict": aurora.conflict,
                "dsql/unavailable": aurora.faults.fail_statement,
                "dsql/uncertain": aurora.faults.lose_commit,
            }
        self.app = Starlette(
            middleware=[Middleware(_OwnOnly)],
            routes=[
                Route("/", self._page),
                Mount("/page", StaticFiles(directory=PAGE)),
                Route("/state", self._state),
                Route("/password", self._password),
                *issuer.routes,
                Route("/{action:path}", self._act, methods=["POST"]),
            ],
        )

    def state(self, after: int = -1, since: float | None = None) -> dict[str, Any]:
        """Everything that the page shows; `after` leaves out the events up to that number.

        With `since`, seconds since the epoch, also what was when from that moment on.
        """
        aurora, functions, timeline = self._aurora, self._functions, self._timeline
        return {
            "now": round(time.time(), 3),
            "aurora": {
                "state": aurora.sleep.state,
                "connections": len(aurora.places),
                "logins": aurora.logins,
                "max_connections": aurora.options.connection_limit,
                "awake_seconds": round(aurora.sleep.awake_seconds, 3),
            }
            | ({"status": aurora.sleep.status} if isinstance(aurora, Dsql) else aurora.figures()),
            "instances": [
                {"id": each.id, "state": each.state, "requests": each.requests}
                for each in [*functions.gone, *functions.instances]
            ],
            "events": [each for each in timeline.events if each["n"] > after],
            "run": timeline.history.run,
        } | ({} if since is None else {"history": timeline.since(since)})

    def password(self, user: str) -> str:
        """An IAM token for a role of the database, good for an attempt within 15 minutes.

        Of Neon's, their password.
        """
        key, aurora = self._iam.current, self._aurora
        host, region = aurora.options.host, aurora.options.region
        signer = Credentials(key.id, key.secret, key.session_token)
        if isinstance(aurora, Dsql):
            return dsql_token(host=host, user=user, region=region, credentials=signer)
        if isinstance(aurora, Neon):
            return aurora.options.password
        return auth_token(host=host, port=aurora.port, user=user, region=region, credentials=signer)

    async def act(self, action: str) -> None:
        """Do what a button does. Raises `KeyError` for an unknown action."""
        await self._actions[action]()

    async def _page(self, _: Request) -> Response:
        return HTMLResponse((PAGE / "index.html").read_text(encoding="utf-8"))

    async def _state(self, request: Request) -> Response:
        asked = request.query_params
        try:
            after = int(asked.get("after", "-1"))
            since = float(asked["since"]) if "since" in asked else None
            if since is not None and not math.isfinite(since):
                raise ValueError(since)  # noqa: TRY301
        except ValueError:
            text = "after must be an event's number, and since a time in seconds since the epoch"
            return JSONResponse({"error": text}, 400)
        if asked.get("run", self._timeline.history.run) != self._timeline.history.run:
            after = -1  # the caller knows another emulator's events
        return JSONResponse(self.state(after, since))

    async def _password(self, request: Request) -> Response:
        """A database password: `curl localhost:3001/password?user=app`, for 15 minutes."""
        user = request.query_params.get("user", "app")
        if user == "postgres":
            # A superuser here, which nobody is on Aurora: it could run programs of this account.
            return PlainTextResponse("the owner's password is available from Python only\n", 403)
        return PlainTextResponse(self.password(user))

    async def _act(self, request: Request) -> Response:
        action = request.path_params["action"]
        if action not in self._actions:
            known = sorted(self._actions)
            return JSONResponse({"error": f"no action {action!r}", "actions": known}, 404)
        await self.act(action)
        return JSONResponse(self.state(self._timeline.count))


class _OwnOnly:
    """Refuses what is not asked for by this machine's names.

    Another site's page, open in the same browser, must not press the buttons; nor may one read
    anything whose name its owner leads here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not _is_own(Request(scope)):
            app = JSONResponse(
                {"error": "only the console's own page on this machine may do that"}, 403
            )

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Another site's page must not lead a click to the buttons.
                message["headers"] = [*message["headers"], (b"x-frame-options", b"DENY")]
            await send(message)

        await app(scope, receive, unframed)


def _is_own(request: Request) -> bool:
    origin = request.headers.get("origin")
    try:
        host = request.headers.get("host", "")
        # Another page of this machine is another's page, too: the app's own, perhaps.
        return urlsplit(f"//{host}").hostname in _LOCAL and origin in (None, f"http://{host}")
    except ValueError:
        return False
