"""`sunup emulate` as a person runs it."""

import os
import re
import signal
import socket
import zipfile
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.local.cli.test_dev import failing, free_port, sunup, wait_for

USERS = Path(__file__).parents[3] / "examples" / "users"


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
        "Migrations  0001",
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
        ([USERS, "--payload", "3.0"], "--payload is '3.0'"),
        ([USERS, "--env", "NOVALUE"], "--env 'NOVALUE' is not NAME=VALUE"),
        ([USERS, "--hang-at", "dns"], "invalid value for '--hang-at'"),
        ([USERS, "--memory", "64"], "invalid value for '--memory'"),
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
