"""`sunup dev` as a person runs it: a process, a port, Ctrl-C."""

import argparse
import asyncio
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from sunup.local.emulator.instance import Function, Instance
from sunup.local.testing import Emulate
from tests.adapter.test_events import event_1, event_2
from tests.processes import python

EXAMPLES = Path(__file__).parents[3] / "examples"
MESOTA = {"name": "クラスメソ太", "email": "mesota@example.com"}


@pytest.fixture
def app() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sunup-test-") as folder:
        target = Path(folder) / "users"
        ignore = shutil.ignore_patterns(".sunup", "__pycache__", ".env")
        shutil.copytree(EXAMPLES / "users", target, ignore=ignore)
        yield target


# Given to a test of this process.
_given: set[int] = set()


def free_port() -> int:
    """Below those that the system gives to whoever asks for any: it stays free until it is used."""
    while True:
        port = random.randrange(20_000, 32_000)
        if port not in _given:
            with suppress(OSError), socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port


def sunup(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sunup.local.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def dev(app: Path, *options: object, end: int = signal.SIGINT) -> Iterator[tuple[str, list[str]]]:
    port = free_port()
    process = sunup("dev", app, "--port", port, *options)
    output: list[str] = []
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, f"{url}/health")
        yield url, output
    finally:
        os.killpg(process.pid, end)
        output.append(process.communicate(timeout=20)[0])
    assert [each for each in psutil.process_iter() if str(app) in " ".join(cmdline(each))] == []


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def wait_for(process: subprocess.Popen[str], url: str) -> None:
    for _ in range(300):
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(process.stdout.read())
        try:
            httpx2.get(url, timeout=5)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it did not answer")


def readme_session() -> list[tuple[list[str], str]]:
    """The curl lines of the README, and what it says that they print."""
    text = (EXAMPLES.parent / "README.md").read_text()
    session = text.partition("```console\n")[2].partition("```")[0]
    return [
        (shlex.split(command), expected)
        for command, expected in re.findall(r"^\$ (curl .*)\n(.*)$", session, re.MULTILINE)
    ]


