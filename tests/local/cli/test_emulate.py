"""`sunup emulate` as a person runs it."""

import os
import re
import shutil
import signal
import socket
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from sunup.local import servers
from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions
from sunup.local.errors import CommandError
from tests.local.cli.test_dev import failing, free_port, sunup, wait_for
from tests.processes import IN_CI

USERS = Path(__file__).parents[3] / "examples" / "users"
DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator.md"


def session(app: Path, *options: object) -> tuple[str, list[int]]:
    port, console = free_port(), free_port()
    process = sunup("emulate", app, "--port", port, "--console-port", console, *options)
    codes: list[int] = []
    try:
        wait_for(process, f"http://127.0.0.1:{console}/state")
        url = f"http://127.0.0.1:{port}"
        codes = [
            httpx2.get(f"{url}{path}", timeout=30).status_code for path in ("/users", "/users/x")
        ]
        httpx2.post(f"http://127.0.0.1:{console}/aurora/pause")
        codes.append(httpx2.get(f"http://127.0.0.1:{port}/users", timeout=30).status_code)
    finally:
        children = []
        if process.poll() is None:  # else its output says why
            children = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=30)[0]
    assert not [each for each in children if each.is_running() and each.status() != "zombie"]
    return output, codes


def test_it_tells_the_addresses_and_then_what_happens() -> None:
    output, codes = session(USERS, "--resume-seconds", 0.5, "--memory", 512)
    assert codes == [200, 400, 200]
    for words in (
        "Gateway     http://localhost:",
        "Console     http://localhost:",
        "Migrations  0001, 0002",
    ):
        assert words in output
    for words in (
        "aurora  asleep",
        "aurora  resuming",
        "gateway GET /users 200",
        " frozen",
        "Init Duration",
    ):
        assert words in output
    assert output.rstrip().endswith("Stopped.")
    assert "\033" not in output
    assert "Traceback" not in output


def test_aurora_dsql_refuses_while_it_wakes_and_the_app_bears_it() -> None:
    output, codes = session(USERS, "--engine", "dsql", "--resume-seconds", 0.5)
    assert codes == [200, 400, 200]
    for words in (
        "Aurora DSQL localhost:",
        "Migrations  0001, 0002",
        "refused: waking up cluster, please retry later",
        "aurora  resuming",
        "gateway GET /users 200",
    ):
        assert words in output
    assert "Traceback" not in output


def test_on_aurora_dsql_django_s_migrations_are_said_to_be_applied_behind_it() -> None:
    output, _ = session(USERS.with_name("users_django"), "--engine", "dsql")
    assert "Note        Aurora DSQL would refuse Django's migrations" in output
    assert "Traceback" not in output


def test_neon_takes_a_password_and_is_suspended_under_the_app() -> None:
    output, codes = session(USERS, "--engine", "neon-pooler", "--sessions", 2)
    assert codes == [200, 400, 200]
    for words in (
        "Neon's pooler localhost:",
        "a password, TLS",
        "aurora  asleep",
        "aurora  resuming",
        "gateway GET /users 200",
    ):
        assert words in output
    assert "Traceback" not in output


def test_an_rds_proxy_stands_before_aurora_and_the_app_does_not_pin() -> None:
    output, codes = session(
        USERS, "--engine", "rds-proxy", "--sessions", 2, "--resume-seconds", 0.5
    )
    assert codes == [200, 400, 200]
    assert "RDS Proxy   localhost:" in output
    assert "pinned" not in output
    assert "Traceback" not in output


def test_a_deployment_package_and_variables_of_one_s_own(tmp_path: Path) -> None:
    package = tmp_path / "lambda.zip"
    with zipfile.ZipFile(package, "w") as file:
        code = "import os\ndef handler(e, c): return {'statusCode': int(os.environ['CODE']), 'body': ''}"
        file.writestr("lambda_function.py", code)
    output, codes = session(package, "--env", "CODE=418", "--payload", "1.0", "--hang-at", "tls")
    assert codes == [418, 418, 418]
    assert "Migrations  nothing to do" in output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["/nowhere"], "there is no folder /nowhere"),
        ([USERS, "--payload", "3.0"], "--payload '3.0' is not supported"),
        ([USERS, "--env", "NOVALUE"], "--env 'NOVALUE' is not NAME=VALUE"),
        ([USERS, "--hang-at", "dns"], "invalid value for '--hang-at'"),
        ([USERS, "--memory", "64"], "invalid value for '--memory'"),
        ([USERS, "--engine", "oracle"], "invalid value for '--engine'"),
        ([USERS, "--sessions", "0"], "invalid value for '--sessions'"),
    ],
)
def test_a_wrong_option_is_a_clear_error(options: list[object], says: str) -> None:
    status, output = failing("emulate", *options)
    assert status != 0
    assert f"sunup: {says}" in output
    assert "Traceback" not in output
    assert output.count("\n") <= 2


