"""`sunup doctor` names the fault of each broken set-up, on an emulated Aurora."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from sunup.local.aws import Aws
from sunup.local.emulator import Emulator
from sunup.local.emulator.certificates import make
from tests.local.cli.cloud import FakeTerraform, moto_server
from tests.local.cli.conftest import Cli

Admin = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def healthy(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Everything as it should be; the folder of the app."""
    keys = aws.iam.current.environment()
    with moto_server(monkeypatch):
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        assert cli("migrate", "up", app_dir)[0] == 0
        yield app_dir


def set_env(app_dir: Path, **values: str) -> None:
    with (app_dir / ".env").open("a") as file:
        file.write("".join(f"\n{name}={value}" for name, value in values.items()))


def examined(cli: Cli, app_dir: Path) -> tuple[int, dict[str, list[tuple[str, str, str]]]]:
    status, out, _ = cli("doctor", app_dir, "--json")
    found: dict[str, list[tuple[str, str, str]]] = {}
    for each in json.loads(out):
        line = (each["status"], each["detail"], each["cure"])
        found.setdefault(each["link"], []).append(line)
    return status, found


def test_a_healthy_set_up_has_no_failure(healthy: Path, cli: Cli) -> None:
    status, found = examined(cli, healthy)
    assert status == 0, found
    states = {link: {line[0] for line in lines} for link, lines in found.items()}
    well = {"settings", "dns", "tls", "clock", "credentials", "identity", "login", "role"}
    well |= {"rights", "idle timeout", "migrations"}
    assert {link for link, state in states.items() if state == {"ok"}} - {"connections"} == well
    assert states["policy"] == {"skipped"}  # the emulated cluster is not in moto's RDS
    status, out, err = cli("doctor", healthy)
    assert (status, err) == (0, "")
    assert "ok      tls          TLSv1.3, by " in out
    assert "\n0 failures, " in out
    assert "\033" not in out


def test_a_sleeping_database_is_waited_for(healthy: Path, aws: Emulator, cli: Cli) -> None:
    aws.do("aurora/pause")
    assert examined(cli, healthy)[0] == 0


