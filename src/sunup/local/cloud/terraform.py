"""Runs the app's Terraform."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunup.local.errors import CommandError


@dataclass(frozen=True)
class Plan:
    """What Terraform would do: addresses by action."""

    create: list[str]
    change: list[str]
    destroy: list[str]
    warnings: list[str]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.create or self.change or self.destroy)

    def __str__(self) -> str:
        """In the words of Terraform."""
        return (
            f"{len(self.create)} to create, {len(self.change)} to change, "
            f"{len(self.destroy)} to destroy"
        )


class Terraform:
    """Terraform (or OpenTofu) in one folder. `environ` has the AWS credentials."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        if not list(folder.glob("*.tf")):
            raise CommandError(
                f"there is no Terraform in {folder}",
                "[tool.sunup] terraform names the folder; `sunup new` makes a project with it.",
            )
        self.folder = folder
        self._environ = environ

    def init(self) -> None:
        """Fetch the providers, and join the state."""
        self._run("init")

    def plan(self, variables: Mapping[str, str], file: Path) -> Plan:
        """Plan into a file. Variables that this Terraform does not declare are left out."""
        declared = self.declared
        chosen = [f"-var={name}={variables[name]}" for name in variables if name in declared]
        self._run("plan", "-lock-timeout=60s", f"-out={file}", *chosen)
        content = json.loads(self._run("show", "-json", str(file)))
        actions: dict[str, list[str]] = {"create": [], "update": [], "delete": []}
        for each in content.get("resource_changes", []):
            for action in each["change"]["actions"]:
                if action in actions:
                    actions[action].append(each["address"])
        warnings = [
            problem["message"]
            for check in content.get("checks", [])
            for instance in check.get("instances", [])
            if check.get("status") == "fail"
            for problem in instance.get("problems", [])
        ]
        return Plan(actions["create"], actions["update"], actions["delete"], warnings)

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

    def fingerprint(self, variables: Mapping[str, str]) -> str:
        """A hash of everything that decides the infrastructure, except the package's content."""
        digest = hashlib.sha256(json.dumps(dict(variables), sort_keys=True).encode())
        patterns = ("*.tf", "*.tf.json", "*.tfvars", "*.tfvars.json", ".terraform.lock.hcl")
        for path in sorted(path for each in patterns for path in self.folder.glob(each)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        given = {k: v for k, v in self._environ.items() if k.startswith(("TF_", "AWS_PROFILE"))}
        digest.update(json.dumps(given, sort_keys=True).encode())
        return digest.hexdigest()

    def _run(self, command: str, *arguments: str) -> str:
        program = shutil.which("terraform") or shutil.which("tofu")
        if program is None:
            raise CommandError(
                "terraform is not on PATH", "Install Terraform 1.9 or newer, or OpenTofu."
            )
        options = [] if command in ("output", "show") else ["-input=false"]
        result = subprocess.run(  # noqa: S603
            [program, f"-chdir={self.folder}", command, *options, "-no-color", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self._environ, "TF_IN_AUTOMATION": "1"},
        )
        if result.returncode:
            # Terraform's own words are needed; the rest of its output is not.
            sys.stderr.write(result.stderr.strip() + "\n")
            raise CommandError(f"terraform {command} failed in {self.folder}", "See above.")
        return result.stdout