def curl(command: list[str], url: str) -> str:
    """What curl prints, on a machine that may not have it."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-X", dest="method", default="GET")
    parser.add_argument("-H", dest="header")
    parser.add_argument("-d", dest="data")
    parser.add_argument("url")
    line = parser.parse_args(command[1:])
    headers = dict([line.header.split(": ")]) if line.header else {}
    address = line.url.replace("http://localhost:3000", url)
    content = None if line.data is None else line.data.encode()
    return httpx2.request(line.method, address, headers=headers, content=content).text


def timeless(text: str) -> str:
    return re.sub(r'("createdAt":)"[^"]+"', r"\1", text)


def test_the_readme_s_session_works_and_a_second_start_keeps_the_data(app: Path) -> None:
    session = readme_session()
    assert len(session) == 4
    with dev(app) as (url, output):
        for command, expected in session:
            assert timeless(curl(command, url)) == timeless(expected)
        (kept,) = httpx2.get(f"{url}/users").json()
    text = output[0]
    assert "Migrations  0001, 0002" in text
    port = url.rpartition(":")[2]
    assert f"curl http://localhost:{port}/users/1\n" in text
    assert len(re.findall(r"^curl ", text, re.MULTILINE)) == 3
    assert "Stopped. The data is kept." in text
    assert "POST /users 201" in text
    assert "Traceback" not in text
    with dev(app, end=signal.SIGTERM) as (url, output):
        assert httpx2.get(f"{url}/users").json() == [kept]
    assert "Migrations  nothing to do" in output[0]


def test_the_same_app_on_lambda_gives_the_same_bodies(app: Path) -> None:
    """The real awslambdaric, payload 2.0 and 1.0, against what curl gets."""
    data = app / ".sunup" / "postgres"
    calls = [
        ("POST", "/users", MESOTA),
        ("GET", "/users", None),
        ("GET", "/users/1", None),
        ("PUT", "/users/1", {"name": "Mesota"}),
        ("GET", "/users/12abc", None),
        ("POST", "/users", {"name": "only"}),
        ("GET", "/users/99", None),
        ("GET", "/health?deep=1", None),
        ("GET", "/nothing", None),
        ("DELETE", "/users/1", None),
    ]

    def plain(body: str) -> str:
        return re.sub(r'("createdAt":)"[^"]+"', r'\1""', re.sub(r'("id":)\d+', r"\1", body))

    with dev(app) as (url, _):
        by_curl = []
        for method, path, content in calls:
            reply = httpx2.request(method, f"{url}{path}", json=content)
            by_curl.append((reply.status_code, plain(reply.text)))
        environ = {"DB_HOST": str(data), "DB_USER": "postgres", "DB_NAME": "postgres"}
        lines: list[str] = []

        async def on_lambda(make: Any) -> list[tuple[int, str]]:
            instance = Instance(Function(app, environ=environ), lines.append)
            await instance.start()
            replies = []
            user = ""
            for method, path, content in calls:
                event = make(
                    method,
                    path.replace("/users/1", user or path, 1) if path == "/users/1" else path,
                    content,
                )
                response = json.loads((await instance.invoke(json.dumps(event).encode())).body)
                if response["statusCode"] == 201:
                    user = f"/users/{json.loads(response['body'])['id']}"
                replies.append((response["statusCode"], plain(response["body"])))
            await instance.stop()
            return replies

        assert asyncio.run(on_lambda(as_event_2)) == by_curl
        assert asyncio.run(on_lambda(as_event_1)) == by_curl
    requests = [json.loads(line) for line in lines if line.startswith("{")]
    assert [line["level"] for line in requests] == ["INFO"] * 20
    assert [line.get("cold_start", False) for line in requests[:2]] == [True, False]
    assert "mesota" not in "".join(lines)


def as_event_2(method: str, path: str, content: object) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return event_2(
        rawPath=path,
        rawQueryString=query,
        cookies=[],
        body=None if content is None else json.dumps(content),
        requestContext={"http": {"method": method}, "timeEpoch": int(time.time() * 1000)},
    )


def as_event_1(method: str, path: str, content: object) -> dict[str, Any]:
    path, _, query = path.partition("?")
    name, _, value = query.partition("=")
    return event_1(
        httpMethod=method,
        path=path,
        multiValueQueryStringParameters={name: [value]} if query else None,
        queryStringParameters=None,
        body=None if content is None else json.dumps(content),
        requestContext={"path": path, "requestTimeEpoch": int(time.time() * 1000)},
    )


def test_a_changed_file_is_served_without_a_restart(app: Path) -> None:
    with dev(app) as (url, _):
        source = (app / "app.py").read_text().replace('"status": "ok"', '"status": "changed"')
        for attempt in range(100):
            if attempt % 20 == 0:  # written again: the watch may begin after the app is ready
                (app / "app.py").write_text(source)
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{url}/health").json() == {"status": "changed"}:
                    break
            time.sleep(0.1)
        assert httpx2.get(f"{url}/health").json() == {"status": "changed"}


def test_two_saves_within_a_second_are_both_served(
    tmp_path: Path, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A formatter writes what was just saved: the bytecode of the first looks like the second's."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    text = (
        "def app(environ, start_response):\n"
        "    from words import word  # at the first request, as Django imports its views\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [word]\n"
    )
    second = time.time() + 60  # however slow this machine is, it is new when it is read

    def save(word: str) -> None:
        (tmp_path / "words.py").write_text(f"word = b'{word}'")
        os.utime(tmp_path / "words.py", (second, second))

    save("one")
    (tmp_path / "app.py").write_text(text)
    address = f"postgresql://postgres@/postgres?host={server['DB_HOST']}"
    with dev(tmp_path, "--database-url", address) as (url, _):
        for word in ("two", "six", "ten"):
            save(word)
            found = ""
            for _ in range(100):
                with suppress(httpx2.TransportError):
                    found = httpx2.get(url).text
                if found == word:
                    break
                time.sleep(0.1)
            assert found == word


def test_another_server_is_used_when_it_is_named(app: Path, database: dict[str, str]) -> None:
    url = f"postgresql://postgres@/{database['DB_NAME']}?host={database['DB_HOST']}"
    with dev(app, "--database-url", url) as (address, output):
        assert httpx2.get(f"{address}/health?deep=1").json()["database"] == "ok"
        # Other commands find it, too.
        status = sunup("migrate", "status", app).communicate(timeout=20)[0]
        assert status.startswith("applied")
    assert not (app / ".sunup/database.json").exists()
    assert "Migrations  0001, 0002" in output[0]


def test_a_wsgi_app_without_migrations_is_served_too(
    tmp_path: Path, server: dict[str, str]
) -> None:
    (tmp_path / "app.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [environ['PATH_INFO'].encode()]\n"
    )
    url = f"postgresql://postgres@/postgres?host={server['DB_HOST']}"
    with dev(tmp_path, "--database-url", url) as (address, _):
        assert httpx2.get(f"{address}/hello").text == "/hello"


def failing(command: str, *arguments: object) -> tuple[int, str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    # Somebody else may be on 3000.
    own = () if "--port" in arguments else ("--port", free)
    process = sunup(command, *arguments, *own)
    output = process.communicate(timeout=30)[0]
    return process.returncode, output


def test_a_port_in_use_is_one_clear_line(app: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        status, output = failing("dev", app, "--port", port)
    assert status == 1
    said = re.fullmatch(
        rf"sunup: port {port} is in use\n       Choose another: --port (\d+)\.\n", output
    )
    assert said
    assert int(said[1]) != port


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["/nowhere"], "sunup: there is no folder /nowhere"),
        (["--port", "0"], "sunup: invalid value for '--port'"),
        (
            ["--database-url", "mysql://h/x"],
            "sunup: --database-url (DATABASE_URL) is 'mysql:// URL'; expected",
        ),
    ],
)
def test_a_wrong_option_is_a_clear_error(app: Path, options: list[str], says: str) -> None:
    status, output = failing("dev", *([app] if options[0].startswith("-") else []), *options)
    assert status != 0
    assert says in output
    assert "Traceback" not in output


def test_an_unreachable_server_is_a_clear_error(app: Path) -> None:
    url = "postgresql://u:geheim@localhost:1/x?sslmode=disable"
    status, output = failing("dev", app, "--database-url", url)
    assert status == 1
    assert "sunup: The database cannot be reached" in output
    assert "geheim" not in output
    assert "Traceback" not in output


def test_a_wrong_setting_in_dotenv_is_a_clear_error(app: Path) -> None:
    (app / ".env").write_text("DB_HOST=localhost\nDB_PORT=abc\n")
    status, output = failing("dev", app)
    assert (status, output.count("\n")) == (1, 1)
    assert output.startswith("sunup: DB_PORT is 'abc'; expected a whole number")


def test_help_teaches() -> None:
    status, output = failing("dev", "--help")
    assert status == 0
    for word in ("--port", "--data", "--database-url", "Ctrl-C", "DB_HOST"):
        assert word in output


MORE = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade(): op.execute("create table notes (id int)")
def downgrade(): op.execute("drop table notes")
"""


