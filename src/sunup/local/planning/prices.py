"""What AWS charges: one dated table."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from sunup.local.errors import CommandError


@dataclass(frozen=True)
class Prices:
    """US dollars, of us-east-1, as third parties copied AWS's price list; the names say for what.

    AWS's own pages decide. `free_...` is what each account has for nothing each month, for ever.
    """

    as_of: str = "2026-09"
    region: str = "us-east-1"
    # Aurora Serverless v2, standard storage.
    acu_hour: float = 0.12
    aurora_gb_month: float = 0.10
    aurora_million_io: float = 0.20
    # Aurora DSQL (docs/costs.md).
    million_dpu: float = 8.00
    free_dpu: float = 100_000
    dsql_gb_month: float = 0.33
    free_dsql_gb: float = 1.0
    # Lambda, arm64; x86_64 0.0000166667 a GB-second.
    lambda_million_requests: float = 0.20
    free_lambda_requests: float = 1_000_000
    lambda_gb_second: float = 0.0000133334
    free_lambda_gb_seconds: float = 400_000
    http_api_million: float = 1.00
    # CloudWatch: its free part is of logs that are taken in, metrics of one's own, and alarms.
    logs_gb: float = 0.50
    free_logs_gb: float = 5.0
    metric_month: float = 0.30
    free_metrics: float = 10
    alarm_month: float = 0.10
    free_alarms: float = 10

    def with_changes(self, changes: Mapping[str, object]) -> "Prices":
        """Other prices by name, hyphens or underscores. Raises `CommandError` for a wrong one."""
        known = {each.name: each.type for each in fields(self)}
        values: dict[str, float | str] = {}
        for name, value in changes.items():
            key = name.replace("-", "_")
            if key not in known:
                prices = ", ".join(each.replace("_", "-") for each in known)
                raise CommandError(f"there is no price {name!r}", f"There are: {prices}.")
            values[key] = str(value) if key in ("as_of", "region") else _amount(name, value)
        return replace(self, **values)  # type: ignore[arg-type]  # checked above

    def without_free(self) -> "Prices":
        """For an account whose free part is used up by others."""
        free = {each.name: 0.0 for each in fields(self) if each.name.startswith("free_")}
        return replace(self, **free)  # type: ignore[arg-type]  # numbers all


def _amount(name: str, value: object) -> float:
    try:
        amount = float(str(value))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < 1e9:
        raise CommandError(f"the price {name} = {value!r} is no amount", "Use US dollars: 0.14")
    return amount
