"""A deployment: package, plan, migrations, Terraform or the code alone, and one request."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sunup.local.aws import Arn, Aws
from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.local.migrations.folder import has_migrations
from sunup.local.opening import waking
from sunup.local.packaging.build import Package, build
from sunup.local.packaging.target import choose
from sunup.local.progress import Progress
from sunup.local.project import Project

from .function import Answer, Function, Memory, prove
from .terraform import Plan, Terraform


@dataclass(frozen=True)
class Deployment:
    """How to deploy a project.

    `full`: run Terraform even where only the code changed. `ask`: before anything is applied.
    `migrate`: apply the migrations before the code.
    """

    project: Project
    progress: Progress
    full: bool = False
    ask: bool = True
    migrate: bool = True

    def run(self) -> Answer:
        """Deploy, and return the API's answer. Raises `CommandError` and the database's errors."""
        terraform = Terraform(self.project.terraform, self.project.environ)
        self._check_values()
        package = self._package()
        variables = {
            "lambda_zip": str(package.path),
            "lambda_runtime": package.target.runtime,
            "lambda_architecture": package.target.arch,
            "lambda_handler": self.project.handler,
        }
        memory = Memory(self.project.terraform)
        fingerprint = terraform.fingerprint(variables)
        if not self.full and memory.fingerprint() == fingerprint:
            outputs = terraform.outputs()
            self._apply_migrations()
            self._update_code(outputs, package)
        else:
            outputs = self._apply(terraform, variables, memory)
            # init may have written the lock file.
            memory.remember(terraform.fingerprint(variables))
        url = str(outputs.get("api_url", ""))
        if not url:
            raise CommandError("Terraform has no output api_url", "Add it to outputs.tf.")
        self.progress.done("URL", url)
        with self.progress.waiting("Asking it") as tell:
            return prove(url, self.project.text("check") or "/", tell)

    def _check_values(self) -> None:
        folder = self.project.terraform
        names = ("terraform.tfvars", "terraform.tfvars.json")
        named = any((folder / name).is_file() for name in names)
        if not named and not list(folder.glob("*.auto.tfvars*")):
            raise CommandError(
                f"there is no terraform.tfvars in {folder}",
                "sunup database create writes it; or copy terraform.tfvars.example and edit it.",
            )

    def _package(self) -> Package:
        project = self.project
        target = choose(project.text("python"), project.text("arch"))
        with self.progress.waiting("Packaging") as tell:
            package = build(project, target, project.folder / "lambda.zip", tell)
        size = f"{package.zipped / 1e6:.2f} MB"
        self.progress.done("Package", f"{package.path.name}, {size}, {target}")
        for note in package.notes:
            self.progress.warn(f"Note: {note}")
        return package

    def _apply(
        self, terraform: Terraform, variables: dict[str, str], memory: Memory
    ) -> dict[str, object]:
        progress = self.progress
        with tempfile.TemporaryDirectory(prefix="sunup-plan-") as folder:
            file = Path(folder) / "plan"
            with progress.waiting("terraform init") as tell:
                terraform.init()
                tell("terraform plan")
                plan = terraform.plan(variables, file)
            self._tell_plan(plan)
            if not plan.empty and self.ask:
                progress.confirm("Apply this?")
            self._apply_migrations()
            if not plan.empty:
                memory.forget()
                began = time.monotonic()
                with progress.waiting("terraform apply (a minute or so)"):
                    terraform.apply(file)
                progress.done("Apply", f"done in {time.monotonic() - began:.0f} s")
        return terraform.outputs()

    def _tell_plan(self, plan: Plan) -> None:
        self.progress.done("Plan", str(plan))
        for sign, addresses in (("+", plan.create), ("~", plan.change), ("-", plan.destroy)):
            for address in addresses:
                self.progress.detail(f"{sign} {address}")
        for warning in plan.warnings:
            self.progress.warn(f"Warning: {warning}")

    def _apply_migrations(self) -> None:
        project = self.project
        if not self.migrate or not has_migrations(project.migrations):
            return
        settings = project.migration_settings
        with self.progress.waiting(waking(settings.user)) as tell:
            applied = running.upgrade(
                settings,
                project.migrations,
                credentials=project.credentials,
                on_wait=lambda: tell("Another run is migrating; waiting for it"),
            )
        self.progress.done("Migrations", ", ".join(applied) or "nothing to do")

    def _update_code(self, outputs: dict[str, object], package: Package) -> None:
        name = outputs.get("lambda_function_name")
        if not name:
            raise CommandError("Terraform has no output lambda_function_name", "Use --full once.")
        arn = Arn.parse(str(outputs.get("lambda_function_arn", "")))
        alias = outputs.get("lambda_alias")
        aws = Aws(self.project.environ, None if arn is None else arn.region)
        function = Function(aws.client("lambda"), str(name), str(alias) if alias else None)
        began = time.monotonic()
        with self.progress.waiting(f"Updating the code of {name}"):
            changed = function.update_code(package.path)
        took = f"updated in {time.monotonic() - began:.0f} s" if changed else "live already"
        self.progress.done("Code", f"{took}; nothing else changed")