def test_a_port_in_use_is_told_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        for option, other, port in (
            ("--port", "--console-port", taken + 1),
            ("--console-port", "--port", taken - 1),
        ):
            status, output = failing("emulate", USERS, option, taken, other, port)
            said = re.search(rf"Choose another: {option} (\d+)\.", output)
            if said is None:  # the neighbour is in use, too
                assert f"port {port} is in use" in output
                continue
            assert status == 1
            assert int(said[1]) not in (taken, port)
    status, output = failing("emulate", USERS, "--port", 4000, "--console-port", 4000)
    assert status == 1
    assert "--port and --console-port are both 4000" in output


def test_an_app_without_an_entry_point_is_told_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    status, output = failing("emulate", tmp_path)
    assert status == 1
    assert output.startswith("sunup: there is no lambda_function.py in ")


def test_a_killed_terminal_leaves_nothing_behind() -> None:
    port, console = free_port(), free_port()
    process = sunup("emulate", USERS, "--port", port, "--console-port", console)
    wait_for(process, f"http://127.0.0.1:{console}/state")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not [each for each in children if each.is_running() and each.status() != "zombie"]


def app_with(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


NODE = re.search(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]  # type: ignore[index]


def test_a_custom_runtime_runs_as_the_document_shows(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        assert not IN_CI, "CI has no node"
        pytest.skip("needs node")
    app = app_with(tmp_path, bootstrap__mjs=NODE)
    port, console = free_port(), free_port()
    process = sunup(
        "emulate",
        app,
        "--port",
        port,
        "--console-port",
        console,
        "--bootstrap",
        "node bootstrap.mjs",
    )
    try:
        wait_for(process, f"http://127.0.0.1:{console}/state")
        for path in ("/a", "/b"):
            reply = httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=30)
            assert (reply.status_code, reply.text) == (200, f"Hello from Node, {path}\n")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=30)[0]
    assert output.rstrip().endswith("Stopped.")


def test_the_line_for_psql_works_and_the_root_certificate_stays(tmp_path: Path) -> None:
    app = shutil.copytree(USERS, tmp_path / "app", ignore=shutil.ignore_patterns(".*"))
    roots = set()
    aurora = free_port()
    for _ in range(2):
        port, console = free_port(), free_port()
        given = ("--port", port, "--console-port", console, "--aurora-port", aurora)
        process = sunup("emulate", app, *given)
        try:
            wait_for(process, f"http://127.0.0.1:{console}/state")
            root = app / ".sunup" / "emulator" / "root.pem"
            with psycopg.connect(
                host="localhost",
                port=aurora,
                user="app",
                dbname="postgres",
                sslmode="verify-full",
                sslrootcert=str(root),
                password=httpx2.get(f"http://127.0.0.1:{console}/password").text,
            ) as connection:
                assert connection.execute("select current_user").fetchone() == ("app",)
            roots.add(root.read_bytes())
        finally:
            os.killpg(process.pid, signal.SIGINT)
            output = process.communicate(timeout=30)[0]
        place = f"host=localhost port={aurora} dbname=postgres user=app sslmode=verify-full"
        assert f'psql "{place} sslrootcert={root}"' in output
    assert len(roots) == 1
    assert (root.with_name("root.key").stat().st_mode & 0o777) == 0o600


def test_options_may_stand_in_pyproject(tmp_path: Path) -> None:
    files = {"app__py": "app = None", "lambda_function__py": HANDLER}
    port, console = free_port(), free_port()
    table = f"[tool.sunup.emulate]\nmemory = 640\nport = {port}\nconsole-port = {console}\n"
    app = app_with(tmp_path, pyproject__toml=table, **files)
    process = sunup("emulate", app)
    try:
        wait_for(process, f"http://127.0.0.1:{console}/state")
        assert httpx2.get(f"http://127.0.0.1:{port}/", timeout=30).text == "640"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    (app / "pyproject.toml").write_text(table + "colour = 1\n")
    assert "has the unknown option 'colour'" in failing("emulate", app)[1]
    (app / "pyproject.toml").write_text(table.replace("640", '"much"'))
    assert "'--memory'" in failing("emulate", app)[1]


