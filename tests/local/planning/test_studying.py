"""What a month costs, by hand; and what a change would do."""

import os
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from sunup.local.errors import CommandError
from sunup.local.planning import Arrivals, Prices, Range, Setup, Traffic, study
from sunup.local.planning.page import page
from sunup.local.planning.picture import strip, week
from sunup.local.planning.traffic import DAY, MONTH, VISIT, Hours
from sunup.local.planning.words import headline, shown_changes, summary

OFFICE = Traffic(weekly=1000, hours=Hours((0, 1, 2, 3, 4), 9, 18))
KNOWN = Setup(resume=Range.exactly(15), acu=Range.exactly(0.5), instance_idle=Range.exactly(600))


def test_a_lone_visit_a_day_costs_what_arithmetic_says() -> None:
    times = [DAY * day + 40_000 for day in range(30)]
    plan = study(KNOWN, Arrivals(times, [VISIT] * 30, MONTH), months=1)
    parts = {each.name: each.dollars.median for each in plan.outcome.parts}
    awake = 30 * (15 + 60 + 300 + KNOWN.pausing) / 3600
    assert plan.outcome.awake_hours.median == pytest.approx(awake, rel=0.001)
    assert parts["Aurora capacity"] == pytest.approx(awake * 0.5 * 0.12, rel=0.001)
    assert parts["Aurora storage"] == pytest.approx(0.10)
    assert parts["HTTP API"] == pytest.approx(30 / 1e6)
    assert parts["Lambda duration"] == 0  # free


def test_a_database_that_never_pauses_costs_its_730_hours() -> None:
    plan = study(replace(KNOWN, pause_after=None), OFFICE, months=2)
    capacity = plan.outcome.parts[0].dollars.median
    assert capacity == pytest.approx(730 * 0.5 * 0.12)
    assert plan.outcome.waited.high == 0


def test_lambda_is_paid_for_where_the_free_part_is_used() -> None:
    prices = Prices().without_free()
    plan = study(KNOWN, OFFICE, prices, months=1)
    parts = {each.name: each for each in plan.outcome.parts}
    seconds = float(parts["Lambda duration"].amount.split()[0].replace(",", ""))
    assert parts["Lambda duration"].dollars.median == pytest.approx(
        seconds * 0.0000133334, rel=0.01
    )
    assert parts["Alarms"].dollars.median == pytest.approx(0.4)


def test_other_prices_are_taken_and_wrong_ones_told() -> None:
    assert Prices().with_changes({"acu-hour": 0.14}).acu_hour == 0.14
    for wrong in ({"acu": 1}, {"acu-hour": "much"}, {"acu-hour": -1}, {"acu-hour": float("nan")}):
        with pytest.raises(CommandError):
            Prices().with_changes(wrong)


def test_a_plan_is_the_same_with_the_same_seed_and_another_with_another() -> None:
    first, again = (study(Setup(), OFFICE, months=3, seed=1) for _ in range(2))
    assert first == again
    assert study(Setup(), OFFICE, months=3, seed=2).outcome != first.outcome


def test_changes_are_in_the_order_of_the_bill_and_the_waiting() -> None:
    plan = study(Setup(), OFFICE, months=4)
    totals = [each.total for each in plan.changes]
    assert totals == sorted(totals)
    by_title = {each.title: each for each in plan.changes}
    assert by_title["never pause"].waited == 0
    assert by_title["never pause"].dollars > plan.now.dollars
    assert by_title["sessions end after 5 s"].waited > plan.now.waited
    assert by_title["keep it awake in those hours"].waited < 0.02
    assert by_title["wake it at 8:58"].waited < plan.now.waited
    # Who has no price for waiting looks at the bill.
    cheap = study(Setup(), OFFICE, months=4, waiting_hour=0)
    assert [each.dollars for each in cheap.changes] == sorted(
        each.dollars for each in cheap.changes
    )


def test_a_night_has_no_wake_at_its_end() -> None:
    night = Traffic(weekly=100, hours=Hours((0, 6), 22, 4))
    titles = [each.title for each in study(Setup(), night, months=1).changes]
    assert "wake it at 21:58" in titles
    assert "keep it awake in those hours" not in titles


def test_half_hours_are_kept_awake_as_the_schedule_says() -> None:
    for begin, end, span in ((8.5, 17.75, "8-17"), (9, 9.5, "9")):
        traffic = Traffic(weekly=300, hours=Hours((0, 1, 2, 3, 4), begin, end))
        changes = {each.title: each for each in study(Setup(), traffic, months=1).changes}
        kept = changes["keep it awake in those hours"]
        assert f"cron(0/5 {span} ? * MON-FRI *)" in kept.how
        assert kept.waited < 0.02


def test_visits_that_give_up_have_a_price() -> None:
    setup = replace(Setup(), resume=Range.exactly(400), deep_resume=Range.exactly(400))
    plan = study(setup, OFFICE, months=1)
    assert plan.now.lost > 0.05
    best = shown_changes(plan)[0]
    assert best.lost < 0.01
    cheap = study(setup, OFFICE, months=1, waiting_hour=0, lost_visit=0)
    assert cheap.now.total == cheap.now.dollars


def test_more_than_can_be_simulated_is_refused() -> None:
    with pytest.raises(CommandError, match="can be simulated"):
        study(Setup(), Traffic(weekly=7000, requests=1000))
    with pytest.raises(CommandError, match="can be simulated"):
        study(Setup(), Traffic(ping=0.01))


def test_what_makes_no_difference_is_not_in_the_table() -> None:
    plan = study(Setup(), OFFICE, months=2)
    assert plan.now in shown_changes(plan)
    assert not any(each.title.endswith(" MB") for each in shown_changes(plan))


_TIMED = """
import time
from sunup.local.planning import Setup, Traffic, study

began = time.process_time()
study(Setup(), Traffic(weekly=7000), months=1, seed=5)
print(time.process_time() - began)
"""


def test_a_month_of_a_thousand_visits_a_day_takes_less_than_a_second() -> None:
    # Of a process's own time, since other tests run beside it; and where no coverage is measured.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    took = subprocess.check_output([sys.executable, "-c", _TIMED], env=environ, text=True)
    assert float(took) < 3  # with all its changes, ten months more
    plan = study(replace(Setup(), engine="dsql"), Traffic(weekly=7000), months=1, seed=5)
    assert plan.outcome.visits > 28_000


def test_a_log_of_two_days_counts_in_proportion() -> None:
    times = [float(at) for at in range(0, int(2 * DAY), 1000)]
    plan = study(KNOWN, Arrivals(times, [VISIT] * len(times), 2 * DAY, start=DAY), months=1)
    assert plan.outcome.visits == pytest.approx(len(times) * MONTH / (2 * DAY))
    assert len(strip(plan.typical)) == 7


def test_the_picture_and_the_page_are_whole() -> None:
    plan = study(Setup(), OFFICE, months=2)
    root = ET.fromstring(week(plan.typical, plan.arrivals, "A <week> & more"))
    assert "A <week> & more" in "".join(root.itertext())
    made = page(plan, "a & b", ["<note>"])
    assert "&lt;note&gt;" in made
    assert headline(plan).split()[3] in made
    days = strip(plan.typical)
    assert [name for name, _ in days] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert all(len(cells) == 48 for _, cells in days)
    assert set(days[6][1]) == {" "}


def test_the_summary_says_what_was_found() -> None:
    text = " ".join(summary(study(Setup(), OFFICE, months=2)))
    assert "of 730 h" in text
    assert "wait for it" in text
    nobody = study(Setup(), Traffic(weekly=0), months=1)
    assert "Nobody visits." in summary(nobody)