def told(process: subprocess.Popen[str], words: str, seconds: float = 15) -> str:
    """The line with these words, once it was said."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    end, said = time.monotonic() + seconds, ""
    while words not in said:
        assert time.monotonic() < end, said
        with suppress(BlockingIOError):
            said += os.read(process.stdout.fileno(), 65_536).decode()
        time.sleep(0.05)
    return next(line for line in said.splitlines() if words in line)


def saved(path: Path, text: str, process: subprocess.Popen[str], words: str) -> str:
    """The line that is said then; written again, as the watch may begin after the app is ready."""
    for _ in range(5):
        path.write_text(text)
        with suppress(AssertionError):
            return told(process, words, 5)
    pytest.fail(f"nothing was said of {path.name}")


def test_a_new_migration_is_applied_on_reload_and_its_error_told(app: Path) -> None:
    port = free_port()
    process = sunup("dev", app, "--port", port)
    try:
        wait_for(process, f"http://127.0.0.1:{port}/health")
        file = app / "migrations/versions/0003_notes.py"
        more = MORE.replace("0002", "0003").replace("0001", "0002")
        line = saved(file, more.replace("create table", "creat table"), process, "migrations: ")
        assert "0003_notes.py: SyntaxError" in line
        assert saved(file, more, process, "migrations: applied").endswith("applied 0003")
        wait_for(process, f"http://127.0.0.1:{port}/health")
        assert httpx2.get(f"http://127.0.0.1:{port}/users").status_code == 200
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)


def test_other_commands_find_the_database_of_dev(app: Path) -> None:
    with dev(app) as (url, _):
        assert httpx2.post(f"{url}/users", json=MESOTA).status_code == 201
        status = sunup("migrate", "status", app)
        assert "applied" in status.communicate(timeout=20)[0]
        script = app / "count.py"
        script.write_text(
            "import asyncio\nfrom database import db\n"
            "async def main():\n"
            "    async with db.connection() as c:\n"
            "        print(await c.fetchval('select count(*) from users'))\n"
            "asyncio.run(main())\n"
        )
        done = python(app, script)
        assert (done.stdout, done.stderr) == ("1\n", "")
    assert not (app / ".sunup/database.json").exists()
    # Without it, one runs for the script's time.
    done = python(app, script)
    assert done.stdout == "1\n"
    assert "PostgreSQL runs in" in done.stderr
    with dev(app) as (url, _):
        assert len(httpx2.get(f"{url}/users").json()) == 1


def test_a_dev_that_was_killed_leaves_nothing_on_its_port(app: Path) -> None:
    port = free_port()
    process = sunup("dev", app, "--port", port)
    url = f"http://127.0.0.1:{port}"
    wait_for(process, f"{url}/health")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 15
    while [each for each in psutil.process_iter() if str(app) in " ".join(cmdline(each))]:
        assert time.monotonic() < end
        time.sleep(0.1)
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", port), reuse_port=True):
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    if process.stdout is not None:
        process.stdout.close()
    with dev(app) as (again, _):
        assert httpx2.get(f"{again}/users").json() == []


def test_a_misspelt_host_is_pointed_at(app: Path) -> None:
    (app / ".env").write_text("DB_HSOT=db.example\n")
    for arguments in (("dev", app), ("migrate", "up", app)):
        said = sunup(*arguments).communicate(timeout=20)[0]
        assert said.splitlines()[0] == "sunup: .env has DB_HSOT, but no DB_HOST"
        assert "Did you mean DB_HOST?" in said


SRC = {
    "src/shop/__init__.py": "",
    "src/shop/main.py": """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