@pytest.mark.parametrize(
    ("change", "link", "says", "cure"),
    [
        ({"DB_HOST": ""}, "settings", "DB_HOST is not set", "Set DB_HOST"),
        ({"DB_PORT": "many"}, "settings", "DB_PORT is 'many'", "in .env"),
        ({"DB_HOST": "no.such.invalid", "DB_SSLROOTCERT": ""}, "dns", "cannot be resolved", "DB_HOST"),
        ({"DB_PORT": "1"}, "tls", "nothing listens on localhost:1", "Check DB_HOST and DB_PORT"),
        ({"DB_SSLROOTCERT": ""}, "tls", "the certificate was not accepted", "DB_SSLROOTCERT"),
        ({"DB_NAME": "nothing"}, "login", "The database does not exist", "DB_NAME"),
        ({"DB_USER": "nobody_app"}, "role", "nobody_app does not exist", "sunup database create"),
        ({"AWS_REGION": "us-east-1"}, "login", "both refused", "us-east-1 is the cluster's"),
        (
            {"DB_IDLE_SESSION_TIMEOUT": "0"},
            "idle timeout",
            "keeps the database awake",
            "the default is 60 s",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(
    healthy: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    link: str,
    says: str,
    cure: str,
) -> None:
    monkeypatch.delenv("AWS_REGION")
    set_env(healthy, **change)
    status, found = examined(cli, healthy)
    assert status == 1
    failures = {name: line for name, lines in found.items() for line in lines if line[0] == "failure"}  # fmt: skip
    assert failures.keys() == {link}, failures
    assert says in failures[link][1]
    assert cure in failures[link][2]


@pytest.mark.parametrize(
    ("statement", "link", "says"),
    [
        ("revoke rds_iam from {role}", "role", "lacks rds_iam"),
        ("alter role {role} nologin", "role", "may not log in"),
        ("revoke insert on users from {role}", "rights", "may not read and write users"),
    ],
)
def test_a_role_that_is_not_right_is_named(
    healthy: Path, cli: Cli, admin: Admin, statement: str, link: str, says: str
) -> None:
    # A role of this test's own: roles are the server's, which other tests share.
    role = f"app_{time.time_ns()}"
    admin(f"create role {role} login; grant rds_iam to {role}")
    admin(f"grant select, insert, update, delete on all tables in schema public to {role}")
    admin(statement.format(role=role))
    set_env(healthy, DB_USER=role)
    status, found = examined(cli, healthy)
    assert status == 1
    assert found[link][-1][0] == "failure"
    assert says in found[link][-1][1]
    admin(f"drop owned by {role}; drop role {role}")


def test_credentials_that_were_revoked_are_told_from_a_wrong_role(
    healthy: Path, aws: Emulator, cli: Cli
) -> None:
    aws.iam.revoke()
    status, found = examined(cli, healthy)
    assert status == 1
    assert "so the role is not the cause" in found["login"][0][1]
    assert aws.iam.current.id in found["login"][0][2]


def test_missing_credentials_are_named(
    healthy: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (healthy / ".env").read_text().splitlines()
    (healthy / ".env").write_text("\n".join(line for line in text if "ACCESS_KEY" not in line))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    status, found = examined(cli, healthy)
    assert status == 1
    assert found["credentials"][0][0] == "failure"
    assert "aws sso login" in found["credentials"][0][2]
    assert found["login"][0] == ("skipped", "no token can be signed", "")


def test_pending_and_changed_migrations_are_named(healthy: Path, cli: Cli) -> None:
    versions = healthy / "migrations" / "versions"
    (versions / "0003_more.py").write_text(
        "revision = '0003'\ndown_revision = '0002'\ndef upgrade(): ...\n"
    )
    with (versions / "0001_users.py").open("a") as file:
        file.write("# edited\n")
    status, found = examined(cli, healthy)
    assert status == 1
    assert [line[1] for line in found["migrations"]] == [
        "0001_users.py was changed after it was applied",
        "not applied: 0003_more.py",
    ]
    assert found["migrations"][1][2] == "sunup migrate up"


def test_a_clock_that_is_off_is_named(
    healthy: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() - 900, usegmt=True))
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        status, found = examined(cli, healthy)
        server.shutdown()
    assert status == 1
    assert found["clock"][0][1].endswith(" s ahead: tokens are refused")
    # STS speaks no XML here: what cannot be asked is skipped, not guessed.
    assert found["identity"][0][0] in ("skipped", "failure")


def test_more_instances_than_connections_are_a_warning(
    healthy: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform = FakeTerraform(tmp_path / "fake", monkeypatch)
    terraform.answers({"lambda_function_name": "users"})
    (healthy / "terraform" / ".terraform").mkdir()
    stub = stubbed("lambda")
    stub.add_response(
        "get_function_concurrency", {"ReservedConcurrentExecutions": 900}, {"FunctionName": "users"}
    )
    real = Aws.client
    monkeypatch.setattr(
        Aws, "client", lambda self, name: stub.client if name == "lambda" else real(self, name)
    )
    status, found = examined(cli, healthy)
    assert status == 0
    state, detail, cure = found["connections"][-1]
    assert state == "warning"
    assert "reserved concurrency of 900 instances, but 300 connections" in detail
    assert "290 or less" in cure


def stubbed(service: str) -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIA", "secret")
    stub = Stubber(session.create_client(service, region_name="eu-central-1"))
    stub.activate()
    return stub


def test_policies_are_simulated_for_the_caller_and_the_function(
    healthy: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "arn:aws:iam::123456789012:role/users-function"
    mine = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Dev"
    terraform = FakeTerraform(tmp_path / "fake", monkeypatch)
    terraform.answers({"lambda_iam_role_arn": role})
    (healthy / "terraform" / ".terraform").mkdir()
    stubs = {name: stubbed(name) for name in ("sts", "rds", "iam")}
    session = "arn:aws:sts::123456789012:assumed-role/Dev/me"
    stubs["sts"].add_response("get_caller_identity", {"Arn": session})
    cluster = {
        "Endpoint": "localhost",
        "DBClusterArn": "arn:aws:rds:eu-central-1:123456789012:cluster:users",
        "DbClusterResourceId": "cluster-ABC",
        "IAMDatabaseAuthenticationEnabled": True,
    }
    stubs["rds"].add_response("describe_db_clusters", {"DBClusters": [cluster]})
    made = {"Path": "/", "RoleName": "Dev", "RoleId": "A" * 16, "Arn": mine, "CreateDate": 0}
    stubs["iam"].add_response("get_role", {"Role": made}, {"RoleName": "Dev"})
    resource = "arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-ABC/"
    for principal, user, decision in (
        (mine, "app", "allowed"),
        (mine, "postgres", "allowed"),
        (role, "app", "implicitDeny"),
    ):
        stubs["iam"].add_response(
            "simulate_principal_policy",
            {"EvaluationResults": [{"EvalActionName": "rds-db:connect", "EvalDecision": decision}]},
            {
                "PolicySourceArn": principal,
                "ActionNames": ["rds-db:connect"],
                "ResourceArns": [resource + user],
            },
        )
    real = Aws.client
    monkeypatch.setattr(
        Aws, "client", lambda self, name: stubs[name].client if name in stubs else real(self, name)
    )
    status, found = examined(cli, healthy)
    assert status == 1
    assert [line[0] for line in found["policy"]] == ["ok", "ok", "failure"]
    assert found["policy"][2][1] == "users-function may not connect as app (implicitDeny)"
    assert found["policy"][2][2] == f"Allow rds-db:connect on {resource}app."


def test_a_mistyped_setting_is_guessed(healthy: Path, cli: Cli) -> None:
    set_env(healthy, DB_HOSTNAME="x")
    status, found = examined(cli, healthy)
    assert status == 0
    state, detail, cure = found["settings"][1]
    assert (state, detail) == ("warning", "DB_HOSTNAME in .env is not a setting of sunup")
    assert cure in ("Did you mean DB_HOST?", "Did you mean DB_NAME?")


def test_a_certificate_for_another_name_is_named(healthy: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    made = make(tmp_path / "other", "other.example")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        client.recv(8)
        client.sendall(b"S")
        try:
            made.server.wrap_socket(client, server_side=True)
        except OSError:
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    set_env(healthy, DB_PORT=str(listener.getsockname()[1]), DB_SSLROOTCERT=str(made.root))
    status, found = examined(cli, healthy)
    thread.join(5)
    listener.close()
    assert status == 1
    assert "localhost" in found["tls"][0][1]


def test_a_plain_server_on_this_machine_is_fine(
    database: dict[str, str], app_dir: Path, cli: Cli
) -> None:
    (app_dir / ".env").write_text("\n".join(f"{k}={v}" for k, v in database.items()))
    assert cli("migrate", "up", app_dir)[0] == 0
    status, found = examined(cli, app_dir)
    assert status == 0
    assert found["rights"][0][0] == "warning"
    assert "is a superuser" in found["rights"][0][1]
