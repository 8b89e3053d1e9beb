"""What runs out, what runs away and what talks too much: the instance ends, and the next works."""

import asyncio
import errno
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from sunup.local.emulator import Emulator, FunctionOptions, limits
from sunup.local.emulator.instance import Function, Instance
from sunup.local.emulator.output import LONGEST_LINE
from sunup.local.testing import Emulate

APP = """
import os, subprocess, sys, time
def handler(event, context):
    path = event["rawPath"]
    if path == "/daemon":
        # A daemon, as in the books: two forks, a session of its own, its parent is gone.
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        os.wait()
    if path == "/children":
        for _ in range(3):
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        time.sleep(0.3)
    if path == "/long":
        print("x" * 9_000_000)
        print("y", end="")
    return {"statusCode": 200, "body": str(os.getpid())}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "lambda_function.py").write_text(APP)
    return tmp_path


def works(aws: Emulator) -> bool:
    return httpx2.get(f"{aws.url}/", timeout=20).status_code == 200


@contextmanager
def few_files(more: int) -> Iterator[None]:
    """This process may open so many more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A limit is for the numbers, and the gaps between those in use are filled first.
    gaps = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(gaps) + 1, hard))
    for each in gaps[:more]:
        os.close(each)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in gaps[more:]:
            os.close(each)


@pytest.mark.parametrize("more", range(9))
def test_without_files_a_request_is_a_500_and_the_next_one_works(
    emulate: Emulate, app: Path, more: int, capfd: pytest.CaptureFixture[str]
) -> None:
    aws = emulate(app, functions=FunctionOptions(concurrency=1))
    with httpx2.Client(base_url=aws.url, timeout=20) as client:
        assert client.get("/").status_code == 200
        aws.do("instances/reap")
        with few_files(more):
            status = client.get("/").status_code
        assert status == 500 or (status == 200 and more > 3)
        if status == 500:
            reasons = [
                each["error"] for each in aws.timeline.events if each["kind"] == "integration"
            ]
            assert "no process can be started" in reasons[-1]
        for _ in range(2):
            assert client.get("/").status_code == 200
        assert [each["state"] for each in aws.state()["instances"]].count("frozen") == 1
    assert "Traceback" not in capfd.readouterr().err


def test_without_processes_a_request_is_a_500_and_the_next_one_works(
    emulate: Emulate, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As fork(2) fails beyond RLIMIT_NPROC, which does not count for root."""

    async def refused(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    aws = emulate(app, functions=FunctionOptions(concurrency=1))
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", refused)
        for _ in range(3):
            assert httpx2.get(aws.url).status_code == 500
    assert works(aws)


def of(instance: str) -> list[psutil.Process]:
    """The processes that carry an instance's name in their environment, and live."""
    found = []
    for each in psutil.process_iter():
        try:
            name = each.environ().get("AWS_LAMBDA_LOG_STREAM_NAME", "")
            if name.endswith(instance) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.Error:
            pass
    return found


@pytest.mark.parametrize("path", ["/daemon", "/children"])
@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroups", "no cgroups"])
def test_a_child_in_its_own_session_is_frozen_and_ends_with_its_instance(
    emulate: Emulate, app: Path, path: str, cgroups: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cgroups:
        for each in ("_V1", "_V2"):
            monkeypatch.setattr(limits, each, app / "none")
    aws = emulate(app)
    assert httpx2.get(f"{aws.url}{path}", timeout=20).status_code == 200
    (instance,) = aws.state()["instances"]
    family = of(instance["id"])
    assert len(family) == {"/daemon": 2, "/children": 4}[path]
    if cgroups and aws.functions.instances[0]._share.available:
        time.sleep(0.05)
        assert {each.status() for each in family} == {psutil.STATUS_STOPPED}
    began = time.monotonic()
    aws.do("instances/reap")
    assert time.monotonic() - began < 2
    assert of(instance["id"]) == []
    assert works(aws)


def test_a_log_line_may_have_any_length(emulate: Emulate, app: Path) -> None:
    aws = emulate(app)
    assert httpx2.get(f"{aws.url}/long", timeout=20).status_code == 200
    lines = [each["line"] for each in aws.timeline.events if each["kind"] == "log"]
    printed = [line for line in lines if line.startswith("x")]
    assert "".join(printed) == "x" * 9_000_000
    assert max(map(len, printed)) <= LONGEST_LINE
    assert works(aws)
    aws.do("instances/reap")
    assert "y" in [each.get("line") for each in aws.timeline.events]


async def test_an_instance_that_could_not_start_leaves_nothing(tmp_path: Path) -> None:
    function = Function(tmp_path, python=str(tmp_path / "missing"))
    instance = Instance(function, lambda _: None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Exception, match="no process can be started"):
        await instance.start()
    assert instance.state == "gone"
    await asyncio.sleep(0)
    assert (
        len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    )  # the server's socket closes later
    assert not instance._share.available


BOOT = """
(exec env -i setsid sleep 61.5 < /dev/null > /dev/null 2>&1) &
exec "$@"
"""

ONCE = """
import json, os, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
with urllib.request.urlopen(f"{api}/next") as event:
    name = event.headers["Lambda-Runtime-Aws-Request-Id"]
body = json.dumps({"statusCode": 200, "body": str(os.getpid())}).encode()
urllib.request.urlopen(urllib.request.Request(f"{api}/{name}/response", body, method="POST"))
"""


def test_what_a_bootstrap_starts_first_of_all_ends_with_its_instance(
    emulate: Emulate, tmp_path: Path
) -> None:
    """In the instance's group before it begins: it could start a child with nothing to know it by."""
    if not limits.processor_share_available():
        pytest.skip("needs writable cgroups")
    (tmp_path / "boot.sh").write_text(BOOT)
    (tmp_path / "once.py").write_text(ONCE)
    command = ("sh", "boot.sh", sys.executable, "once.py")
    aws = emulate(tmp_path, bootstrap=command)
    assert httpx2.get(aws.url, timeout=20).status_code == 200
    time.sleep(0.3)
    left = [
        each
        for each in psutil.process_iter(["cmdline"])
        if each.info["cmdline"] == ["sleep", "61.5"]
    ]
    assert left == []


def test_a_runtime_that_ends_after_its_answer_is_gone_and_the_next_one_answers(
    emulate: Emulate, tmp_path: Path
) -> None:
    (tmp_path / "once.py").write_text(ONCE)
    aws = emulate(tmp_path, bootstrap=(sys.executable, "once.py"))
    replies = [httpx2.get(aws.url, timeout=20) for _ in range(4)]
    assert [each.status_code for each in replies] == [200] * 4
    assert len({each.text for each in replies}) == 4
    assert {each["state"] for each in aws.state()["instances"]} == {"gone"}
