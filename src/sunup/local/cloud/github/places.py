"""Where the files of one deployment go: those of another app or stage are left alone."""

import os
from dataclasses import dataclass
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import values

_MADE = "Made by `sunup ci github`"


@dataclass(frozen=True)
class Places:
    """A mark is a line that says whose a file is; `suffix` tells GitHub's variables apart."""

    workflow: Path
    backend: Path
    roles: Path
    workflow_mark: str
    mark: str
    suffix: str

    @property
    def has_backend(self) -> bool:
        """Whether backend.tf is this deployment's: then it can be made anew."""
        return self.mark in _lines(self.backend)

    @property
    def first(self) -> bool:
        """Whether no other deployment of the repository was given its files before."""
        other = self.workflow.with_name("deploy.yml")
        made = other != self.workflow and any(_MADE in line for line in _lines(other))
        return not made and self.roles.parent.name == "ci"


def choose(project: Project, root: Path, name: str) -> Places:
    """`deploy.yml` and `ci`, or with the function's name where those are another's.

    Raises `CommandError`.
    """
    stage = f"stage {project.stage.name}" if project.stage else "no stage"
    workflow_mark, mark = (
        f"# For {values.quoted(os.path.relpath(project.folder, base))}, {stage}."
        for base in (root, project.terraform)
    )
    workflows, terraform = root / ".github" / "workflows", project.terraform
    workflow = _own([workflows / "deploy.yml", workflows / f"deploy-{name}.yml"], workflow_mark)
    return Places(
        workflow,
        terraform / "backend.tf",
        _own([terraform / "ci" / "main.tf", terraform / f"ci-{name}" / "main.tf"], mark),
        workflow_mark,
        mark,
        "" if workflow.name == "deploy.yml" else f"_{name.upper().replace('-', '_')}",
    )


def _own(candidates: list[Path], mark: str) -> Path:
    """The one with the mark, else the first that is free. Raises `CommandError`."""
    for path in candidates:
        if mark in _lines(path):
            return path
    for path in candidates:
        if not path.is_file():
            return path
    raise CommandError(
        " and ".join(map(str, candidates))
        + f" belong to other deployments, not to {mark.removeprefix('# For ')}",
        "Rename one of these files, or the function, which the second file is named after.",
    )


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
