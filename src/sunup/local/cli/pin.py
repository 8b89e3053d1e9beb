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
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Also upgrade what is already pinned.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite requirements that were written by hand.")
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
    if not replace and _written_by_hand(output):
        raise CommandError(
            f"{output.name} seems to be written by hand: it has lines without a hash",
            "Move them to [project] dependencies in pyproject.toml, then: sunup pin --replace",
        )
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


def _written_by_hand(path: Path) -> bool:
    """Whether a file has lines that no tool wrote: with another's it is a pin and its hashes."""
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return any("--hash=" not in line for line in lines if line and not line.startswith("#"))
