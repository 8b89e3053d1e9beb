"""Files that let GitHub's jobs plan and deploy: a workflow, two roles without keys, a state."""

import os
import re
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sunup.local import git
from sunup.local.errors import CommandError
from sunup.local.installation import requirement
from sunup.local.packaging.target import choose
from sunup.local.project import Project

from .github import places, state, values, variables, writing
from .github.repository import Repository

_TEMPLATES = "sunup.local.cloud.github"


@dataclass(frozen=True)
class Written:
    """`ci` is the folder of the roles' Terraform; the roles are the names of GitHub's variables.

    `makes_bucket` and `makes_provider`: whether that Terraform does. `wheel` is what the jobs
    install, where the repository does not have it.
    """

    paths: list[Path]
    ci: Path
    plan_role: str
    deploy_role: str
    makes_bucket: bool
    makes_provider: bool
    wheel: Path | None


def write(
    project: Project,
    repository: Repository,
    *,
    environment: str,
    branch: str,
    bucket: str | None,
    force: bool,
) -> Written:
    """Write the files. Raises `CommandError`, and has written nothing then."""
    root = _root(project.folder)
    name = values.name(variables.name(project), _naming(project))
    at = places.choose(project, root, name)
    found = state.find(project.terraform, but=at.backend if at.has_backend else None)
    if found and bucket and bucket != found.bucket:
        raise CommandError(
            f"the Terraform state is already in the bucket {found.bucket}, not in {bucket}",
            f"Leave out --bucket to keep using {found.bucket}.",
        )
    made = _Made(project, repository, environment, branch, root, name, at, found, bucket)
    texts = {at.workflow: made.workflow, at.roles: made.roles}
    if found is None:
        texts[at.backend] = made.backend
    there = [path for path in texts if path.exists()]
    if there and not force:
        raise CommandError(
            f"{', '.join(os.path.relpath(path, root) for path in there)} already exists",
            "Pass --force to overwrite.",
        )
    writing.write(texts)
    return Written(
        paths=list(texts),
        ci=at.roles.parent,
        plan_role=made.plan_role,
        deploy_role=made.deploy_role,
        makes_bucket=found is None,
        makes_provider=at.first,
        wheel=_missing_wheel(project, root),
    )


@dataclass(frozen=True)
class _Made:
    """The texts of the files; each raises `CommandError` where a value cannot stand there.

    `found` is the state that Terraform's files name already, `bucket` the one that was asked for.
    """

    project: Project
    repository: Repository
    environment: str
    branch: str
    root: Path
    name: str
    at: places.Places
    found: state.State | None
    bucket: str | None

    @property
    def plan_role(self) -> str:
        return f"AWS_PLAN_ROLE{self.at.suffix}"

    @property
    def deploy_role(self) -> str:
        return f"AWS_DEPLOY_ROLE{self.at.suffix}"

    @property
    def workflow(self) -> str:
        project = self.project
        installed = shlex.quote(_requirement(project, self.root))
        # Without a stage the name is Terraform's word, of a file that the jobs may not have.
        which = ("SUNUP_STAGE", project.stage.name) if project.stage else ("TF_VAR_name", self.name)
        content = {
            "title": f"deploy {self.name}" if self.at.suffix else "deploy",
            "branch": values.branch(self.branch),
            "region": _region(project),
            "folder": os.path.relpath(project.folder, self.root),
            "python": choose(project.text("python"), project.text("arch")).python,
            "install": f"python -m pip install {installed}",
            "environment": values.environment(self.environment),
        }
        return _filled(
            "deploy.yml",
            mark=self.at.workflow_mark,
            name=self.name,
            which=f"{which[0]}: {values.quoted(which[1])}",
            plan_role=self.plan_role,
            deploy_role=self.deploy_role,
            **{key: values.quoted(value) for key, value in content.items()},
        )

    @property
    def backend(self) -> str:
        return _filled(
            "backend.tf",
            mark=self.at.mark,
            ci=self.at.roles.parent.name,
            bucket=values.hcl(self._state.bucket),
            key=values.hcl(self._state.key),
            region=values.hcl(_region(self.project)),
        )

    @property
    def roles(self) -> str:
        stage, repository = self.project.stage, self.repository
        content: dict[str, str | list[str]] = {
            "region": _region(self.project),
            "name": self.name,
            "bucket": self._state.bucket,
            "state": self._state.objects(stage.name if stage else None),
            "packages": self._packages,
            "repository": repository.name,
            "repository_id": repository.id,
            "owner_id": repository.owner_id,
            "environment": self.environment,
            "migration_users": variables.migration_users(self.project),
            "dsql_clusters": variables.dsql_clusters(self.project),
        }
        return _filled(
            "ci.tf",
            mark=self.at.mark,
            create_bucket="true" if self.found is None else "false",
            create_provider="true" if self.at.first else "false",
            **{key: values.hcl(each) for key, each in content.items()},
        )

    @property
    def _state(self) -> state.State:
        if self.found is not None:
            return self.found
        # The app's, whatever the stage: they share it.
        name = re.sub(r"[^a-z0-9]+", "-", self.project.app_name.lower()).strip("-")
        default = f"{name}-state-{self.repository.owner_id or 'me'}"
        chosen = values.bucket(self.bucket or default, "--bucket")
        return state.State(chosen, f"{name}/terraform.tfstate")

    @property
    def _packages(self) -> str:
        named = self.project.text("bucket")
        bucket = values.bucket(named, "[tool.sunup] bucket") if named else self._state.bucket
        return f"{bucket}/packages/{values.packages(self.project.name, _naming(self.project))}"


def _naming(project: Project) -> str:
    if project.stage is not None:
        return f'Set it in [tool.sunup.stages.{project.stage.name}]: name = "...".'
    return 'Set it in Terraform\'s variable "name", or in [tool.sunup]: name = "...".'


def _region(project: Project) -> str:
    region = project.environ.get("AWS_REGION") or project.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise CommandError("no AWS region is known", "Set AWS_REGION, for example to eu-central-1.")
    return values.region(region)


def _requirement(project: Project, root: Path) -> str:
    """What the jobs install: a wheel has to be in the repository."""
    text = requirement("deploy", project.folder)
    wheel = _wheel(text, project.folder)
    if wheel is None or wheel.is_relative_to(root):
        return text
    return f"./vendor/{wheel.name}[deploy]"


def _missing_wheel(project: Project, root: Path) -> Path | None:
    """The wheel that the jobs install, unless git has it."""
    wheel = _wheel(_requirement(project, root), project.folder)
    known = wheel and git.asked(root, "ls-files", "--error-unmatch", "--", str(wheel))
    return None if known else wheel


def _wheel(text: str, folder: Path) -> Path | None:
    path, ending, _ = text.rpartition(".whl[")
    return Path(os.path.normpath(folder / f"{path}.whl")) if ending else None


def _filled(template: str, **content: str) -> str:
    """All at one go: a value may look like a place itself."""
    text = (files(_TEMPLATES) / template).read_text(encoding="utf-8")
    return re.sub(r"@([a-z_]+)@", lambda found: content[found[1]], text)


def _root(folder: Path) -> Path:
    found = git.asked(folder, "rev-parse", "--show-toplevel")
    return Path(found.strip()).resolve() if found else folder
