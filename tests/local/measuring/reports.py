"""A report as if something had been measured."""

from sunup.local.measuring.memory import Measured
from sunup.local.measuring.report import Report


def report(cold: float) -> Report:
    memory = Measured(256, cold - 10, 10, cold, 1.0, 2.0, 3.0, 0.5, 60.0, 0.21)
    return Report(
        app="users",
        path="/",
        status=200,
        python="3.13.0",
        machine="Linux",
        date="2026-11-26",
        starts=1,
        requests=1,
        shares=True,
        memories=[memory],
        recommended=256,
        init_processor_ms=90.0,
        zipped=2_000_000,
        unpacked=6_000_000,
        parts=[],
        imports=[],
        to_move=[],
        work=[],
        needs={},
        notes=[],
    )
