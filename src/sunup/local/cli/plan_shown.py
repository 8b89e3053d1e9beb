"""How a plan looks in a terminal, and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from sunup.local.planning import Plan, Prices, Setup
from sunup.local.planning.picture import strip
from sunup.local.planning.words import headline, same, shown_changes, summary

# Columns of a terminal that have room for how a change is made.
_WIDE = 130


def title(
    visits: str,
    hours: str,
    days: str,
    requests: int,
    bursts: list[str],
    crawlers: str,
    ping: str | None,
) -> str:
    """Who comes, in the words of the options."""
    parts = [f"{visits if '/' in visits else visits + '/day'} visits"]
    if days != "all":
        parts.append(days)
    if hours != "all":
        parts.append(f"{hours} h" if ":" not in hours else hours)
    if requests > 1:
        parts.append(f"{requests} requests each")
    parts += [f"burst of {each}" for each in bursts]
    if not crawlers.startswith("0"):
        parts.append(f"crawlers {crawlers}")
    if ping:
        parts.append(f"a monitor each {ping}")
    return ", ".join(parts)


def deployment(setup: Setup) -> str:
    """What is deployed, in a few words."""
    if setup.engine == "dsql":
        return f"Aurora DSQL, {setup.memory} MB"
    sleep = (
        "never pauses"
        if setup.pause_after is None
        else f"pauses after {setup.pause_after:g} s, sessions end after "
        f"{f'{setup.idle_session_timeout:g} s' if setup.idle_session_timeout else 'never'}"
    )
    return f"Aurora {sleep}, {setup.memory} MB"


def notes_of(
    found: Plan, prices: Prices, waiting_hour: float, lost_visit: float, seed: int
) -> list[str]:
    """What stands below the tables."""
    none = [each.title for each in found.changes if same(each, found.now)]
    ranked = (
        f"Ranked by the bill and what waiting is worth, ${waiting_hour:g} an hour (--waiting-hour)"
    )
    if any(each.lost for each in (found.now, *found.changes)):
        ranked += f", and each visit that gives up ${lost_visit:g} (--lost-visit)"
    if found.compared < found.months:
        ranked += f"; over {found.compared} of the {found.months} months"
    notes = [f"{ranked}."]
    if none:
        notes.append(f"No difference: {', '.join(none)}.")
    notes.append(
        f"{found.months} {'month' if found.months == 1 else 'months'}, seed {seed}. Prices of "
        f"{prices.region}, {prices.as_of}: AWS's own pages decide. docs/plan.md says what is "
        "assumed."
    )
    return notes


def show(found: Plan, title: str, notes: list[str]) -> None:
    """For a person."""
    console = Console(highlight=False, markup=False)
    console.print(title, style="dim", soft_wrap=True)
    console.print()
    console.print(headline(found), style="bold", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for part in found.outcome.parts:
        wide = part.dollars.high - part.dollars.low >= 0.01
        table.add_row(
            f"  {part.name}",
            f"${part.dollars.median:,.2f}",
            f"{part.dollars.low:,.2f} to {part.dollars.high:,.2f}" if wide else "",
            part.amount,
        )
    console.print(table)
    console.print()
    for line in summary(found):
        console.print(line, soft_wrap=True)
    console.print()
    console.print("A typical week: when the database is awake, from 0 to 24 h", style="bold")
    for day, shades in strip(found.typical):
        console.print(f"  {day}  |{shades}|", soft_wrap=True)
    console.print()
    changes = Table(box=None, pad_edge=False, show_edge=False)
    changes.add_column("What one change would do", no_wrap=True)
    some_lost = any(each.lost for each in shown_changes(found))
    lost = ("lost",) if some_lost else ()
    for name in ("bill", "wait", "waiting", *lost, "together"):
        changes.add_column(name, justify="right", no_wrap=True)
    beside = console.width >= _WIDE
    if beside:
        changes.add_column("how", no_wrap=True)
    for change in shown_changes(found):
        cells = [
            change.title,
            f"${change.dollars:,.2f}",
            f"{change.waited:.1%}",
            _time(change.waiting_hours),
            *([f"{change.lost:.1%}"] if some_lost else []),
            f"${change.total:,.2f}",
        ]
        style = "bold" if change is found.now else None
        changes.add_row(*cells, *([change.how] if beside else []), style=style)
    console.print(changes)
    console.print()
    if not beside:
        for change in shown_changes(found):
            if change.how:
                console.print(f"  {change.title}: {change.how}", style="dim", soft_wrap=True)
        console.print()
    for note in notes:
        console.print(note, style="dim", soft_wrap=True)


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def content(found: Plan, prices: Prices, notes: list[str]) -> Mapping[str, object]:
    """For a script."""
    return {
        "months": found.months,
        **asdict(found.outcome),
        "now": asdict(found.now),
        "changes": [asdict(each) for each in found.changes],
        "prices": asdict(prices),
        "notes": notes,
    }
