"""The plan as a page."""

from html import escape

from sunup.local.document import document, table

from .picture import week
from .studying import Plan
from .words import headline, shown_changes, summary


def page(plan: Plan, title: str, notes: list[str]) -> str:
    """HTML."""
    parts = [
        f"<h1>{escape(headline(plan))}</h1>",
        f"<p>{escape(title)}</p>",
        week(plan.typical, plan.arrivals, "A typical week"),
        "<ul>",
        *(f"<li>{escape(each)}</li>" for each in summary(plan)),
        "</ul>",
        "<h2>The bill of a month</h2>",
        _bill(plan),
        "<h2>What one change would do</h2>",
        _changes(plan),
        *(f'<p class="note">{escape(each)}</p>' for each in notes),
    ]
    return document(headline(plan), parts)


def _bill(plan: Plan) -> str:
    rows = [
        (
            escape(each.name),
            f"${each.dollars.median:,.2f}",
            f"{each.dollars.low:,.2f} to {each.dollars.high:,.2f}",
            escape(each.amount),
        )
        for each in plan.outcome.parts
    ]
    return table(("part", "median", "nine months in ten", "for"), rows, left=(0, 3))


def _changes(plan: Plan) -> str:
    shown = shown_changes(plan)
    rows = [
        (
            escape(each.title),
            f"${each.dollars:,.2f}",
            f"{each.waited:.1%}",
            f"{each.waiting_hours * 60:,.0f} min",
            f"${each.total:,.2f}",
            f"<code>{escape(each.how)}</code>",
        )
        for each in shown
    ]
    head = (
        *("change", "bill", "visits that wait", "waiting together"),
        *("with what that is worth", "how"),
    )
    return table(head, rows, left=(0, 5), best=[shown.index(plan.now)])
