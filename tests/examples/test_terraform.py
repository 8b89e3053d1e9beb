"""What can be known of the users API's Terraform without a provider."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from sunup.failures import DatabaseResuming, DatabaseUnavailable
from sunup.local.capacity import connection_limit
from sunup.local.packaging.target import choose
from sunup.observing.metrics import NAMESPACE, UNITS
from sunup.request import Request
from sunup.settings import VARIABLES, Settings

# What does nothing until somebody asks for it.
OFF: dict[str, Any] = {
    "metrics": "off",
    "tracing": False,
    "kms_key_arn": None,
    "parameters": {},
    "statements": [],
    "wake_schedule": None,
    "vpc": None,
    "dashboard": False,
    "db_cluster_identifier": None,
    "create_dsql_cluster": False,
    "dsql_witness_region": None,
    "dsql_peer": None,
}

FOLDER = Path(__file__).parent.parent.parent / "examples" / "users" / "terraform"


def plain(value: Any) -> Any:
    """Without the quotation marks that the parser keeps, and without its own keys."""
    if isinstance(value, str):
        return value[1:-1] if value[:1] == value[-1:] == '"' else value
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if not key.startswith("__")}
    return value


def read(name: str) -> dict[str, Any]:
    with (FOLDER / name).open() as file:
        return dict(plain(hcl2.load(file)))


def variables() -> dict[str, dict[str, Any]]:
    return {
        name: each for block in read("variables.tf")["variable"] for name, each in block.items()
    }


def resource(file: str, kind: str, name: str) -> dict[str, Any]:
    for block in read(file)["resource"]:
        if name in block.get(kind, {}):
            return dict(block[kind][name])
    raise AssertionError(name)


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_it_is_formatted() -> None:
    result = subprocess.run(
        ["terraform", f"-chdir={FOLDER}", "fmt", "-check", "-diff"], capture_output=True, check=False
    )  # fmt: skip
    assert result.returncode == 0, result.stdout.decode()


def test_each_file_can_be_parsed_and_each_variable_is_explained() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.tf")) == [
        "alarms.tf", "api_gateway.tf", "dashboard.tf", "database.tf", "dsql.tf", "iam.tf", "lambda.tf",
        "main.tf", "outputs.tf", "schedule.tf", "variables.tf",
    ]  # fmt: skip
    for path in FOLDER.glob("*.tf"):
        assert read(path.name)
    for name, variable in variables().items():
        assert variable["description"], name
        for validation in variable.get("validation", []):
            assert name in validation["error_message"], name


def test_the_example_sets_only_variables_that_exist() -> None:
    text = (FOLDER / "terraform.tfvars.example").read_text()
    named = set(re.findall(r"^(?:# )?([a-z_]+) +=", text, re.MULTILINE))
    assert named <= variables().keys()
    assert set(OFF) <= named
    required = {name for name, each in variables().items() if "default" not in each}
    assert required == {"region"}
    # Of Aurora; test_terraform_plan.py leaves them out.
    assert {*required, "db_host", "db_cluster_resource_id"} <= named


def test_the_outputs_of_old_are_all_there() -> None:
    names = {name for block in read("outputs.tf")["output"] for name in block}
    assert {
        "api_url",
        "lambda_function_name",
        "lambda_function_arn",
        "lambda_log_group_name",
        "lambda_iam_role_arn",
    } <= names


def test_the_outputs_that_a_deployment_reads_are_there() -> None:
    outputs = {name: each for block in read("outputs.tf")["output"] for name, each in block.items()}
    assert outputs["lambda_alias"]["value"] == "${aws_lambda_alias.live.name}"
    assert outputs["authorization"]["value"] == "${var.authorization}"
    assert "aws_cloudwatch_metric_alarm.this" in outputs["alarm_names"]["value"]


def test_what_a_deployment_moves_is_not_moved_back() -> None:
    function = resource("lambda.tf", "aws_lambda_function", "api")
    ignored = {re.sub(r"[${}]", "", each) for each in function["lifecycle"][0]["ignore_changes"]}
    assert ignored >= {
        "filename", "s3_bucket", "s3_key", "source_code_hash", "runtime", "architectures", "handler",
    }  # fmt: skip
    assert "source_code_hash" not in function
    assert function["publish"] is False
    alias = resource("lambda.tf", "aws_lambda_alias", "live")
    ignored = {re.sub(r"[${}]", "", each) for each in alias["lifecycle"][0]["ignore_changes"]}
    assert ignored == {"function_version", "routing_config", "description"}
    assert "count" not in alias
    assert (alias["name"], alias["function_version"]) == ("live", "$LATEST")


def test_the_api_may_call_the_alias_and_calls_nothing_else() -> None:
    alias = resource("lambda.tf", "aws_lambda_alias", "live")
    integration = resource("api_gateway.tf", "aws_apigatewayv2_integration", "function")
    permission = resource("lambda.tf", "aws_lambda_permission", "api_gateway")
    assert integration["integration_uri"] == "${aws_lambda_alias.live.invoke_arn}"
    assert permission["qualifier"] == "${aws_lambda_alias.live.name}"
    assert alias["name"] == "live"


def test_the_function_s_variables_are_settings_and_their_defaults_are_valid() -> None:
    function = resource("lambda.tf", "aws_lambda_function", "api")
    assert "local.db_session" in function["environment"][0]["variables"]
    locals_ = read("database.tf")["locals"][0]
    text = function["environment"][0]["variables"].partition("{")[2] + locals_["db_session"]
    text = re.sub(r"local\.(db_\w+)", r"var.\1", text)
    assignments = dict(re.findall(r"([A-Z_]{2,}) *[=:] *([^,}]+)", text))
    assert set(assignments) <= {each.name for each in VARIABLES}
    # A parameter of the same name would never be fetched.
    taken = variables()["parameters"]["validation"][1]["condition"]
    assert set(re.findall(r"[A-Z_]{2,}", taken)) == set(assignments)
    defaults = {name: each.get("default") for name, each in variables().items()}
    values = {
        "var.db_host": "users.cluster-abc.eu-central-1.rds.amazonaws.com",
        'var.tracing ? "xray" : "off"': "off",
        "local.gateway_timeout": read("api_gateway.tf")["locals"][0]["gateway_timeout"],
    }
    environ = {}
    for name, expression in assignments.items():
        inner = re.sub(r"^tostring\((.*)\)$", r"\1", expression.strip())
        environ[name] = str(values.get(inner, defaults.get(inner.removeprefix("var."))))
    settings = Settings.from_environment(environ)
    assert settings.region == "eu-central-1"
    assert settings.sslmode == "verify-full"
    assert settings.user != "postgres"
    # sunup answers before the function's end and before the gateway's.
    assert settings.connect_timeout < float(defaults["lambda_timeout"] or 0)
    assert float(defaults["lambda_timeout"] or 99) <= settings.gateway_timeout


def test_a_timeout_beyond_the_gateway_s_is_refused() -> None:
    condition = variables()["lambda_timeout"]["validation"][0]["condition"]
    limit = re.search(r"<= (\d+)", condition)
    assert limit is not None
    assert int(limit[1]) == read("api_gateway.tf")["locals"][0]["gateway_timeout"] == 30


def test_the_connection_limit_is_the_one_that_the_tools_know() -> None:
    formula = read("main.tf")["locals"][0]["aurora_connections"]
    numbers = re.findall(r"\d[\d.]*", formula)
    assert [float(number) for number in numbers] == [2000, 189.5, 1, 1, 211.4]
    for acu in (1, 2, 4, 8, 8.5, 16, 256):
        assert min(2000, int(189.5 + (max(acu, 1) - 1) * 211.4)) == connection_limit(acu)


def test_the_runtimes_are_those_that_can_be_packaged() -> None:
    offered = variables()["lambda_runtime"]["validation"][0]["condition"]
    for version in re.findall(r"python(3\.\d+)", offered):
        assert choose(version, None).python == version


def test_the_policies_allow_one_role_of_one_cluster_and_one_log() -> None:
    documents = {
        name: each
        for block in read("iam.tf")["data"]
        for name, each in block["aws_iam_policy_document"].items()
    }
    values = {
        "data.aws_partition.current.partition": "aws",
        "local.db_region": "eu-central-1",
        "data.aws_caller_identity.current.account_id": "123456789012",
        "var.db_cluster_resource_id": "cluster-ABC",
        "var.db_user": "users_app",
        "local.dsql_identifier": "abcdef",
        "aws_cloudwatch_log_group.function.arn": "arn:aws:logs:eu-central-1:123456789012:log-group:x",
    }  # fmt: skip
    arn = read("dsql.tf")["locals"][0]["dsql_arn"]

    def text(each: str, engine: str) -> str:
        found = re.fullmatch(r'\$\{var\.db_engine == "dsql" \? (.+?) : "(.+)"\}', each)
        if found:
            each = found[1 if engine == "dsql" else 2].strip('"').replace("local.dsql_arn", arn)
        return re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], each)

    def rendered(name: str, engine: str = "aurora") -> list[dict[str, Any]]:
        return [
            {
                "Action": [text(each, engine) for each in statement["actions"]],
                "Resource": [text(each, engine) for each in statement.get("resources", [])],
            }
            for statement in documents[name]["statement"]
        ]

    assert rendered("database", "dsql") == [
        {
            "Action": ["dsql:DbConnect"],
            "Resource": ["arn:aws:dsql:eu-central-1:123456789012:cluster/abcdef"],
        }
    ]
    assert rendered("database") == [
        {
            "Action": ["rds-db:connect"],
            "Resource": ["arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-ABC/users_app"],
        }
    ]
    assert rendered("logs") == [
        {
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": ["arn:aws:logs:eu-central-1:123456789012:log-group:x:*"],
        }
    ]
    wake = {
        name: each
        for block in read("schedule.tf")["data"]
        for name, each in block["aws_iam_policy_document"].items()
    }["wake"]
    assert wake["statement"] == [
        {"actions": ["lambda:InvokeFunction"], "resources": ["${aws_lambda_alias.live.arn}"]}
    ]
    assert documents.keys() == {"assume", "database", "logs", "settings"}


def test_further_settings_are_off() -> None:
    found = variables()
    assert {name: found[name]["default"] for name in OFF} == OFF


def test_a_further_right_comes_with_its_setting_only() -> None:
    text = next(
        block["further_statements"]
        for block in read("iam.tf")["locals"]
        if "further_statements" in block
    )
    asked = ["var.tracing ?", "var.kms_key_arn ==", "length(var.parameters) ==", "var.vpc =="]
    parts = re.split("|".join(map(re.escape, asked)), text)
    assert [re.findall(r'"([a-z0-9]+:\w+)"', part) for part in parts] == [
        [],
        ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        ["kms:Decrypt"],
        ["ssm:GetParameters"],
        [],
    ]
    assert "resources = [var.kms_key_arn]" in parts[2]
    assert "resources = local.function_parameters" in parts[3]
    assert "actions = local.network_actions" in parts[4]
    policy = resource("iam.tf", "aws_iam_role_policy", "settings")
    assert policy["lifecycle"] == [{"create_before_destroy": True}]


def test_the_function_s_code_has_no_right_on_network_interfaces() -> None:
    statements = next(
        block["aws_iam_policy_document"]["settings"]
        for block in read("iam.tf")["data"]
        if "settings" in block["aws_iam_policy_document"]
    )["dynamic"]
    denied = statements[1]["statement"]["content"][0]
    assert (denied["effect"], denied["actions"]) == ("Deny", "${local.network_actions}")
    assert denied["condition"][0]["variable"] == "lambda:SourceFunctionArn"
    assert denied["condition"][0]["values"][0].endswith(":function:${var.name}")


def test_the_schedule_wakes_what_the_api_calls() -> None:
    schedule = resource("schedule.tf", "aws_scheduler_schedule", "wake")
    target = schedule["target"][0]
    assert target["arn"] == "${aws_lambda_alias.live.arn}"
    assert re.sub(r"[\s\"']", "", target["input"]) == "${jsonencode({sunup=wake})}"
    assert target["retry_policy"] == [
        {"maximum_event_age_in_seconds": 60, "maximum_retry_attempts": 2}
    ]
    assert schedule["depends_on"] == ["${aws_iam_role_policy.wake}"]


def test_the_access_log_holds_no_personal_data() -> None:
    stage = resource("api_gateway.tf", "aws_apigatewayv2_stage", "default")
    text = str(stage["access_log_settings"])
    assert "$context.integrationErrorMessage" in text
    for personal in ("sourceIp", "userAgent", "identity", "queryString", "authorizer.claims"):
        assert personal not in text


def test_the_dashboard_asks_the_log_for_what_is_in_it() -> None:
    text = (FOLDER / "dashboard.tf").read_text()
    queries = re.findall(r'query = "(filter [^"]+)"', text)
    assert len(queries) == 5
    request = Request("GET", "/", "id", cold_start=True)
    request.connect_seconds = request.resume_seconds = request.query_seconds = 1.0
    request.queries = 1
    request.failure = DatabaseResuming("")
    fields = {*request.log_fields(503), "request_id"}
    # Logs Insights' own words, and names that a query gives.
    own = {
        *(
            "filter",
            "ispresent",
            "and",
            "stats",
            "count",
            "by",
            "bin",
            "pct",
            "max",
            "sort",
            "desc",
        ),
        *("fields", "limit", "as", "timestamp", "m", "h", "p50", "p95"),
    }
    for query in queries:
        named = set(re.findall(r"\bas (\w+)", query))
        words = set(re.findall(r"[a-z]\w*", query))
        assert words - own - named <= fields, query
        assert words & fields
    kinds = all_of(DatabaseUnavailable)
    codes = {each.code for each in kinds if each.__module__ == "sunup.failures"}
    blocks = re.findall(rf'\["{NAMESPACE}", .*?\n {{10}}\]', text, re.DOTALL)
    metrics = {name for each in blocks for name in re.findall(r'\["[\w.]+", "(\w+)"', each)}
    assert {"resume_ms", "query_ms", "cold_start", "errors"} <= metrics <= UNITS.keys()
    listed = re.search(r"failure_codes = \[(.*?)\]", text, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"(\w+)"', listed[1])) == codes


def all_of(kind: type[DatabaseUnavailable]) -> set[type[DatabaseUnavailable]]:
    return {kind}.union(*(all_of(each) for each in kind.__subclasses__()))


def test_metrics_and_traces_are_switched_on_in_the_function() -> None:
    environment = str(resource("lambda.tf", "aws_lambda_function", "api")["environment"])
    assert "METRICS = var.metrics" in environment
    # What `environment` says of traces counts.
    assert environment.index('TRACES = var.tracing ? "xray" : "off"') < environment.index(
        "var.environment"
    )
    assert variables()["metrics"]["default"] == "off"