async def talk(socket):
    await socket.accept()
    await socket.send_text("good morning")
    await socket.close()
def create_app():
    page = Route("/health", lambda _: PlainTextResponse("well"))
    return Starlette(routes=[page, WebSocketRoute("/talk", talk)])
""",
    "lambda_function.py": (
        "from sunup import Handler\nhandler = Handler('shop.main:create_app()')\n"
    ),
    "pyproject.toml": "[tool.sunup]\napp = 'shop.main:create_app()'\n",
}


def test_an_app_in_src_that_a_function_makes_is_served_with_its_web_sockets(
    tmp_path: Path, emulate: Emulate
) -> None:
    app = tmp_path / "shop"
    for name, text in SRC.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    with dev(app) as (url, _):
        assert httpx2.get(f"{url}/health").text == "well"
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"GET /talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            said = b""
            while b"good morning" not in said:
                more = connection.recv(1000)
                assert more, said
                said += more
        # Of RFC 6455, section 1.3.
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in said
    assert httpx2.get(f"{emulate(app).url}/health").text == "well"


def test_an_app_with_an_error_is_answered_with_it_until_it_is_mended(tmp_path: Path) -> None:
    app = tmp_path / "shop"
    app.mkdir()
    (app / "pyproject.toml").write_text("[tool.sunup]\n")
    (app / "venv").mkdir()
    (app / "venv" / "pyvenv.cfg").touch()
    mended = (
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'well'})\n"
    )
    (app / "app.py").write_text(mended)
    port = free_port()
    process = sunup("dev", app, "--port", port)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_for(process, url)
        for broken, says in (
            ("def x(:\n", "SyntaxError"),
            ("import no_such_module\n", "No module named 'no_such_module'"),
            ("other = 1\n", "app is 'app:app'; expected a name in the module 'app'"),
            ("raise RuntimeError('at import')\n", "RuntimeError: at import"),
        ):
            (app / "app.py").write_text(broken)
            assert says in told(process, says)
            answer = until(url, lambda status: status == 500)[1]
            assert says in answer
            assert "importlib" not in answer
            (app / "app.py").write_text(mended)
            assert until(url, lambda status: status == 200) == (200, "well")
        (app / "venv" / "installed.py").write_text("")  # no change of the app's
        (app / "app.py").write_text(f"{mended}\n")
        assert "venv" not in told(process, "Reloading")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)


def until(url: str, wanted: Callable[[int], bool]) -> tuple[int, str]:
    """The answer, once its status is as wanted: a reload takes a moment."""
    for _ in range(100):
        with suppress(httpx2.TransportError):
            answer = httpx2.get(url, timeout=5)
            if wanted(answer.status_code):
                return answer.status_code, answer.text
        time.sleep(0.1)
    raise AssertionError(url)


def test_an_app_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    app = tmp_path / "shop"
    app.mkdir()
    (app / "app.py").write_text("application = 1\n")
    process = sunup("dev", app, "--port", free_port())
    try:
        line = told(process, "expected a name in the module 'app'")
        assert "app is 'app:app'" in line
    finally:
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=20)[0]
    assert "Traceback" not in said
