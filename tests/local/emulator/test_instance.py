import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sunup.local.emulator.instance import Function, Instance, InstanceFailed


async def until_frozen(pid: int) -> None:
    """It is stopped once it has asked for the next event."""
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110  # a process tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
async def nothing_is_left_running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Also when a test fails."""
    started: list[Instance] = []
    start = Instance.start

    async def remembered(self: Instance, *args: Any, **options: Any) -> None:
        started.append(self)
        await start(self, *args, **options)

    monkeypatch.setattr(Instance, "start", remembered)
    yield
    for instance in started:
        if instance.state != "gone":
            await instance.stop()


def function(tmp_path: Path, code: str, **options: object) -> Function:
    (tmp_path / "lambda_function.py").write_text(code)
    return Function(tmp_path, **options)  # type: ignore[arg-type]


ECHO = """
import os, time
def handler(event, context):
    print("seen", event["n"])
    return {"pid": os.getpid(), "left": context.get_remaining_time_in_millis(),
            "env": dict(os.environ)}
"""


async def test_events_are_answered_by_one_process_that_is_frozen_in_between(tmp_path: Path) -> None:
    lines: list[str] = []
    instance = Instance(function(tmp_path, ECHO, timeout=5), lines.append)
    await instance.start()
    assert instance.state == "frozen"
    answers = [json.loads((await instance.invoke(b'{"n": %d}' % n)).body) for n in range(3)]
    assert len({answer["pid"] for answer in answers}) == 1
    assert 4000 < answers[0]["left"] <= 5000
    pid = answers[0]["pid"]
    await until_frozen(pid)
    await instance.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert [line for line in lines if line.startswith("seen")] == ["seen 0", "seen 1", "seen 2"]
    assert instance.requests == 3


async def test_the_environment_is_lambda_s_and_nothing_of_this_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THIS_MACHINE", "x")
    instance = Instance(function(tmp_path, ECHO, environ={"DB_HOST": "h"}), print)
    await instance.start()
    environ = json.loads((await instance.invoke(b'{"n": 1}')).body)["env"]
    await instance.stop()
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == "sunup-app"
    assert environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert environ["TZ"] == ":UTC"
    assert environ["DB_HOST"] == "h"
    assert "SECRET_OF_THIS_MACHINE" not in environ
    assert "HOME" not in environ


async def test_an_error_of_the_function_is_an_outcome(tmp_path: Path) -> None:
    code = "def handler(event, context): raise KeyError('x')"
    instance = Instance(function(tmp_path, code), lambda _: None)
    await instance.start()
    outcome = await instance.invoke(b"{}")
    assert outcome.error
    assert outcome.error_message == "KeyError: 'x'"
    assert (await instance.invoke(b"{}")).error
    await instance.stop()


async def test_an_error_at_init_is_told(tmp_path: Path) -> None:
    instance = Instance(function(tmp_path, "raise ImportError('no driver')"), lambda _: None)
    with pytest.raises(
        InstanceFailed, match="Unable to import module 'lambda_function': no driver"
    ):
        await instance.start()
    assert instance.state == "gone"


async def test_init_has_a_limit(tmp_path: Path) -> None:
    instance = Instance(function(tmp_path, "import time; time.sleep(30)"), lambda _: None)
    began = time.monotonic()
    with pytest.raises(InstanceFailed, match="INIT took longer"):
        await instance.start(limit=0.5)
    assert time.monotonic() - began < 2


async def test_a_timeout_ends_the_instance(tmp_path: Path) -> None:
    code = "import time\ndef handler(event, context): time.sleep(30)"
    instance = Instance(function(tmp_path, code, timeout=0.5), lambda _: None)
    await instance.start()
    with pytest.raises(InstanceFailed, match=r"Task timed out after 0\.50 seconds"):
        await instance.invoke(b"{}")
    assert instance.state == "gone"


@pytest.mark.parametrize(
    ("crash", "words"),
    [
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.abort()", "Runtime exited with error: signal: aborted"),
        ("ctypes.string_at(0)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
async def test_a_crash_ends_the_instance_and_is_told_in_lambda_s_words(
    tmp_path: Path, crash: str, words: str
) -> None:
    code = f"import ctypes, os\ndef handler(event, context): {crash}"
    instance = Instance(function(tmp_path, code), lambda _: None)
    await instance.start()
    with pytest.raises(InstanceFailed, match=f"^{words}$"):
        await instance.invoke(b"{}")
    assert instance.state == "gone"


async def test_a_frozen_process_does_not_work(tmp_path: Path) -> None:
    code = """
import threading, time
count = 0
def work():
    global count
    while True:
        time.sleep(0.01); count += 1
threading.Thread(target=work, daemon=True).start()
def handler(event, context): return count
"""
    instance = Instance(function(tmp_path, code), lambda _: None)
    await instance.start()
    before = int((await instance.invoke(b"{}")).body)
    await asyncio.sleep(0.5)
    after = int((await instance.invoke(b"{}")).body)
    await instance.stop()
    assert after - before < 20


BOOTSTRAP = """
import json, os, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
held = bytearray(40_000_000)
while True:
    with urllib.request.urlopen(f"{api}/next") as event:
        id = event.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = {"seen": json.load(event), "handler": os.environ["_HANDLER"]}
    urllib.request.urlopen(f"{api}/{id}/response", json.dumps(answer).encode()).close()
"""


async def test_a_bootstrap_takes_the_place_of_python_s_runtime_client(tmp_path: Path) -> None:
    (tmp_path / "bootstrap.py").write_text(BOOTSTRAP)
    custom = Function(
        tmp_path,
        handler="index.handler",
        bootstrap=(sys.executable, str(tmp_path / "bootstrap.py")),
    )
    instance = Instance(custom, print)
    with pytest.raises(ProcessLookupError):
        _ = instance.pid
    await instance.start()
    began = time.perf_counter()
    outcome = await instance.invoke(b'{"n": 1}')
    assert json.loads(outcome.body) == {"seen": {"n": 1}, "handler": "index.handler"}
    assert began < outcome.at < time.perf_counter()
    await until_frozen(instance.pid)
    await instance.stop()


async def test_memory_that_is_not_enforced_is_only_a_share_of_the_processor(tmp_path: Path) -> None:
    hungry = "held = bytearray(200_000_000)\ndef handler(event, context): return len(held)\n"
    instance = Instance(function(tmp_path, hungry, memory=128, enforce_memory=False), print)
    await instance.start()
    assert json.loads((await instance.invoke(b"{}")).body) == 200_000_000
    assert instance.peak_memory > 128
    await instance.stop()


async def test_a_short_peak_of_memory_is_seen(tmp_path: Path) -> None:
    brief = """
def handler(event, context):
    held = len(bytearray(event["bytes"]))
    return held
"""
    instance = Instance(function(tmp_path, brief, memory=128), print)
    await instance.start()
    assert (await instance.invoke(b'{"bytes": 50000000}')).body == b"50000000"
    assert 50 < instance.peak_memory < 128
    with pytest.raises(InstanceFailed, match="OutOfMemory"):
        await instance.invoke(b'{"bytes": 200000000}')
    assert instance.state == "gone"
