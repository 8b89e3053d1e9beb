"""The plan in sentences."""

from .statistics import Spread
from .studying import Change, Plan

# A change that moves neither the bill nor the waiting by more than this is none.
_SAME = 0.01


def headline(plan: Plan) -> str:
    """What a month costs."""
    dollars = plan.outcome.dollars
    if plan.months == 1 or dollars.high - dollars.low < 0.01:
        return f"A month costs ${dollars.median:,.2f}"
    return (
        f"A month costs ${dollars.median:,.2f} (nine in ten: ${dollars.low:,.2f} to "
        f"${dollars.high:,.2f})"
    )


def summary(plan: Plan) -> list[str]:
    """How awake the database is, who waits and for how long, what fails."""
    found = plan.outcome
    median, most, longest = found.wait
    awake = f"The database is awake {_hours(found.awake_hours)} of 730 h"
    woken = f", and is woken {found.resumes:,.0f} times." if plan.sleeps else ": it never pauses."
    lines = [awake + woken]
    if not found.visits:
        lines.append("Nobody visits.")
    elif not found.waited.high:
        lines.append(f"None of {found.visits:,.0f} visits waits.")
    else:
        lines.append(
            f"Of {found.visits:,.0f} requests of visitors {_share(found.waited)} wait for it: "
            f"{median:.0f} s, one in twenty {most:.0f} s or longer, at most {longest:.0f} s."
        )
    if found.refused:
        lost = f", and {found.lost:.2%} never do" if found.lost else " then"
        lines.append(
            f"{found.refused:.2%} are told to come again at first (503), and succeed{lost}."
            if not found.lost
            else f"{found.refused:.2%} are told to come again at first (503){lost}."
        )
    if found.failures:
        each = ", ".join(f"{code} {count:,.1f}" for code, count in found.failures.items())
        lines.append(f"Answers of 503 a month: {each}.")
    lines.append(
        f"{found.cold:.1%} of the invocations are cold starts; at most {found.instances} "
        f"{'instance' if found.instances == 1 else 'instances'} and {found.connections} "
        f"{'connection' if found.connections == 1 else 'connections'} at once."
    )
    return lines


def shown_changes(plan: Plan) -> list[Change]:
    """Those that make a difference, and what is now, best first."""
    differing = [each for each in plan.changes if not same(each, plan.now)]
    return sorted([*differing, plan.now], key=lambda each: each.total)


def same(change: Change, now: Change) -> bool:
    """Whether it makes no difference."""
    return (
        abs(change.dollars - now.dollars) <= max(0.01, _SAME * now.dollars)
        and abs(change.waiting_hours - now.waiting_hours) <= _SAME * now.waiting_hours
    )


def _hours(spread: Spread) -> str:
    if spread.high - spread.low < 0.1:
        return f"{spread.median:.1f}"
    return f"{spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"


def _share(spread: Spread) -> str:
    if spread.high - spread.low < 0.0005:
        return f"{spread.median:.1%}"
    return f"{spread.median:.1%} ({spread.low:.1%} to {spread.high:.1%})"
