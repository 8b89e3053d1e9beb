"""What cannot be had here: AWS's control plane (moto) and a Terraform with a provider (a script)."""

import json
import os
import stat
import sys
import uuid
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
(home / "environ").write_text(json.dumps(dict(os.environ)))
for each in arguments:
    if each.startswith("-var-file=") and each.endswith(".json"):
        path, kept = pathlib.Path(each.partition("=")[2]), home / "values"
        before = json.loads(kept.read_text()) if kept.is_file() and path.name != "settings.tfvars.json" else {{}}
        kept.write_text(json.dumps({{**before, **json.loads(path.read_text())}}))
command = arguments[0]
if command in ("init", "workspace"):
    data = pathlib.Path(os.environ.get("TF_DATA_DIR") or pathlib.Path(sys.argv[1].partition("=")[2]) / ".terraform")
    data.mkdir(parents=True, exist_ok=True)
    if command == "workspace" and "workspace" not in state.get("fails", []):
        (data / "environment").write_text(arguments[-1])
if command in state.get("fails", []):
    sys.exit("Error: no good " + command)
if command == "show":
    print(json.dumps(state["plan"]))
if command == "output":
    print(json.dumps({{k: {{"value": v}} for k, v in state["outputs"].items()}}))
"""


# One of the two in which moto has Aurora DSQL.
DSQL_REGION = "us-east-1"


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
        changes: list[dict[str, Any]] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        changes = [
            {"address": address, "change": {"actions": each}}
            for address, each in (actions or {}).items()
        ] + (changes or [])
        problem = [{"problems": [{"message": "The API is open."}]}]
        checks = [{"status": "fail", "instances": problem}, {"status": "pass"}]
        function = {
            "type": "aws_lambda_function",
            "values": {"environment": [{"variables": environment or {}}]},
        }
        values = {"root_module": {"resources": [function]}}
        plan = {"resource_changes": changes, "checks": checks, "planned_values": values}
        state = {"plan": plan, "outputs": outputs, "fails": fails or []}
        (self._home / "state.json").write_text(json.dumps(state))

    @property
    def environ(self) -> dict[str, str]:
        """That it was called with last."""
        return dict(json.loads((self._home / "environ").read_text()))

    @property
    def values(self) -> dict[str, Any]:
        """A stage's variables, as it was given them last."""
        return dict(json.loads((self._home / "values").read_text()))

    @property
    def calls(self) -> list[list[str]]:
        path = self._home / "calls"
        lines = path.read_text().splitlines() if path.is_file() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


def like_lambda(monkeypatch: Any) -> None:
    """What moto leaves out: version numbers are never used twice, and what has not changed is not
    published again (Lambda Developer Guide, "Manage function versions"); RevisionId and CodeSha256 of a request have to be the current ones (Lambda
    API, UpdateAlias, PublishVersion); code can come with another processor (UpdateFunctionCode).
    """  # fmt: skip
    from moto.awslambda.exceptions import (
        InvalidParameterValueException,
        PreconditionFailedException,
    )
    from moto.awslambda.models import LambdaFunction
    from moto.awslambda.responses import LambdaResponse

    numbers: dict[str, int] = {}
    set_version, update_alias = LambdaFunction.set_version, LambdaResponse.update_alias
    publish = LambdaResponse.publish_version

    def once(self: Any, version: int) -> None:
        last = numbers[self.function_name] = max(version, numbers.get(self.function_name, 0) + 1)
        set_version(self, last)

    def moved(self: Any) -> Any:
        parts = self.path.split("/")
        alias = self.backend.get_alias(parts[-1], parts[-3])
        if json.loads(self.body).get("RevisionId", alias.revision_id) != alias.revision_id:
            raise PreconditionFailedException("The RevisionId provided does not match")
        answer = update_alias(self)
        alias.revision_id = str(uuid.uuid4())
        return answer

    def published(self: Any) -> Any:
        function = self.backend.get_function(self.path.split("/")[-2])
        wanted = json.loads(self.body or "{}").get("CodeSha256", function.code_sha_256)
        if wanted != function.code_sha_256:
            raise InvalidParameterValueException(f"CodeSHA256 ({wanted}) is different")
        answer = publish(self)
        function.code_or_config_updated = False
        return answer

    def coded(self: Any, spec: dict[str, Any]) -> Any:
        self.architectures = spec.get("Architectures", self.architectures)
        return update_code(self, spec)

    update_code = LambdaFunction.update_function_code
    monkeypatch.setattr(LambdaFunction, "update_function_code", coded)
    monkeypatch.setattr(LambdaFunction, "set_version", once)
    monkeypatch.setattr(LambdaResponse, "update_alias", moved)
    monkeypatch.setattr(LambdaResponse, "publish_version", published)


def like_dsql(monkeypatch: Any, host: str | None = None) -> None:
    """What moto has otherwise: an endpoint is <identifier>.dsql.<region>.on.aws (Aurora DSQL User
    Guide, "Accessing Aurora DSQL"), or `host` for a test; a new cluster is CREATING once.
    """  # fmt: skip
    from moto.dsql.models import Cluster
    from moto.moto_api import state_manager

    made = Cluster.__init__

    def with_endpoint(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        self.endpoint = host or f"{self.identifier}.dsql.{self.region_name}.on.aws"

    monkeypatch.setattr(Cluster, "__init__", with_endpoint)
    state_manager.set_transition("dsql::cluster", {"progression": "manual", "times": 2})


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
