"""A deployment: package, plan, migrations, Terraform, a release, and one request."""

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from sunup.local.aws import Arn, Aws
from sunup.local.errors import CommandError
from sunup.local.migrations import of_project
from sunup.local.opening import waking
from sunup.local.packaging.build import Package, build
from sunup.local.packaging.target import choose
from sunup.local.progress import Progress
from sunup.local.project import Project

from . import database_check, origin, upload
from .dsql import deploying as dsql
from .function import Function, digest
from .plan import Plan
from .proof import Answer, prove
from .releases import Live, Origin, Releases
from .shifting import Alarms, Canary, shift
from .terraform import NotInitialised, Terraform

# How many releases are kept to go back to.
KEPT = 5


@dataclass(frozen=True)
class Outcome:
    """`release` is the one that is live; None after `plan_only`, with no answer then."""

    plan: Plan
    pending: list[str]
    applied: list[str]
    release: int | None = None
    answer: Answer | None = None


@dataclass(frozen=True)
class Options:
    """`ask` before anything is applied; `migrate`: apply the migrations before the code.

    `allow_destroy`: also what destroys something or changes who may call. `plan_only`: change
    nothing.
    """

    ask: bool = True
    migrate: bool = True
    allow_destroy: bool = False
    plan_only: bool = False
    canary: Canary | None = None


