"""Where a release comes from: the commit, who deploys, the migrations that its code knows."""

from pathlib import Path

from sunup.local import git
from sunup.local.aws import Aws
from sunup.local.errors import CommandError
from sunup.local.migrations.folder import has_migrations, open_folder
from sunup.local.project import Project

from .releases import Origin


def of(project: Project) -> Origin:
    """Of the files as they are now; `who` deploys is asked later."""
    commit, changed = _commit(project.folder)
    return Origin(commit, changed, "", heads(project))


def heads(project: Project) -> tuple[str, ...]:
    """The newest migrations that the project's files have. Raises `CommandError`."""
    if not has_migrations(project.migrations):
        return ()
    _, script = open_folder(project.migrations)
    return tuple(sorted(script.get_heads()))


def _commit(folder: Path) -> tuple[str, bool]:
    """The commit, and whether tracked files differ from it; nothing where git knows nothing."""
    head = git.asked(folder, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return "", False
    changes = git.asked(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return head.strip(), bool(changes)


def who(aws: Aws) -> str:
    """The name in the credentials' ARN: a user's, or a role's session."""
    try:
        return aws.identity.rpartition("/")[2]
    except CommandError:
        return ""
