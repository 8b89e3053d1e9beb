"""`sunup new`: a new project that runs, tests, packages and deploys straight away."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from sunup.local import template


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
) -> None:
    """Make a project in DIR, named like it: an API with its migrations, tests and Terraform."""
    name = template.make(folder)
    typer.echo(f"Made {name} in {folder}{os.sep}. Next:\n")
    for line in (f"cd {shlex.quote(str(folder))}", "sunup dev", "cat README.md"):
        typer.echo(f"  {line}")
