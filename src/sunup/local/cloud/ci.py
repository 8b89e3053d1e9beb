"""Files that let GitHub's jobs plan and deploy: a workflow, two roles without keys, a state."""

import json
import os
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sunup.local import git
from sunup.local.errors import CommandError
from sunup.local.installation import requirement
from sunup.local.project import MIGRATION_USER, Project

_TEMPLATES = "sunup.local.cloud.github"


@dataclass(frozen=True)
class Repository:
    """`name` is owner/name; the ids are GitHub's numbers, empty where they are not known."""

    name: str
    id: str = ""
    owner_id: str = ""

    @classmethod
    def of(
        cls, folder: Path, name: str | None, number: str | None, owner: str | None
    ) -> "Repository":
        """As it was named, else of git's `origin`. Raises `CommandError`."""
        name = name or _origin(folder)
        if name is None or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise CommandError(
                f"{name!r} is not a repository of GitHub's" if name else "there is no repository",
                "--repository OWNER/NAME",
            )
        for option, value in (("--repository-id", number), ("--owner-id", owner)):
            if value and not value.isdecimal():
                raise CommandError(
                    f"{option} {value!r} is not a number",
                    f"gh api repos/{name} --jq '.id, .owner.id' tells both.",
                )
        return cls(name, number or "", owner or "")


def write(
    project: Project,
    repository: Repository,
    *,
    environment: str,
    branch: str,
    bucket: str | None,
    force: bool,
) -> list[Path]:
    """Write the files; returns them. Raises `CommandError`, and has written nothing then."""
    root = _root(project.folder)
    region = project.environ.get("AWS_REGION") or project.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise CommandError("no AWS region is known", "Set AWS_REGION, such as eu-central-1.")
    name = project.app_name.lower()
    user = project.environ.get(MIGRATION_USER)
    cluster = project.environ.get("DB_CLUSTER_RESOURCE_ID") or _in_tfvars(project)
    values = {
        "branch": branch,
        "region": region,
        "stage": f'  SUNUP_STAGE: "{project.stage.name}"' if project.stage else "",
        "folder": os.path.relpath(project.folder, root),
        "python": project.text("python") or f"{sys.version_info[0]}.{sys.version_info[1]}",
        "requirement": requirement("deploy", project.folder),
        "environment": environment,
        "bucket": bucket or project.text("bucket") or f"{name}-state-{repository.owner_id or 'me'}",
        "name": name,
        "terraform": project.terraform.name,
        "repository": repository.name,
        "repository_id": repository.id,
        "owner_id": repository.owner_id,
        "migration_users": json.dumps([f"{cluster}/{user}"] if cluster and user else []),
    }
    targets = {
        root / ".github" / "workflows" / "deploy.yml": "deploy.yml",
        project.terraform / "backend.tf": "backend.tf",
        project.terraform / "ci" / "main.tf": "ci.tf",
    }
    there = [path for path in targets if path.exists()]
    if there and not force:
        raise CommandError(
            f"{', '.join(str(path.relative_to(root)) for path in there)} is there already",
            "--force writes it anew.",
        )
    for path, template in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (files(_TEMPLATES) / template).read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        path.write_text(text, encoding="utf-8")
    return list(targets)


def _root(folder: Path) -> Path:
    found = git.asked(folder, "rev-parse", "--show-toplevel")
    return Path(found.strip()).resolve() if found else folder


def _origin(folder: Path) -> str | None:
    url = (git.asked(folder, "remote", "get-url", "origin") or "").strip()
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url)
    return found[1] if found else None


def _in_tfvars(project: Project) -> str | None:
    if not project.tfvars.is_file():
        return None
    text = project.tfvars.read_text(encoding="utf-8")
    found = re.search(r'^\s*db_cluster_resource_id\s*=\s*"([^"]+)"', text, re.MULTILINE)
    return found[1] if found else None
