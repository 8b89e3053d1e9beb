"""What a month costs."""

from dataclasses import dataclass

from .prices import Prices
from .setup import Setup
from .simulation import Run
from .traffic import MONTH

_MILLION = 1e6
_GB = 1e9


@dataclass(frozen=True)
class Line:
    """A part of the bill in US dollars, and the amount that it is for in words."""

    part: str
    dollars: float
    amount: str


def bill(setup: Setup, run: Run, prices: Prices, *, acu: float, dpu: float) -> list[Line]:
    """The parts of a month's bill: `acu` while it is awake, `dpu` for each request.

    What was simulated for another time than a month counts in proportion.
    """
    share = MONTH / run.seconds
    invocations = run.invocations * share
    gb_seconds = run.billed_seconds * share * setup.memory / 1024
    logs = invocations * setup.app.log_bytes / _GB
    lines = [
        *_database(setup, run, prices, share, acu=acu, dpu=dpu),
        Line(
            "Lambda requests",
            _beyond(invocations, prices.free_lambda_requests)
            * prices.lambda_million_requests
            / _MILLION,
            f"{invocations:,.0f}",
        ),
        Line(
            "Lambda duration",
            _beyond(gb_seconds, prices.free_lambda_gb_seconds) * prices.lambda_gb_second,
            f"{gb_seconds:,.0f} GB-s",
        ),
        Line(
            "HTTP API",
            run.at_gateway * share * prices.http_api_million / _MILLION,
            f"{run.at_gateway * share:,.0f} requests",
        ),
        Line("Logs", _beyond(logs, prices.free_logs_gb) * prices.logs_gb, f"{logs:.2f} GB"),
        Line(
            "Alarms",
            _beyond(setup.alarms, prices.free_alarms) * prices.alarm_month,
            f"{setup.alarms}",
        ),
    ]
    if setup.metrics:
        beyond = _beyond(setup.metrics, prices.free_metrics)
        lines.append(Line("Metrics", beyond * prices.metric_month, f"{setup.metrics}"))
    return lines


def _database(
    setup: Setup, run: Run, prices: Prices, share: float, *, acu: float, dpu: float
) -> list[Line]:
    if setup.engine == "dsql":
        units = run.invocations * share * dpu
        return [
            Line(
                "DSQL",
                _beyond(units, prices.free_dpu) * prices.million_dpu / _MILLION,
                f"{units:,.0f} DPU",
            ),
            Line(
                "DSQL storage",
                _beyond(setup.storage_gb, prices.free_dsql_gb) * prices.dsql_gb_month,
                f"{setup.storage_gb:g} GB",
            ),
        ]
    hours = run.awake_seconds * share / 3600
    io = run.invocations * share * setup.app.io
    return [
        Line("Aurora capacity", hours * acu * prices.acu_hour, f"{hours:,.1f} h of {acu:.2f} ACU"),
        Line(
            "Aurora storage", setup.storage_gb * prices.aurora_gb_month, f"{setup.storage_gb:g} GB"
        ),
        Line("Aurora I/O", io * prices.aurora_million_io / _MILLION, f"{io:,.0f}"),
    ]


def _beyond(amount: float, free: float) -> float:
    return max(0.0, amount - free)
