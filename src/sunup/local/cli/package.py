"""`sunup package`: the zip file for Lambda, made on any machine, without Docker."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sunup.local import project
from sunup.local.packaging.build import Package, build
from sunup.local.packaging.target import choose

from .waiting import ERRORS, waiting

_SHOWN = 8


def package(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The zip file to write.", show_default="lambda.zip"),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="The architecture: arm64 or x86_64.", show_default="arm64")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            help="The Python version on Lambda, such as 3.13.", show_default="the running version"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    r"""Build the deployment package of the app in APP_DIR.

    Contains the dependencies from requirements.txt (or uv.lock, pylock.toml, poetry.lock), as
    wheels for the target; the files that git does not ignore; and the part of sunup that runs on
    Lambda. Leaves out tests, migrations, boto3 and what looks like a secret. The bytecode is
    compiled here, because Lambda cannot save it. The same inputs give the same bytes.

    \[tool.sunup] in pyproject.toml can set: python, arch, requirements (the file), include and
    exclude (patterns as in .gitignore), bundle (packages to include anyway), keep (packages to
    leave unpruned).
    """
    found = project.find(app_dir)
    target = choose(python or found.text("python"), arch or found.text("arch"))
    path = (output or found.folder / "lambda.zip").resolve()
    with waiting("Packaging") as tell:
        made = build(found, target, path, tell)
    if as_json:
        typer.echo(json.dumps(_content(made)))
    else:
        show(made)
    for note in made.notes:
        ERRORS.print(f"Note: {note}", style="yellow", soft_wrap=True, markup=False)


def show(made: Package) -> None:
    """Show what was made."""
    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("part", no_wrap=True)
    table.add_column("version", no_wrap=True)
    table.add_column("zipped", justify="right")
    table.add_column("unpacked", justify="right")
    for part in made.parts[:_SHOWN]:
        table.add_row(part.name, part.version, _size(part.zipped), _size(part.unpacked))
    rest = made.parts[_SHOWN:]
    if rest:
        total = _size(sum(p.zipped for p in rest)), _size(sum(p.unpacked for p in rest))
        table.add_row(f"{len(rest)} more", "", *total)
    table.add_row("total", "", _size(made.zipped), _size(made.unpacked), style="bold")
    console.print(table)
    tried = (
        "imported here"
        if made.executed
        else f"not executed: this machine is not {made.target.arch}"
    )
    if made.compiled.interpreter is None:
        tried = "not executed: no such Python here"
    console.print(f"\n{_short(made.path)}  for {made.target}", soft_wrap=True)
    console.print(f"  handler {made.handler}, {tried}; {made.natives} native modules checked")
    console.print(f"  sha256 {made.sha256}", soft_wrap=True)
    sys.stdout.flush()


def _content(made: Package) -> dict[str, object]:
    return {
        "path": str(made.path),
        "runtime": made.target.runtime,
        "arch": made.target.arch,
        "handler": made.handler,
        "sha256": made.sha256,
        "zipped": made.zipped,
        "unpacked": made.unpacked,
        "files": made.files,
        "executed": made.executed,
        "bytecode": made.compiled.interpreter is not None,
        "parts": [asdict(part) for part in made.parts],
        "notes": made.notes,
    }


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
