"""`sunup measure`: how the app starts, how it answers, and why."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.measuring.flame import flame
from sunup.local.measuring.measuring import Wanted
from sunup.local.measuring.measuring import measure as measured
from sunup.local.measuring.page import page
from sunup.local.measuring.report import Report, check, compared, differing
from sunup.local.measuring.words import findings, title_of
from sunup.local.planning import Prices
from sunup.local.planning.declared import declared, variables
from sunup.local.project import Project

from .given import variables_of, with_defaults_of
from .waiting import end_cleanly, waiting
from .written import check_writable, tell_written, write

_MEMORIES = (128, 256, 512, 1024, 1769)
# Beyond it a difference is one: the same app twice differs by less, on a quiet machine.
_NOISE = 0.05


def measure(
    app_dir: Annotated[
        Path,
        typer.Argument(
            metavar="APP_DIR",
            help="The app's folder, or a deployment package (.zip).",
            is_eager=True,
            callback=with_defaults_of,
        ),
    ] = Path(),
    *,
    path: Annotated[
        str | None,
        typer.Option(help="What is asked for, by GET.", show_default="[tool.sunup] check, else /"),
    ] = None,
    memory: Annotated[
        list[int] | None,
        typer.Option(
            help="Memory in MB. Repeatable.",
            min=128,
            max=10_240,
            show_default="128, 256, 512, 1024, 1769",
        ),
    ] = None,
    starts: Annotated[int, typer.Option(help="Starts with each memory.", min=1, max=100)] = 5,
    requests: Annotated[
        int, typer.Option(help="Warm requests after each start.", min=1, max=10_000)
    ] = 50,
    env: Annotated[
        list[str] | None,
        typer.Option(help="Set an environment variable of the function: NAME=VALUE. Repeatable."),
    ] = None,
    max_cold: Annotated[
        float | None,
        typer.Option(
            help="A budget in ms for the cold response, with --memory or the deployed memory: "
            "beyond it the exit status is 1.",
            min=0,
        ),
    ] = None,
    max_package: Annotated[
        float | None, typer.Option(help="A budget in MB for the package (zipped).", min=0)
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier report (--json) to compare with.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the flame graph of INIT alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    r"""Measure how the app starts and answers, and find out why.

    Packages the app, starts it again and again in the emulated AWS, with the processor's share that
    each memory has, and asks for a path. Then looks into INIT: what is imported because of what,
    what connecting and start-up take, and what each import would save.

    sunup measure --path /users --html report.html

    sunup measure --max-cold 400 --json > measured.json

    sunup plan takes that JSON: --measured measured.json. Options can also be set in pyproject.toml,
    in the table \[tool.sunup.measure] (path = "/users").
    """
    end_cleanly()
    packaged = app_dir.suffix == ".zip"
    if packaged and not app_dir.is_file():
        raise CommandError(f"there is no file {app_dir}", "Make it: sunup package")
    found = project.find(app_dir.parent if packaged else app_dir)
    before = None if compare is None else _earlier(compare)
    check_writable(html, svg)
    target = path or found.text("check") or "/"
    if not target.startswith("/"):
        raise CommandError(f"--path {target!r} is no path", "It begins with a slash: /users")
    deployment = declared(variables(found.tfvars))
    deployed = deployment.memory
    memories = tuple(sorted(set(memory or {*_MEMORIES, deployed})))
    wanted = Wanted(memories, target, starts, requests, deployment.engine)
    with waiting("Packaging") as tell:
        report, profile = measured(
            found,
            app_dir.resolve() if packaged else None,
            wanted,
            {**_of_emulate(found), **variables_of(env or [])},
            Prices(),
            tell,
        )
    changes = []
    if before is not None:
        changes = compared(report, before)
        report.notes.extend(differing(report, before))
    write(html, lambda: page(report, profile))
    write(svg, lambda: flame(profile, f"INIT of {report.app}"))
    if as_json:
        content = report.as_json()
        if before is not None:
            content["compared"] = [
                {"what": what, "unit": unit, "before": old, "now": new}
                for what, unit, old, new in changes
            ]
        typer.echo(json.dumps(content, indent=2))
    else:
        _show(report, changes)
    tell_written(html, svg)
    _check(report, memory or [deployed], max_cold, max_package)


def _check(
    report: Report, memories: list[int], max_cold: float | None, max_package: float | None
) -> None:
    """Raises `CommandError` beyond the budgets."""
    over: list[str] = []
    if max_cold is not None:
        if not report.shares:
            memories = [each.memory for each in report.memories]
        over += [
            f"a cold response takes {each.cold:.0f} ms with {each.memory} MB, more than "
            f"{max_cold:g} ms"
            for each in report.memories
            if each.memory in memories and each.cold > max_cold
        ]
    if max_package is not None and report.zipped > max_package * 1e6:
        over.append(f"the package has {report.zipped / 1e6:.1f} MB, more than {max_package:g} MB")
    if over:
        raise CommandError(
            "; ".join(over), "sunup measure --html report.html shows where the time goes."
        )


def _earlier(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise CommandError(
            f"{path} is not what sunup measure --json writes",
            "Make one: sunup measure --json > before.json",
        )
    check(content)
    return content


def _of_emulate(found: Project) -> dict[str, str]:
    """The variables that `sunup emulate` would pass, too."""
    given = found.options("emulate").get("env", [])
    return variables_of(list(map(str, given)) if isinstance(given, list) else [str(given)])


def _show(report: Report, changes: list[tuple[str, str, float, float]]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(title_of(report), style="bold", soft_wrap=True)
    for line in findings(report):
        console.print(line, soft_wrap=True)
    console.print()
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("memory", "INIT", "first", "cold ms", "warm p50", "p95", "p99", "MB", "$/million"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in report.memories:
        table.add_row(
            f"{each.memory}",
            f"{each.init:.0f}",
            f"{each.first:.0f}",
            f"{each.cold:.0f}",
            f"{each.warm_p50:.1f}",
            f"{each.warm_p95:.1f}",
            f"{each.warm_p99:.1f}",
            f"{each.peak_mb:.0f}",
            f"{each.dollars:.2f}",
            style="bold" if each.memory == report.recommended else None,
        )
    console.print(table)
    if report.imports:
        console.print()
        console.print("The dearest imports: what INIT would save without them", style="bold")
        for dear in report.imports:
            console.print(
                f"  {dear.saved_ms:6.1f} ms  {dear.module:<28} {dear.advice}".rstrip(),
                soft_wrap=True,
            )
            if len(dear.chain) > 1:
                console.print(f"             {' > '.join(dear.chain)}", style="dim", soft_wrap=True)
    if changes:
        console.print()
        console.print("Compared with the earlier report", style="bold")
        for what, unit, old, new in changes:
            ratio = new / old if old else 1.0
            style = "red" if ratio > 1 + _NOISE else "green" if ratio < 1 - _NOISE else None
            share = f"  ({ratio - 1:+.0%})" if old else ""
            console.print(f"  {what:<28} {old:8.1f} -> {new:.1f} {unit}{share}", style=style)
    for note in report.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True)
