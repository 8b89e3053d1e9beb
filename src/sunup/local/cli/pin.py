"""`sunup pin`: requirements.txt from pyproject.toml."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.packaging import sources, uv
from sunup.local.packaging.room import override

from .waiting import waiting


def pin(
    app_dir: Annotated[Path, typer.Argument(help="The app's folder.")] = Path(),
    *,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Also upgrade what is already pinned.")
    ] = False,
) -> None:
    """Pin the dependencies of pyproject.toml in requirements.txt, with hashes, for all platforms.

    Uses uv. sunup itself is left out: the package contains the sunup that builds it, unless
    requirements.txt pins another.
    """
    found = project.find(app_dir)
    wanted = sources.dependencies(found.folder)
    if not wanted:
        raise CommandError(
            f"there are no dependencies in {found.folder / 'pyproject.toml'}",
            'Add them: [project] dependencies = ["starlette", "sunup[asyncpg]"].',
        )
    output = found.folder / (found.text("requirements") or "requirements.txt")
    with tempfile.TemporaryDirectory(prefix="sunup-pin-") as folder, waiting("Pinning"):
        arguments = ["pyproject.toml", "--universal", "--generate-hashes", "--no-header"]
        arguments += ["--no-annotate", "--no-emit-package=sunup", f"--output-file={output}"]
        arguments += ["--upgrade"] if upgrade else []
        own = override(wanted, Path(folder))
        if own is not None:
            arguments += [f"--overrides={own}"]
        uv.compile_pins(found.folder, arguments)
    count = sum("==" in line for line in output.read_text(encoding="utf-8").splitlines())
    typer.echo(f"Pinned {count} distributions in {output.name}.")
