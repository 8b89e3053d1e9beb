"""The emulated AWS as one thing: `with Emulator(app) as aws: ...`."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sunup.adapter.loop import Loop
from sunup.connecting.iam import DSQL_ADMIN
from sunup.local import postgres, project, servers
from sunup.local.capacity import CONNECTIONS_CAP
from sunup.local.errors import CommandError
from sunup.local.migrations import django

from . import certificates
from .aurora import Aurora
from .authorizers import Authorizer, IamAuthorizer, JwtAuthorizer
from .behind import APP_ROLE, Behind
from .console import Console
from .dsql import Dsql
from .fronts import front_of
from .functions import Functions
from .gateway import Gateway
from .instance import Function
from .issuer import Issuer
from .listening import bound
from .neon import Neon
from .options import EmulatorOptions
from .package import runtime_folder, unpack
from .proxy import RdsProxy
from .timeline import Timeline
from .tokens import Iam
from .web import WebServer
from .xray import XRayDaemon

T = TypeVar("T")


class Emulator:
    """An AWS on this machine: gateway, function, database, console. Everything ends with the block.

    `app` is a folder or a deployment package (`.zip`, run without anything else installed here),
    `None` for an Aurora without a function (the gateway then answers 500). The app's migrations are
    applied first. `data` is the folder of the database, a temporary one unless given; `server` the
    `DB_*` variables of a PostgreSQL 18 on a Unix socket to be used instead. Raises `PostgresFailed`
    and the like.
    """

    def __init__(
        self,
        app: Path | str | None,
        options: EmulatorOptions | None = None,
        *,
        data: Path | None = None,
        server: Mapping[str, str] | None = None,
        listener: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._app = None if app is None else Path(app).resolve()
        self.options = options or EmulatorOptions()
        self._data = data
        self._server = server
        self._stack = ExitStack()
        self.timeline = Timeline(listener)
        self.iam = Iam()
        self.url = ""
        self.console_url = ""
        self.applied: list[str] = []
        # Whether they were not asked of the emulated DSQL, which would have refused some.
        self.applied_by_owner = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine of one of the parts on the emulator's event loop."""
        return self._loop.submit(work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the emulator's event loop, and wait for it."""
        return self.submit(work).result()

    def do(self, action: str) -> None:
        """Do what a button of the console does, such as `aurora/pause` or `credentials/rotate`."""
        self.run(self.console.act(action))

    def state(self) -> dict[str, Any]:
        """What the console's `GET /state` returns."""
        return self.run(self._state())

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which a client on this machine reaches it as the app's role."""
        return {
            **self._place,
            "DB_USER": APP_ROLE,
            **self.iam.current.environment(),
        }

    @property
    def admin_environ(self) -> dict[str, str]:
        """As `environ`, as Aurora DSQL's `admin`, which migrates."""
        return {**self.environ, "DB_USER": DSQL_ADMIN}

    @property
    def _place(self) -> dict[str, str]:
        dsql = self.options.engine == "dsql"
        return {
            "DB_HOST": self.options.database.host,
            "DB_PORT": str(self.database.port),
            "DB_NAME": "postgres" if dsql else self._database["DB_NAME"],
            "DB_SSLROOTCERT": str(self.database.certificates.root),
            "AWS_REGION": self.options.database.region,
            **({} if self.options.engine == "aurora" else {"DB_ENGINE": self.options.engine}),
            **({"DB_PASSWORD": self.options.neon.password} if self._is_neon else {}),
        }

    @property
    def _is_neon(self) -> bool:
        return self.options.engine in ("neon", "neon-pooler")

    async def _state(self) -> dict[str, Any]:
        return self.console.state()

    async def _note_errors(self) -> None:
        """What asyncio would print, such as a lack of files (EMFILE), is on the timeline."""

        def note(_: object, context: dict[str, Any]) -> None:
            error = context.get("exception")
            self.timeline.add("error", error=f"{context['message']}: {error!r}")

        asyncio.get_running_loop().set_exception_handler(note)

    def _start(self, stack: ExitStack) -> None:
        options = self.options
        binaries = servers.find(options.postgres) if self._server is None else None
        # From here on until the server is started, who is killed leaves it.
        folder = Path(stack.enter_context(_temporary()))
        if self._server is None:
            data = self._data or folder / "postgres"
            running = postgres.running(
                data,
                durable=self._data is not None,
                max_connections=min(options.database.connection_limit, CONNECTIONS_CAP),
                binaries=binaries,
                thrown=folder if self._data is None else None,
            )
            self._database = stack.enter_context(running)
        else:
            self._database = dict(self._server)
        code, runtime = self._app or folder, None
        # Of a package they are beside it: what it was made from.
        found = project.find(options.project or (code if code.is_dir() else code.parent))
        source = None
        if code.is_dir():
            source = found.code if found.code != found.folder else None
        else:
            unpack(code, folder / "code")
            code, runtime = folder / "code", runtime_folder(folder / "runtime")
        manage = found if django.has_django(found.folder) else None
        behind = Behind(self._database, options)
        folder_of_migrations = options.migrations or found.migrations
        self.applied = behind.prepare(folder_of_migrations, manage)
        self.applied_by_owner = options.engine == "dsql" and bool(self.applied)
        self._loop = Loop()
        stack.callback(self._loop.close)
        self.run(self._note_errors())
        made = certificates.make(folder, options.database.host, options.keep)
        with _port_free("the database", options.database.port):
            self._open_database(made)
        self.run(self.database.start())
        stack.callback(lambda: self.run(self.database.stop()))
        if options.engine == "dsql":
            self.applied += behind.migrate_dsql(folder_of_migrations, self.admin_environ)
        function = Function(
            code,
            handler=options.handler,
            region=options.database.region,
            memory=options.memory,
            timeout=options.timeout,
            runtime=runtime,
            source=source,
            bootstrap=options.bootstrap,
            sampled=options.tracing,
        )
        secret = self.iam.current.environment()
        environ = {name: value for name, value in self.environ.items() if name not in secret}
        if options.tracing:
            daemon = XRayDaemon(self.timeline)
            # As the Terraform module sets it with `tracing`.
            environ |= {"TRACES": "xray", "AWS_XRAY_DAEMON_ADDRESS": self.run(daemon.start())}
            stack.callback(lambda: self.run(daemon.stop()))
        self.functions = Functions(
            function, {**environ, **options.environ}, self.iam, options.functions, self.timeline
        )
        self.run(self.functions.start())
        stack.callback(lambda: self.run(self.functions.stop()))
        self.issuer = Issuer(options.gateway.jwt_audience[0])
        with _port_free("the console", options.console_port):
            console = bound(options.console_port)
        stack.callback(console.close)
        with _port_free("the gateway", options.port):
            gateway = bound(options.port)
        stack.callback(gateway.close)
        self.issuer.url = f"http://localhost:{console.getsockname()[1]}"
        self.gateway = Gateway(
            self.functions,
            options.gateway,
            self.timeline,
            front_of(options.gateway, options.database.region),
            self._authorizer(options),
        )
        self.console = Console(self.database, self.functions, self.iam, self.issuer, self.timeline)
        web = [WebServer(self._loop, self.console.app, console)]
        stack.callback(web[0].stop)
        self.console_url = web[0].url
        web.append(WebServer(self._loop, self.gateway, gateway))
        stack.callback(web[1].stop)
        self.url = web[1].url
        # Before the servers end: nobody waits for what still runs.
        stack.callback(lambda: self.run(self.gateway.stop()))
        # And before that: neither of them waits for the other.
        for each in web:
            stack.callback(each.end)

    def _open_database(self, made: certificates.Certificates) -> None:
        """Raises `OSError` where another process has its port."""
        options, folder = self.options, self._database["DB_HOST"]
        if options.engine == "dsql":
            self.dsql = Dsql(
                folder, self._database["DB_NAME"], made, self.iam, options.dsql, self.timeline
            )
            self.database: Aurora | Dsql = self.dsql
            return
        if self._is_neon:
            pooled = options.engine == "neon-pooler"
            self.aurora: Aurora = Neon(
                folder, made, self.iam, options.neon, self.timeline, pooled=pooled
            )
        elif options.engine == "rds-proxy":
            self.aurora = RdsProxy(folder, made, self.iam, options.rds_proxy, self.timeline)
        else:
            self.aurora = Aurora(folder, made, self.iam, options.aurora, self.timeline)
        self.database = self.aurora

    def _authorizer(self, options: EmulatorOptions) -> Authorizer | None:
        gateway = options.gateway
        if gateway.authorization == "JWT":
            issuer = gateway.jwt_issuer or self.issuer.url
            return JwtAuthorizer(issuer, gateway.jwt_audience, gateway.jwt_scopes)
        if gateway.authorization == "AWS_IAM":
            service = "lambda" if gateway.front == "function-url" else "execute-api"
            return IamAuthorizer(self.iam, options.database.region, service)
        return None

    def token(self, **claims: Any) -> str:
        """A JWT that the gateway's authorizer accepts, for `sub="anna"` unless said otherwise."""
        return self.issuer.token(**claims)


def _temporary() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="sunup-aws-", ignore_cleanup_errors=True)


@contextmanager
def _port_free(whose: str, port: int) -> Iterator[None]:
    """Raises `CommandError` where another process has the port."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"{whose} cannot listen on port {port}: {error.strerror or error}",
            "Choose another port, or stop what listens there.",
        ) from None
