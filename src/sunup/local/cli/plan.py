"""`sunup plan`: what an app will cost, and how often somebody will wait."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.planning import Arrivals, Traffic, access_log, study
from sunup.local.planning import reading as texts
from sunup.local.planning.cron import Times
from sunup.local.planning.declared import declared, variables, wakes
from sunup.local.planning.page import page
from sunup.local.planning.picture import week

from . import plan_shown
from .given import with_defaults_of
from .measured import app_of
from .plan_given import prices_of, with_options
from .waiting import waiting
from .written import check_writable, tell_written, write

_DEMO = "10/day"
_OF_A_PATTERN = ("visits", "hours", "days", "requests", "think", "burst", "crawlers", "ping")
_TRAFFIC = "Who comes"
_SETUP = "What is deployed (unless given: as terraform.tfvars says)"
_SIMULATION = "The simulation"


def plan(
    context: typer.Context,
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
            help="DB_IDLE_SESSION_TIMEOUT in seconds; 0 is never.",
            min=0,
            max=86_400,
            rich_help_panel=_SETUP,
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Reserved concurrency.", min=1, rich_help_panel=_SETUP)
    ] = None,
    max_acu: Annotated[
        float | None, typer.Option(help="The maximum ACUs.", min=1, max=256, rich_help_panel=_SETUP)
    ] = None,
    storage: Annotated[
        float | None, typer.Option(help="GB stored.", min=0, max=1e6, rich_help_panel=_SETUP)
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
            max=1e6,
            rich_help_panel=_SIMULATION,
        ),
    ] = 20.0,
    lost_visit: Annotated[
        float,
        typer.Option(
            help="What a visit is worth that gives up, in dollars.",
            min=0,
            max=1e6,
            rich_help_panel=_SIMULATION,
        ),
    ] = 1.0,
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
    setup = declared(told)
    setup = with_options(
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
    prices = prices_of(found, price or [])
    if no_free_tier:
        prices = prices.without_free()
    check_writable(html, svg)
    notes: list[str] = []
    who: Traffic | Arrivals
    if log:
        _check_alone(context, notes)
        who = access_log.read(log, only, notes.append)
        title = f"{len(who.times):,} requests of {who.seconds / 86_400:.1f} days"
        if "wake_schedule" in told:
            notes.append("the wake schedule of terraform.tfvars is not part of what the log plays")
    else:
        if only is not None:
            raise CommandError("--only is of a log's lines", "Pass the log: --log access.log.")
        there = texts.hours(days, hours)
        given = visits or _DEMO
        who = Traffic(
            weekly=texts.rate(given, "--visits", there),
            hours=there,
            requests=requests,
            pause=think,
            bursts=tuple(map(texts.burst, burst or [])),
            crawlers=texts.rate(crawlers, "--crawlers", texts.hours("all", "all")),
            ping=None if ping is None else texts.seconds(ping, "--ping"),
            wakes=_wakes(told, notes),
        )
        title = plan_shown.title(given, hours, days, requests, burst or [], crawlers, ping)
    title += f" · {plan_shown.deployment(setup)}"
    with waiting("Simulating") as tell:
        studied = study(
            setup,
            who,
            prices,
            months=months,
            seed=seed,
            waiting_hour=waiting_hour,
            lost_visit=lost_visit,
            tell=tell,
        )
    notes += plan_shown.notes_of(studied, prices, waiting_hour, lost_visit, seed)
    write(html, lambda: page(studied, title, notes))
    write(svg, lambda: week(studied.typical, studied.arrivals, title))
    if as_json:
        typer.echo(json.dumps(plan_shown.content(studied, prices, notes), indent=2))
        return
    plan_shown.show(studied, title, notes)
    tell_written(html, svg)


def _check_alone(context: typer.Context, notes: list[str]) -> None:
    """A log says who comes. Raises `CommandError` where the command line says so as well."""
    given = [name for name in _OF_A_PATTERN if _is_given(context, name)]
    if "visits" in given:
        raise CommandError("--visits and --log exclude each other", "Leave out one of them.")
    if given:
        names = " and ".join(f"--{name}" for name in given)
        notes.append(f"{names} is not part of what a log plays")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _wakes(told: Mapping[str, object], notes: list[str]) -> Times | None:
    """The wake schedule of terraform.tfvars, unless it cannot be simulated: then a note."""
    try:
        schedule = wakes(told)
    except CommandError as error:
        notes.append(f"{error.what}: left out")
        return None
    if schedule is not None and told.get("wake_timezone", "UTC") != "UTC":
        notes.append("the wake schedule is taken in the clock of the visitors")
    return schedule