@dataclass
class Deployment:
    """Of a project. Whatever step it is cut off at, the next run goes on there."""

    project: Project
    progress: Progress
    options: Options = field(default_factory=Options)

    def run(self) -> Outcome:
        """Deploy. Raises `CommandError` and the database's errors."""
        terraform = Terraform(self.project)
        self._check_values()
        with tempfile.TemporaryDirectory(prefix="sunup-plan-") as name:
            folder = Path(name)
            source = origin.of(self.project)
            package = self._package(folder)
            plan = self._plan(terraform, package, folder)
            unprepared = self.options.migrate and dsql.begins(self.project, plan)
            if unprepared:
                self.options = replace(self.options, migrate=False)
            asked = self.options.migrate or self.project.environ.get("DB_HOST")
            if asked or (self.project.stage is not None and not self.options.plan_only):
                database_check.same(self.project, plan)
            live = self._live(terraform)
            pending = self._pending()
            self._tell(plan, pending)
            if self.options.plan_only:
                return Outcome(plan, pending, [])
            if plan.dangers and not self.options.allow_destroy:
                raise CommandError(
                    "the plan destroys resources or changes who may call the app, see above",
                    "Pass --allow-destroy to apply it.",
                )
            if self.options.ask and not (plan.empty and not pending):
                self.progress.confirm("Apply this?")
            applied = self._migrate() if pending else []
            if not plan.empty:
                self._apply(terraform, folder / "plan")
            outputs = terraform.outputs()
            if unprepared:
                raise dsql.not_prepared(self.project, outputs)
            if self.options.migrate:
                dsql.grant(self.project, plan, outputs, self.progress)
            url = str(outputs.get("api_url", ""))
            if not url:
                raise CommandError("Terraform has no output api_url", "Add it to outputs.tf.")
            made = any(".live" in each or "aws_lambda_" in each for each in plan.create)
            release = self._release(outputs, package, source, None if made else live)
        self.progress.done("URL", url)
        with self.progress.waiting("Checking the URL") as tell:
            answer = prove(url, self.project.text("check") or "/", tell)
        return Outcome(plan, pending, applied, release, answer)

    def _check_values(self) -> None:
        project = self.project
        folder, environ = project.terraform, project.environ
        files = [project.tfvars, folder / "terraform.tfvars.json", *folder.glob("*.auto.tfvars*")]
        given = any(path.is_file() for path in files)
        if not given and not environ.get("DB_HOST") and not environ.get("TF_VAR_db_host"):
            raise CommandError(
                f"there is no {project.tfvars.name} in {folder}, and DB_HOST is not set",
                "Run sunup database create, which writes both, or copy terraform.tfvars.example "
                "and edit it.",
            )

    def _package(self, folder: Path) -> Package:
        """The package, and a copy of it in `folder`: another run may write the app's lambda.zip."""
        project = self.project
        target = choose(project.text("python"), project.text("arch"))
        with self.progress.waiting("Packaging") as tell:
            package = build(project, target, project.folder / "lambda.zip", tell)
        size = f"{package.zipped / 1e6:.2f} MB"
        self.progress.done("Package", f"{package.path.name}, {size}, {target}")
        for note in package.notes:
            self.progress.warn(f"Note: {note}")
        if upload.too_large(package.path):
            upload.bucket_of(project)
        kept = Path(shutil.copy(package.path, folder / package.path.name))
        if hashlib.sha256(kept.read_bytes()).hexdigest() != package.sha256:
            raise CommandError(
                f"{package.path.name} was overwritten by another run", "Run the command again."
            )
        return replace(package, path=kept)

    def _plan(self, terraform: Terraform, package: Package, folder: Path) -> Plan:
        path = package.path
        if upload.too_large(path):
            path = upload.placeholder(folder, self.project.handler)
        variables = {
            "lambda_zip": str(path),
            "lambda_runtime": package.target.runtime,
            "lambda_architecture": package.target.arch,
            "lambda_handler": self.project.handler,
        }
        with self.progress.waiting("terraform plan") as tell:
            if not terraform.begun:
                tell("terraform init")
                terraform.init()
            tell("terraform plan")
            try:
                return terraform.plan(variables, folder)
            except NotInitialised:
                tell("terraform init")
                terraform.init()
                return terraform.plan(variables, folder)

    def _live(self, terraform: Terraform) -> Live | None:
        """What is live before anything is done: a later change of it is somebody else's."""
        outputs = terraform.outputs()
        if not outputs.get("lambda_function_name") or not outputs.get("lambda_alias"):
            return None
        try:
            return self._releases(outputs).live()
        except CommandError as error:
            # The alias is about to be made, or made again.
            if "ResourceNotFoundException" in error.what:
                return None
            raise

    def _pending(self) -> list[str]:
        project = self.project
        if not self.options.migrate or not of_project.has_any(project):
            return []
        with self.progress.waiting(waking(project.migration_settings.user)):
            return of_project.pending(project)

    def _tell(self, plan: Plan, pending: list[str]) -> None:
        self.progress.done("Plan", str(plan))
        for sign, addresses in (("+", plan.create), ("~", plan.change), ("-", plan.destroy)):
            for address in addresses:
                self.progress.detail(f"{sign} {address}")
        if self.options.migrate and of_project.has_any(self.project):
            settings = self.project.migration_settings
            place = f"{settings.database} on {settings.host}, as {settings.user}"
            self.progress.done("Migrations", f"{len(pending)} pending: {place}")
            for file in pending:
                self.progress.detail(f"+ {file}")
            for note in database_check.risks(self.project, pending):
                self.progress.warn(f"Warning: {note}")
        for warning in plan.warnings:
            self.progress.warn(f"Warning: {warning}")
        for danger in plan.dangers:
            self.progress.warn(f"Danger: {danger}")

    def _migrate(self) -> list[str]:
        project = self.project
        settings = project.migration_settings
        with self.progress.waiting(waking(settings.user)) as tell:
            applied = of_project.upgrade(
                project,
                on_wait=lambda: tell("Another run is migrating; waiting for it"),
                on_retry=tell,
            )
        self.progress.done("Applied", ", ".join(applied) or "nothing to do")
        return applied

    def _apply(self, terraform: Terraform, file: Path) -> None:
        began = time.monotonic()
        with self.progress.waiting("terraform apply (a minute or so)"):
            terraform.apply(file)
        self.progress.done("Apply", f"done in {time.monotonic() - began:.0f} s")

    def _aws(self, outputs: dict[str, object]) -> Aws:
        arn = Arn.parse(str(outputs.get("lambda_function_arn", "")))
        return Aws(self.project.environ, None if arn is None else arn.region)

    def _releases(self, outputs: dict[str, object]) -> Releases:
        return releases_of(self._aws(outputs), outputs)

    def _release(
        self, outputs: dict[str, object], package: Package, source: Origin, live: Live | None
    ) -> int:
        aws, releases = self._aws(outputs), self._releases(outputs)
        name = str(outputs["lambda_function_name"])
        began, sha256 = time.monotonic(), digest(package.path)
        with self.progress.waiting(f"Updating the code of {name}") as tell:
            place = None
            if upload.too_large(package.path):
                tell("Uploading the package to S3")
                place = upload.send(aws.client("s3"), self.project, package.path)
            function = Function(aws.client("lambda"), name)
            function.update(package.path, package.target, self.project.handler, place)
            tell("Publishing a release")
            number = releases.publish(sha256, replace(source, by=origin.who(aws)))
            before = live or releases.live()
            if before.number == number and not before.weights:
                releases.verify(number, sha256)
                self.progress.done("Release", f"{number} is already live")
                return number
            self._go_live(releases, before, number, outputs, aws)
            releases.verify(number, sha256)
            tell("Deleting old releases")
            deleted = self._prune(releases)
        gone = f"; deleted {', '.join(map(str, deleted))}" if deleted else ""
        was = f", was {before.number}" if before.number else ""
        took = f"{time.monotonic() - began:.0f} s"
        self.progress.done("Release", f"{number} is live{was} ({took}){gone}")
        return number

    def _prune(self, releases: Releases) -> list[int]:
        try:
            return releases.prune(self.project.number("releases", KEPT))
        except CommandError as error:  # the release is live all the same
            self.progress.warn(f"Warning: {error.sentences}")
            return []

    def _go_live(
        self,
        releases: Releases,
        before: Live,
        number: int,
        outputs: dict[str, object],
        aws: Aws,
    ) -> None:
        canary = self.options.canary
        if canary is None:
            releases.point(before, number)
            return
        names = outputs.get("alarm_names")
        alarms = Alarms(aws.client("cloudwatch"), list(names) if isinstance(names, list) else [])
        alarms.check()
        percent = f"{canary.share:.0%} of the requests for {canary.seconds:.0f} s"
        with self.progress.waiting(f"Release {number} gets {percent}") as tell:
            shift(releases, alarms, before, number, canary, tell)


def releases_of(aws: Aws, outputs: dict[str, object]) -> Releases:
    """Of what Terraform made. Raises `CommandError`."""
    name, alias = outputs.get("lambda_function_name"), outputs.get("lambda_alias")
    if not name or not alias:
        raise CommandError(
            "Terraform has no outputs lambda_function_name and lambda_alias here",
            "Nothing is deployed yet, or the Terraform is older than this sunup: add the alias "
            "as in lambda.tf and outputs.tf of a project made by `sunup new`.",
        )
    return Releases(aws.client("lambda"), str(name), str(alias))
