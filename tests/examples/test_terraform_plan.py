"""The validations of the users API's variables, by a real terraform. No resource, so no provider."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples" / "users" / "terraform"

pytestmark = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is not installed"
)

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

DSQL = "abcdefghijklmnopqrstuvwxyz.dsql.eu-central-1.on.aws"
ON_DSQL: dict[str, Any] = {"db_engine": "dsql", "db_host": None, "db_cluster_resource_id": None}
TWO_REGIONS = {**ON_DSQL, "create_dsql_cluster": True, "dsql_witness_region": "eu-west-3"}
PEER = "arn:aws:dsql:eu-west-1:123456789012:cluster/abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(FOLDER / "variables.tf", tmp_path)
    found = re.search(r"(?ms)^locals \{\n.*?^\}\n", (FOLDER / "main.tf").read_text())
    assert found is not None
    (tmp_path / "locals.tf").write_text(found[0])
    (tmp_path / "lambda.zip").touch()
    return tmp_path


def refusal(folder: Path, values: dict[str, Any]) -> str:
    """What terraform says against the values, on one line; nothing if they are good."""
    given = {
        "region": "eu-central-1",
        "db_host": "users.cluster-abc.eu-central-1.rds.amazonaws.com",
        "db_cluster_resource_id": "cluster-ABC",
        "lambda_zip": "lambda.zip",
        **values,
    }
    (folder / "terraform.tfvars.json").write_text(json.dumps(given))
    result = subprocess.run(
        ["terraform", f"-chdir={folder}", "plan", "-no-color", "-input=false", "-refresh=false"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return ""
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"parameters": {"STRIPE_KEY": "/users/stripe-key", "OTHER": "plain.name"}},
        {"statements": [{"actions": ["s3:GetObject", "dynamodb:Get*"], "resources": ["*"]}]},
        {"kms_key_arn": KEY},
        {"kms_key_arn": KEY.replace("key/", "key/mrk-")},
        {"wake_schedule": "cron(45 7 ? * MON-FRI *)", "wake_timezone": "Europe/Berlin"},
        {"wake_schedule": "cron(0/10 7 1 * ? 2030)"},
        {"wake_schedule": "cron(0 7 ? * 2#1 *)"},
        {"wake_schedule": "cron(0 7 L * ? *)"},
        {"wake_schedule": "rate(12 hours)"},
        {"wake_schedule": "at(2030-01-31T07:45:00)"},
        {"vpc": {"subnet_ids": ["subnet-1", "subnet-2"], "security_group_ids": ["sg-1"]}},
        {"dashboard": True, "db_cluster_identifier": "my-shop-2"},
        {"tracing": True},
        {**ON_DSQL, "db_host": DSQL},
        {**ON_DSQL, "db_host": DSQL.replace(".dsql.", ".dsql-x1y2.")},
        {**ON_DSQL, "create_dsql_cluster": True},
        {**ON_DSQL, "create_dsql_cluster": True, "db_host": DSQL},
        {**ON_DSQL, "db_host": DSQL, "reserved_concurrency": 9990},
        {**TWO_REGIONS, "dsql_peer": PEER},
    ],
    ids=str,
)
def test_good_values_are_taken(folder: Path, values: dict[str, Any]) -> None:
    assert refusal(folder, values) == ""


def statement(action: str) -> dict[str, Any]:
    return {"statements": [{"actions": [action], "resources": ["*"]}]}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (statement("*"), "statements must"),
        (statement("s3:*"), "statements must"),
        (statement("s3:**"), "statements must"),
        (statement("*:GetObject"), "statements must"),
        ({"statements": [{"actions": [], "resources": ["*"]}]}, "statements must"),
        ({"statements": [{"actions": ["s3:GetObject"], "resources": []}]}, "statements must"),
        ({"parameters": {"A-B": "/a"}}, "parameters must map"),
        ({"parameters": {"AWS_KEY": "/a"}}, "parameters must map"),
        ({"parameters": {"KEY": "a/b"}}, "parameters must map"),
        ({"parameters": {"KEY": "/a/*"}}, "parameters must map"),
        ({"parameters": {"KEY": "/a/"}}, "parameters must map"),
        ({"parameters": {"DB_USER": "/a"}}, "parameters must not name"),
        ({"parameters": {"KEY": "/a"}, "environment": {"KEY": "x"}}, "parameters must not name"),
        ({"kms_key_arn": KEY.replace("key/", "alias/")}, "kms_key_arn must"),
        ({"kms_key_arn": KEY.replace("central", "west")}, "kms_key_arn must"),
        ({"kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/*"}, "kms_key_arn must"),
        ({"wake_schedule": "45 7 * * *"}, "wake_schedule must"),
        ({"wake_schedule": "cron(45 7 * * *)"}, "wake_schedule must"),
        ({"wake_schedule": "cron(45 7 * * MON-FRI *)"}, "wake_schedule must"),
        ({"wake_schedule": "cron(45 7 ? * ? *)"}, "wake_schedule must"),
        ({"wake_schedule": "rate(0 days)"}, "wake_schedule must"),
        ({"wake_timezone": "Europe Berlin"}, "wake_timezone must"),
        ({"vpc": {"subnet_ids": [], "security_group_ids": ["sg-1"]}}, "vpc must"),
        ({"vpc": {"subnet_ids": ["sg-1"], "security_group_ids": ["subnet-1"]}}, "vpc must"),
        ({"db_cluster_identifier": "a.b.rds.amazonaws.com"}, "db_cluster_identifier must"),
        ({"db_engine": "neon"}, "db_engine must"),
        ({"db_host": None}, "db_host must be the cluster's own endpoint"),
        ({"db_cluster_resource_id": None}, "db_cluster_resource_id looks like"),
        ({"db_host": DSQL}, 'needs db_engine = "dsql"'),
        (ON_DSQL, "db_host must be the endpoint of an Aurora DSQL cluster"),
        ({"db_engine": "dsql"}, "db_host must be the endpoint of an Aurora DSQL cluster"),
        ({**ON_DSQL, "db_host": f"https://{DSQL}"}, "db_host must be the endpoint"),
        ({**ON_DSQL, "db_host": DSQL, "db_user": "admin"}, "db_user must"),
        (
            {**ON_DSQL, "db_host": DSQL, "wake_schedule": "rate(1 day)"},
            "wake_schedule is of no use",
        ),
        ({**ON_DSQL, "db_host": DSQL, "reserved_concurrency": 9991}, "at most 9990: the database"),
        ({"reserved_concurrency": 9990}, "at most 813: with max_acu = 4 the database"),
        ({"create_dsql_cluster": True}, "create_dsql_cluster needs"),
        (
            {**ON_DSQL, "db_host": DSQL, "dsql_witness_region": "eu-west-3"},
            "dsql_witness_region must",
        ),
        ({**TWO_REGIONS, "dsql_witness_region": "eu-central-1"}, "dsql_witness_region must"),
        ({**ON_DSQL, "create_dsql_cluster": True, "dsql_peer": PEER}, "dsql_peer must"),
        ({**TWO_REGIONS, "dsql_peer": "eu-west-1"}, "dsql_peer must"),
    ],
    ids=str,
)
def test_bad_values_are_refused_by_name(folder: Path, values: dict[str, Any], said: str) -> None:
    assert said in refusal(folder, values)
