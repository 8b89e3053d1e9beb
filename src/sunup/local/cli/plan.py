"""`sunup plan`: what an app will cost, and how often somebody will wait."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sunup.local import project
from sunup.local.capacity import DSQL_CONNECTIONS, connection_limit
from sunup.local.errors import CommandError
from sunup.local.planning import Arrivals, Plan, Prices, Range, Setup, Traffic, access_log, study
from sunup.local.planning import reading as texts
from sunup.local.planning.declared import declared, variables
from sunup.local.planning.page import page
from sunup.local.planning.picture import strip, week
from sunup.local.planning.words import headline, same, shown_changes, summary
from sunup.local.project import Project

from .given import with_defaults_of
from .measured import app_of
from .waiting import ERRORS, waiting

_DEMO = "10/day"
# Columns of a terminal that have room for how a change is made.
_WIDE = 130
_TRAFFIC = "Who comes"
_SETUP = "What is deployed (unless given: as terraform.tfvars says)"
_SIMULATION = "The simulation"


def plan(
    app_dir: Annotated[
        Path,
        typer.Argument(
            metavar="APP_DIR", help="The app's folder.", is_eager=True, callback=with_defaults_of
        ),
    ] = Path(),
    *,
    visits: Annotated[
        str | None,
        typer.Option(
            help="Visits by people: 200/day, 15/hour, 30/week, 900/month.",
            show_default=_DEMO,
            rich_help_panel=_TRAFFIC,
        ),
    ] = None,
    hours: Annotated[
        str, typer.Option(help="The hours of the day: 9-18, 22-4.", rich_help_panel=_TRAFFIC)
    ] = "all",
    days: Annotated[
        str, typer.Option(help="The days: mon-fri, sat,sun.", rich_help_panel=_TRAFFIC)
    ] = "all",
    requests: Annotated[
        int,
        typer.Option(help="Requests of one visit.", min=1, max=1000, rich_help_panel=_TRAFFIC),
    ] = 1,
    think: Annotated[
        float,
        typer.Option(help="Seconds between them, on average.", min=0.001, rich_help_panel=_TRAFFIC),
    ] = 8.0,
    burst: Annotated[
        list[str] | None,
        typer.Option(
            help="More visits at a time of day: 50@12:30, 200@9/10m. Repeatable.",
            rich_help_panel=_TRAFFIC,
        ),
    ] = None,
    crawlers: Annotated[
        str,
        typer.Option(
            help="Requests of crawlers and scanners, at any time: 20/day.",
            rich_help_panel=_TRAFFIC,
        ),
    ] = "0/day",
    ping: Annotated[
        str | None,
        typer.Option(help="A monitor that asks the database each 5m.", rich_help_panel=_TRAFFIC),
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(
            help="An access log instead (.gz too; - is standard input): only times are read. "
            "Repeatable.",
            rich_help_panel=_TRAFFIC,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Lines of the log that match this regular expression.", rich_help_panel=_TRAFFIC
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="aurora or dsql.", rich_help_panel=_SETUP)
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(help="The function's memory in MB.", min=128, rich_help_panel=_SETUP),
    ] = None,
    pause_after: Annotated[
        str | None,
        typer.Option(
            help="Aurora's SecondsUntilAutoPause: 300 to 86400, or never.",
            show_default="300",
            rich_help_panel=_SETUP,
        ),
    ] = None,
    idle_session_timeout: Annotated[
        float | None,
        typer.Option(
            help="DB_IDLE_SESSION_TIMEOUT in seconds; 0 is never.", min=0, rich_help_panel=_SETUP
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Reserved concurrency.", min=1, rich_help_panel=_SETUP)
    ] = None,
    max_acu: Annotated[
        float | None, typer.Option(help="The maximum ACUs.", min=1, rich_help_panel=_SETUP)
    ] = None,
    storage: Annotated[
        float | None, typer.Option(help="GB stored.", min=0, rich_help_panel=_SETUP)
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="What the app needs: the file of sunup measure --json.",
            show_default="the users API's",
            rich_help_panel=_SETUP,
        ),
    ] = None,
    acu: Annotated[
        str | None,
        typer.Option(
            help="ACUs while awake, on average: 0.5, or 0.5-2.",
            show_default="0.5-1",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    resume_seconds: Annotated[
        str | None,
        typer.Option(
            help="Seconds that Aurora takes to resume: 15, or 13-40.",
            show_default="13-30",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(help="Another price: acu-hour=0.14. Repeatable.", rich_help_panel=_SIMULATION),
    ] = None,
    no_free_tier: Annotated[
        bool,
        typer.Option(
            "--no-free-tier",
            help="Of an account whose free part is used by others.",
            rich_help_panel=_SIMULATION,
        ),
    ] = False,
    waiting_hour: Annotated[
        float,
        typer.Option(
            help="What an hour of people's waiting is worth, in dollars: it ranks the changes.",
            min=0,
            rich_help_panel=_SIMULATION,
        ),
    ] = 20.0,
    months: Annotated[
        int,
        typer.Option(help="Months to simulate.", min=1, max=120, rich_help_panel=_SIMULATION),
    ] = 12,
    seed: Annotated[
        int, typer.Option(help="Another draw of chance.", rich_help_panel=_SIMULATION)
    ] = 1,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with a picture of a week.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the picture alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    r"""Simulate months of traffic: what the app will cost, and how often somebody will wait.

    Nothing is deployed and nobody is asked: instances, freezing, sessions that end, pauses and
    resumes are simulated, with what nobody has published drawn from a range. The deployment is the
    app's terraform.tfvars'.

    sunup plan --visits 200/day --hours 9-18 --days mon-fri

    sunup plan --log access.log --html plan.html

    Options can also be set in pyproject.toml, in the table \[tool.sunup.plan] (visits =
    "200/day"), prices in \[tool.sunup.plan.prices] (acu-hour = 0.14).
    """
    found = project.find(app_dir)
    told = variables(found.tfvars)
    setup, wakes = declared(told)
    setup = _setup(
        setup,
        engine=engine,
        memory=memory,
        pause_after=pause_after,
        idle_session_timeout=idle_session_timeout,
        concurrency=concurrency,
        max_acu=max_acu,
        storage=storage,
        acu=acu,
        resume_seconds=resume_seconds,
    )
    if measured is not None:
        setup = replace(setup, app=app_of(measured))
    prices = _prices(found, price or [])
    if no_free_tier:
        prices = prices.without_free()
    notes: list[str] = []
    who: Traffic | Arrivals
    if log:
        if visits is not None:
            raise CommandError("--visits and --log exclude each other", "Leave out one of them.")
        who = access_log.read(log, only, notes.append)
        title = f"{len(who.times):,} requests of {who.seconds / 86_400:.1f} days"
        if wakes is not None:
            notes.append("the wake schedule of terraform.tfvars is not part of what the log plays")
    else:
        there = texts.hours(days, hours)
        who = Traffic(
            weekly=texts.rate(visits or _DEMO, "--visits", there),
            hours=there,
            requests=requests,
            pause=think,
            bursts=tuple(map(texts.burst, burst or [])),
            crawlers=texts.rate(crawlers, "--crawlers", texts.hours("all", "all")),
            ping=None if ping is None else texts.seconds(ping, "--ping"),
            wakes=wakes,
        )
        title = _title(visits or _DEMO, hours, days, requests, burst or [], crawlers, ping)
    for path in (html, svg):
        if path is not None and not path.absolute().parent.is_dir():
            raise CommandError(f"there is no folder {path.parent}", "Make it first.")
    title += f" · {_deployment(setup)}"
    with waiting("Simulating") as tell:
        studied = study(
            setup, who, prices, months=months, seed=seed, waiting_hour=waiting_hour, tell=tell
        )
    notes += _notes(studied, prices, waiting_hour, seed)
    if html is not None:
        html.write_text(page(studied, title, notes), encoding="utf-8")
    if svg is not None:
        svg.write_text(week(studied.typical, studied.arrivals, title), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_content(studied, prices, notes), indent=2))
        return
    _show(studied, title, notes)
    for path in (html, svg):
        if path is not None:
            sys.stdout.flush()
            ERRORS.print(f"Written: {path}", markup=False, soft_wrap=True)


def _setup(
    setup: Setup,
    *,
    engine: str | None,
    memory: int | None,
    pause_after: str | None,
    idle_session_timeout: float | None,
    concurrency: int | None,
    max_acu: float | None,
    storage: float | None,
    acu: str | None,
    resume_seconds: str | None,
) -> Setup:
    if engine not in (None, "aurora", "dsql"):
        raise CommandError(f"--engine {engine!r} cannot be simulated", "Use aurora or dsql.")
    given: dict[str, object] = {
        "engine": engine,
        "memory": memory,
        "idle_session_timeout": idle_session_timeout,
        "concurrency": concurrency,
        "storage_gb": storage,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if engine == "dsql":
        changes["max_connections"] = DSQL_CONNECTIONS
    elif max_acu is not None or engine == "aurora":
        changes["max_connections"] = connection_limit(max_acu or 4)
    if pause_after is not None:
        changes["pause_after"] = _pause(pause_after)
    if acu is not None:
        changes["acu"] = texts.a_range(acu, "--acu")
    if resume_seconds is not None:
        changes["resume"] = resume = texts.a_range(resume_seconds, "--resume-seconds")
        deep = setup.deep_resume
        longer = [max(each, resume.high) for each in (deep.low, deep.mode, deep.high)]
        changes["deep_resume"] = Range(*longer)
    return replace(setup, **changes)  # type: ignore[arg-type]  # each of its own type


def _pause(text: str) -> float | None:
    if text == "never":
        return None
    seconds = texts.seconds(text, "--pause-after")
    if not 300 <= seconds <= 86_400:
        raise CommandError(
            f"--pause-after {text} is not possible", "Aurora pauses after 300 to 86400 s, or never."
        )
    return seconds


def _prices(found: Project, given: list[str]) -> Prices:
    table = found.options("plan").get("prices", {})
    if not isinstance(table, dict):
        raise CommandError(
            "[tool.sunup.plan] prices is no table", "Write [tool.sunup.plan.prices] acu-hour = 0.14"
        )
    changes: dict[str, object] = dict(table)
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise CommandError(
                f"--price {each!r} is not NAME=DOLLARS", "For example: acu-hour=0.14"
            )
        changes[name.strip()] = value
    return Prices().with_changes(changes)


def _title(
    visits: str,
    hours: str,
    days: str,
    requests: int,
    bursts: list[str],
    crawlers: str,
    ping: str | None,
) -> str:
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


def _deployment(setup: Setup) -> str:
    if setup.engine == "dsql":
        return f"Aurora DSQL, {setup.memory} MB"
    sleep = (
        "never pauses"
        if setup.pause_after is None
        else f"pauses after {setup.pause_after:g} s, sessions end after "
        f"{f'{setup.idle_session_timeout:g} s' if setup.idle_session_timeout else 'never'}"
    )
    return f"Aurora {sleep}, {setup.memory} MB"


def _notes(found: Plan, prices: Prices, waiting_hour: float, seed: int) -> list[str]:
    none = [each.title for each in found.changes if same(each, found.now)]
    notes = [
        f"Ranked by the bill and what waiting is worth, ${waiting_hour:g} an hour (--waiting-hour)."
    ]
    if none:
        notes.append(f"No difference: {', '.join(none)}.")
    notes.append(
        f"{found.months} {'month' if found.months == 1 else 'months'}, seed {seed}. Prices of "
        f"{prices.region}, {prices.as_of}: AWS's own pages decide. docs/plan.md says what is "
        "assumed."
    )
    return notes


def _show(found: Plan, title: str, notes: list[str]) -> None:
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
    for name in ("bill", "wait", "waiting", "together"):
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


def _content(found: Plan, prices: Prices, notes: list[str]) -> Mapping[str, object]:
    return {
        "months": found.months,
        **asdict(found.outcome),
        "now": asdict(found.now),
        "changes": [asdict(each) for each in found.changes],
        "prices": asdict(prices),
        "notes": notes,
    }