HANDLER = """
import os
def handler(event, context):
    return {"statusCode": 200, "body": os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]}
"""


def test_an_extension_that_the_server_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    app = shutil.copytree(USERS, tmp_path / "app", ignore=shutil.ignore_patterns(".*"))
    first = (app / "migrations" / "versions" / "0001_users.py").read_text()
    third = first.replace('revision = "0001"', 'revision = "0003"', 1).replace(
        "down_revision = None", 'down_revision = "0002"'
    )
    body = 'def upgrade() -> None:\n    op.execute("create extension hstore")\n'
    start, _, _ = third.partition("def upgrade()")
    (app / "migrations" / "versions" / "0003_hstore.py").write_text(start + body)
    _, said = failing("emulate", app, "--port", free_port(), "--console-port", free_port())
    assert 'extension "hstore" is not available' in said
    assert "--postgres 1" in said


def test_an_installed_server_brings_its_extensions(tmp_path: Path) -> None:
    installed = [each for each in servers.others() if "hstore" in servers.extensions(each)]
    if not installed:
        pytest.skip("needs a PostgreSQL with its contrib: apt install postgresql")
    app = shutil.copytree(USERS, tmp_path / "app", ignore=shutil.ignore_patterns(".*"))
    versions = app / "migrations" / "versions"
    first = (versions / "0001_users.py").read_text()
    start, _, _ = first.partition("def upgrade()")
    start = start.replace('revision = "0001"', 'revision = "0003"', 1)
    start = start.replace("down_revision = None", 'down_revision = "0002"')
    names = ("hstore", "citext", "pg_trgm", "pgcrypto", "uuid-ossp")
    lines = "".join(f"    op.execute('create extension \"{name}\"')\n" for name in names)
    (versions / "0003_extensions.py").write_text(f"{start}def upgrade() -> None:\n{lines}")
    output, codes = session(app, "--postgres", installed[0].version, "--resume-seconds", 0.2)
    assert codes == [200, 400, 200]
    assert f"PostgreSQL  {installed[0].version} (" in output
    assert "Migrations  0001, 0002, 0003" in output


def test_an_output_that_nobody_reads_any_more_stops_nothing() -> None:
    port, console = free_port(), free_port()
    process = sunup("emulate", USERS, "--port", port, "--console-port", console)
    try:
        wait_for(process, f"http://127.0.0.1:{console}/state")
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Ctrl-C"):
            pass
        process.stdout.close()
        for _ in range(20):
            assert httpx2.get(f"http://127.0.0.1:{port}/users", timeout=30).status_code == 200
        state = httpx2.get(f"http://127.0.0.1:{console}/state?since=0").json()
        assert state["history"]["waiting"] == []
        assert [each["state"] for each in state["instances"]] == ["frozen"]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


@pytest.mark.parametrize("which", ["port", "console_port", "aurora"])
def test_a_port_that_another_emulator_has_is_told(which: str) -> None:
    with Emulator(None) as first:
        taken: Any = {
            "port": int(first.url.rpartition(":")[2]),
            "console_port": int(first.console_url.rpartition(":")[2]),
            "aurora": AuroraOptions(port=first.aurora.port),
        }[which]
        options = replace(EmulatorOptions(), **{which: taken})
        with pytest.raises(CommandError, match="cannot listen on port"):
            Emulator(None, options).__enter__()
        assert httpx2.get(f"{first.console_url}/state").status_code == 200
    with Emulator(None, options):
        pass


def test_a_terminal_that_stands_still_holds_up_nothing(tmp_path: Path) -> None:
    code = """if True:
        def handler(event, context):
            print("x" * 3_000_000)
            return {"statusCode": 200}
    """
    app = app_with(tmp_path, app__py="app = None", lambda_function__py=code)
    port, console = free_port(), free_port()
    process = sunup("emulate", app, "--port", port, "--console-port", console)
    try:
        wait_for(process, f"http://127.0.0.1:{console}/state")
        for _ in range(3):  # nobody reads what is printed
            assert httpx2.get(f"http://127.0.0.1:{port}/", timeout=20).status_code == 200
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
