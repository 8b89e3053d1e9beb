"""The plan as a page: one file, which loads nothing."""

from html import escape

from .picture import week
from .studying import Plan
from .words import headline, shown_changes, summary

_STYLE = """:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:right}
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}
th{font-weight:600;border-bottom:1px solid #8884}.now{font-weight:600}
code{font-size:.85em}.note{opacity:.7;font-size:.85rem}svg{width:100%;height:auto}"""


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
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(headline(plan))}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def _bill(plan: Plan) -> str:
    rows = [
        f"<tr><td>{escape(each.name)}</td><td>${each.dollars.median:,.2f}</td>"
        f"<td>{each.dollars.low:,.2f} to {each.dollars.high:,.2f}</td>"
        f"<td>{escape(each.amount)}</td></tr>"
        for each in plan.outcome.parts
    ]
    head = "<tr><th>part</th><th>median</th><th>nine months in ten</th><th>for</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _changes(plan: Plan) -> str:
    rows = []
    for each in shown_changes(plan):
        mark = ' class="now"' if each is plan.now else ""
        rows.append(
            f"<tr{mark}><td>{escape(each.title)}</td><td>${each.dollars:,.2f}</td>"
            f"<td>{each.waited:.1%}</td><td>{each.waiting_hours * 60:,.0f} min</td>"
            f"<td>${each.total:,.2f}</td><td><code>{escape(each.how)}</code></td></tr>"
        )
    head = (
        "<tr><th>change</th><th>bill</th><th>visits that wait</th><th>waiting together</th>"
        "<th>with what that is worth</th><th>how</th></tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>"
