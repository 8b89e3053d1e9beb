"""Prices and budgets from starts that were measured elsewhere."""

import pytest

from sunup.local.errors import CommandError
from sunup.local.measuring.memory import measured, recommended
from sunup.local.measuring.report import check, compared, differing, needs_of
from sunup.local.measuring.sandbox import Sample
from sunup.local.planning import Prices
from tests.local.measuring.reports import report


def sample(init: float, first: float, warm: float, peak: float = 60) -> Sample:
    return Sample(init, first, [warm] * 10, (init * 0.9, first * 0.5, warm * 0.4), peak, 200, 700)


def test_a_million_requests_cost_what_lambda_charges() -> None:
    found = measured(1024, [sample(0.2, 0.1, 0.01)], Prices())
    seconds = 0.99 * 0.01 + 0.01 * (0.3 + 0.01)
    assert found.dollars == pytest.approx(0.20 + 1e6 * seconds * 0.0000133334, abs=0.001)
    assert (found.cold, found.warm_p50, found.warm_processor) == (300, 10, 4)


def test_the_best_memory_is_the_fastest_for_about_the_least() -> None:
    slow = measured(128, [sample(0.2, 0.5, 0.080)], Prices())
    same = measured(512, [sample(0.2, 0.1, 0.020)], Prices())
    dear = measured(1769, [sample(0.2, 0.1, 0.018)], Prices())
    assert recommended([slow, same, dear]).memory == 512
    # A process that needs 120 MB does not fit into 128.
    tight = measured(128, [sample(0.2, 0.1, 0.001, peak=120)], Prices())
    assert recommended([tight, dear]).memory == 1769
    assert recommended([tight]).memory == 128  # nothing else was measured


def test_the_plan_is_told_what_the_app_needs() -> None:
    needs = needs_of([sample(0.2, 0.1, 0.010)])
    expected = {"init": 0.2, "processor": 0.004, "first_processor": 0.046, "queries": 0.006}
    assert needs == pytest.approx({**expected, "log_bytes": 700})


def test_an_earlier_report_is_compared_with() -> None:
    now, before = report(cold=300), report(cold=400).as_json()
    assert differing(now, before) == []
    assert differing(now, {**before, "python": "3.12.1"}) == [
        "the earlier report is of another python: 3.12.1, not 3.13.0"
    ]
    rows = {what: (old, new) for what, _, old, new in compared(now, before)}
    assert rows["cold response, 256 MB"] == (400.0, 300.0)
    # Of a memory that was not measured then nothing is said.
    before["memories"][0]["memory"] = 512
    assert "cold response, 256 MB" not in [what for what, *_ in compared(now, before)]


def test_another_file_is_no_report() -> None:
    whole = report(cold=300).as_json()
    check(whole)
    for wrong in (
        {"format": 99},
        {"format": 1},
        {**whole, "memories": 3},
        {**whole, "zipped": float("nan")},
        {**whole, "app": None},
        {},
    ):
        with pytest.raises(CommandError, match="earlier report"):
            check(wrong)
