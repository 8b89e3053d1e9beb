"""Runs the app's Terraform, each stage with a state of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sunup.engines import DSQL
from sunup.local.errors import CommandError
from sunup.local.project import Project
from sunup.settings import region_of

from . import plan as planning
from .dsql import host as dsql
from .plan import Plan

# Terraform's variables that follow from the settings of the app.
_OF_SETTINGS = {
    "region": "AWS_REGION",
    "db_host": "DB_HOST",
    "db_name": "DB_NAME",
    "db_user": "DB_USER",
    "db_cluster_resource_id": "DB_CLUSTER_RESOURCE_ID",
}

# Terraform's words where `init` is missing, or is of another backend or provider.
_WANTS_INIT = re.compile(
    r"terraform init|Backend initialization required|Inconsistent dependency lock|"
    r"Required plugins are not installed|Module not installed"
)


class Terraform:
    """Terraform (or OpenTofu) in the project's folder, for its stage."""

    def __init__(self, project: Project) -> None:
        if not list(project.terraform.glob("*.tf")):
            raise CommandError(
                f"there is no Terraform in {project.terraform}",
                "Run sunup init to add it, or set [tool.sunup] terraform to its folder.",
            )
        self._project = project
        self.folder = project.terraform

    @property
    def begun(self) -> bool:
        """Whether it was initialised here, and is in the stage's workspace."""
        stage = self._project.stage
        if stage is None:
            return self._data.is_dir()
        chosen = self._data / "environment"  # where Terraform keeps the workspace's name
        return chosen.is_file() and chosen.read_text(encoding="utf-8").strip() == stage.name

    def init(self) -> None:
        """Fetch the providers, join the state; a stage's state is a workspace of its own."""
        self._run("init")
        stage = self._project.stage
        if stage is not None:
            self._run("workspace", "select", "-or-create", stage.name)

    def _check_workspace(self) -> None:
        """Raise `CommandError` where another's state would be meant, and no stage is named."""
        if self._project.stage is not None or not self._project.stages:
            return
        chosen = Path(os.environ.get("TF_DATA_DIR") or self._data) / "environment"
        named = os.environ.get("TF_WORKSPACE", "")
        if not named and chosen.is_file():
            named = chosen.read_text(encoding="utf-8").strip()
        if named not in ("", "default"):
            raise CommandError(
                f"Terraform's workspace here is {named}, but no --stage was given",
                f"Pass --stage {named}, or leave the workspace: terraform workspace select "
                "default.",
            )

    def plan(self, variables: Mapping[str, str], folder: Path) -> Plan:
        """Plan into `folder`/plan. Variables that this Terraform does not declare are left out."""
        file = folder / "plan"
        declared = self.declared
        chosen = [f"-var={name}={variables[name]}" for name in variables if name in declared]
        arguments = ["-lock-timeout=60s", f"-out={file}", *self._files(folder), *chosen]
        self._run("plan", *arguments)
        return planning.read(json.loads(self._run("show", "-json", str(file))))

    def apply(self, file: Path) -> None:
        """Do what was planned."""
        self._run("apply", "-lock-timeout=60s", str(file))

    def outputs(self) -> dict[str, Any]:
        """The outputs of the last apply; empty before the first."""
        content = json.loads(self._run("output", "-json") or "{}")
        return {name: each["value"] for name, each in content.items()}

    @property
    def declared(self) -> set[str]:
        """The names of the variables."""
        texts = (path.read_text(encoding="utf-8") for path in self.folder.glob("*.tf"))
        pattern = re.compile(r'^variable "(\w+)"', re.MULTILINE)
        return {name for text in texts for name in pattern.findall(text)}

    @property
    def _data(self) -> Path:
        stage = self._project.stage
        folder = self.folder / ".terraform"
        return folder if stage is None else folder / "stages" / stage.name

    def _files(self, folder: Path) -> list[str]:
        """Of a stage: its settings, over them its own tfvars, over them `[tool.sunup]`'s words.

        Terraform takes the last one that says something, and terraform.tfvars before all.
        """
        stage = self._project.stage
        if stage is None:
            return []
        own = self._project.tfvars
        settings = {"name": self._project.name, **self._of_settings}
        files = [
            self._written(folder / "settings.tfvars.json", settings),
            *([own] if own.is_file() else []),
            self._written(folder / "stage.tfvars.json", stage.terraform),
        ]
        return [f"-var-file={path}" for path in files]

    def _written(self, path: Path, values: Mapping[str, object]) -> Path:
        declared = self.declared
        path.write_text(json.dumps({k: v for k, v in values.items() if k in declared}))
        return path

    @property
    def _of_settings(self) -> dict[str, str]:
        environ = self._project.environ
        found = {name: environ.get(variable) for name, variable in _OF_SETTINGS.items()}
        found["region"] = region_of(environ.get("DB_HOST", "")) or found["region"]
        found["db_engine"] = DSQL.name if dsql.is_used(environ) else None
        return {name: value for name, value in found.items() if value}

    def _environment(self, command: str) -> dict[str, str]:
        # Of the lowest rank: terraform.tfvars and TF_VAR_* of the caller win.
        lowest = {f"TF_VAR_{name}": value for name, value in self._of_settings.items()}
        environ = {**lowest, **os.environ, **self._project.environ, "TF_IN_AUTOMATION": "1"}
        if self._project.stage is not None:
            environ["TF_DATA_DIR"] = str(self._data.resolve())
            # Never in another's, whatever was selected; what selects must not be told.
            environ["TF_WORKSPACE"] = self._project.stage.name
            if command in ("init", "workspace"):
                del environ["TF_WORKSPACE"]
        return environ

    def _run(self, command: str, *arguments: str) -> str:
        program = shutil.which("terraform") or shutil.which("tofu")
        if program is None:
            raise CommandError(
                "terraform is not on PATH", "Install Terraform 1.9 or newer, or OpenTofu."
            )
        quiet = command in ("output", "show", "workspace")
        options = [] if quiet else ["-input=false", "-no-color"]
        if command in ("output", "show"):
            options = ["-no-color"]
        self._check_workspace()
        result = subprocess.run(  # noqa: S603
            [program, f"-chdir={self.folder}", command, *_ordered(command, options, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(command),
        )
        if result.returncode:
            if command not in ("init", "workspace") and _WANTS_INIT.search(result.stderr):
                raise NotInitialised
            # Terraform's own words are needed; the rest of its output is not.
            sys.stderr.write(result.stderr.strip() + "\n")
            raise CommandError(
                f"terraform {command} failed in {self.folder}", "See Terraform's message above."
            )
        return result.stdout


class NotInitialised(CommandError):
    """Terraform was not initialised here, or for something else."""

    def __init__(self) -> None:
        super().__init__(
            "terraform is not initialised here", "Run sunup deploy, which initialises it."
        )


def _ordered(command: str, options: list[str], arguments: tuple[str, ...]) -> list[str]:
    if command == "workspace":
        return [arguments[0], *options, *arguments[1:]]
    return [*options, *arguments]
