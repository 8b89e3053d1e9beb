"""Metrics within a log line, in CloudWatch's embedded metric format.

CloudWatch User Guide, "Specification: Embedded metric format": the log event is one JSON object,
whose `_aws` names members of it that are metrics. CloudWatch makes the metrics when it takes the
line in; no call is made. Each metric that is seen in an hour is charged for that hour.
"""

import os
from typing import Any

NAMESPACE = "sunup"
DIMENSION = "function"

# Members of the log line, and their units. Lambda has the duration and the number of requests.
UNITS = {
    "cold_start": "Count",
    "connect_ms": "Milliseconds",
    "resume_ms": "Milliseconds",
    "query_ms": "Milliseconds",
    "errors": "Count",
}


def with_metrics(fields: dict[str, Any], started: float, status: int) -> dict[str, Any]:
    """The fields of a request's log line with `_aws`; as they are where nothing is measured.

    `started` is in seconds since the epoch. A failure of the database's is a metric of its code's
    name.
    """
    if "cold_start" in fields:
        fields["cold_start"] = 1
    if status >= 500:
        fields["errors"] = 1
    measured = [{"Name": name, "Unit": unit} for name, unit in UNITS.items() if name in fields]
    code = fields.get("code")
    if isinstance(code, str) and code not in fields:
        fields[code] = 1
        measured.append({"Name": code, "Unit": "Count"})
    if not measured:
        return fields
    fields[DIMENSION] = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
    fields["_aws"] = {
        "Timestamp": int(started * 1000),
        "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": measured}
        ],
    }
    return fields
