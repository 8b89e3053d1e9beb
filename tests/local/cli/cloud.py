"""What cannot be had here: AWS's control plane (moto) and a Terraform with a provider (a script)."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

# Answers as Terraform does, from a file that the test writes; notes how it was called.
_TERRAFORM = """#!{python}
import json, os, pathlib, sys
home = pathlib.Path({home!r})
arguments = [each for each in sys.argv[1:] if not each.startswith("-chdir")]
with (home / "calls").open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
state = json.loads((home / "state.json").read_text())
command = arguments[0]
if command in state.get("fails", []):
    sys.exit("Error: no good " + command)
if command == "show":
    print(json.dumps(state["plan"]))
if command == "output":
    print(json.dumps({{k: {{"value": v}} for k, v in state["outputs"].items()}}))
"""


class FakeTerraform:
    """A `terraform` on PATH that is told what it would plan and what its outputs are."""

    def __init__(self, home: Path, monkeypatch: Any) -> None:
        self._home = home
        (home / "bin").mkdir(parents=True)
        program = home / "bin" / "terraform"
        program.write_text(_TERRAFORM.format(python=sys.executable, home=str(home)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def answers(
        self,
        outputs: dict[str, Any],
        actions: dict[str, list[str]] | None = None,
        fails: list[str] | None = None,
    ) -> None:
        changes = [
            {"address": address, "change": {"actions": each}}
            for address, each in (actions or {}).items()
        ]
        problem = [{"problems": [{"message": "The API is open."}]}]
        checks = [{"status": "fail", "instances": problem}, {"status": "pass"}]
        plan = {"resource_changes": changes, "checks": checks}
        state = {"plan": plan, "outputs": outputs, "fails": fails or []}
        (self._home / "state.json").write_text(json.dumps(state))

    @property
    def calls(self) -> list[list[str]]:
        path = self._home / "calls"
        lines = path.read_text().splitlines() if path.is_file() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@contextmanager
def moto_server(monkeypatch: Any) -> Iterator[str]:
    """A moto server on a free port; botocore's clients are led there."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx2.post(f"{url}/moto-api/reset")  # moto keeps its state in the process
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    try:
        yield url
    finally:
        server.stop()
