"""Ctrl-C, SIGTERM and SIGHUP at any moment: everything ends soon, says little and leaves nothing."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.local.cli.test_dev import free_port

USERS = Path(__file__).parent.parent.parent.parent / "examples" / "users"
SOON = 4.0  # 2 s on a machine that does nothing else


def free_ports() -> tuple[str, str]:
    return str(free_port()), str(free_port())


class Running:
    """`sunup emulate` in a process of its own, whose children are known by a mark."""

    def __init__(self, temporary: Path) -> None:
        self.mark = f"sunup-test-{random.randrange(10**9)}"
        self.port, console = free_ports()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sunup.local.cli", "emulate", str(USERS)),
                *("--port", self.port, "--console-port", console),
                *("--env", f"SUNUP_TEST_MARK={self.mark}"),
            ],
            env={**os.environ, "TMPDIR": str(temporary), "SUNUP_TEST_MARK": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until_it_serves(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                assert httpx2.get(f"http://localhost:{self.port}/users", timeout=10).is_success
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return

    def end(self, number: int) -> tuple[float, str]:
        """Seconds until it has ended, and what it said to standard error."""
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            _, said = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return time.monotonic() - began, said

    def left(self) -> list[str]:
        found = []
        for each in psutil.process_iter():
            try:
                mine = each.environ().get("SUNUP_TEST_MARK") == self.mark
                if mine and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(each.cmdline()))
            except psutil.Error:
                pass
        groups = Path("/sys/fs/cgroup").glob(f"**/sunup-{self.process.pid}-*")
        return found + [str(each) for each in groups]


@pytest.mark.parametrize("moment", [0.3, 0.7, 1.0, 1.2, 1.4, 1.6, 1.9])
def test_while_it_starts(tmp_path: Path, moment: float) -> None:
    running = Running(tmp_path)
    time.sleep(random.uniform(moment - 0.1, moment + 0.1))
    took, said = running.end(random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    assert took < SOON
    assert "Traceback" not in said
    assert running.left() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_under_load(tmp_path: Path, number: int) -> None:
    running = Running(tmp_path)
    running.until_it_serves()
    ending = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=f"http://localhost:{running.port}", timeout=10) as client:
            while not ending.is_set():
                try:
                    client.get("/users")
                except httpx2.TransportError:
                    time.sleep(0.01)

    asking = [threading.Thread(target=ask) for _ in range(12)]
    try:
        with socket.create_connection(("127.0.0.1", int(running.port))) as uploading:
            uploading.sendall(b"POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            for each in asking:
                each.start()
            time.sleep(random.uniform(0.2, 1.0))
            took, said = running.end(number)
    finally:
        ending.set()
        for each in asking:
            each.join(20)
    assert took < SOON
    assert said == ""
    assert running.process.returncode == 0
    assert running.left() == []
    assert list(tmp_path.iterdir()) == []
