"""What the commands of `sunup database` have in common."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sunup.engines import AURORA, DSQL


class Which(StrEnum):
    """The engines of which clusters are made here."""

    aurora = AURORA.name
    dsql = DSQL.name


AppDir = Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")]
Chosen = Annotated[
    Which | None,
    typer.Option(
        "--engine", help="The kind of cluster.", show_default="as DB_HOST says, else aurora"
    ),
]
ClusterName = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="The cluster's name; of Aurora DSQL, its identifier.",
        show_default="the app's name; of Aurora DSQL, the one tagged for the app",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        help="The AWS region, such as eu-central-1.", show_default="AWS_REGION, or the profile's"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
