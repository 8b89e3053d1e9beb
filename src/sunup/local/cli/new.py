"""`sunup new`: a new project that runs, tests, packages and deploys straight away."""

import importlib.util
import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sunup.local import template

# What `sunup[dev]` does not bring: without it the app cannot be imported here.
_NEEDS = {
    "fastapi": ("fastapi", "sqlalchemy"),
    "flask": ("flask",),
    "django": ("django", "whitenoise"),
}

Template = StrEnum("Template", {name: name for name in template.TEMPLATES})  # type: ignore[misc]
_FIRST = next(iter(Template))


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to create.")],
    *,
    kind: Annotated[
        Template, typer.Option("--template", help="The framework of the API.")
    ] = _FIRST,
) -> None:
    """Create a project in DIR, named after it: an API with its migrations, tests and Terraform."""
    name = template.make(folder, kind)
    typer.echo(f"Created {name} in {folder}{os.sep}. Next:\n")
    lines = [f"cd {shlex.quote(str(folder))}", "sunup dev", "cat README.md"]
    if any(importlib.util.find_spec(each) is None for each in _NEEDS.get(kind, ())):
        lines.insert(1, "pip install -r requirements.txt")
    for line in lines:
        typer.echo(f"  {line}")
