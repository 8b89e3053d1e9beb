"""What the app's Terraform is given, as far as the rights of GitHub's jobs depend on it."""

import re

from sunup.engines import DSQL, recognised
from sunup.local.project import MIGRATION_USER, Project


def name(project: Project) -> str:
    """What the function is called: a stage's is sunup's word, else Terraform's own files decide."""
    if project.stage is not None:
        said = project.stage.terraform.get("name")
        return said if isinstance(said, str) else _given(project, "name") or project.name
    return _given(project, "name") or _default(project, "name") or project.name


def migration_users(project: Project) -> list[str]:
    """Of Aurora, as cluster/user; empty where one of them is not known."""
    if dsql_clusters(project):
        return []
    user = project.environ.get(MIGRATION_USER)
    cluster = project.environ.get("DB_CLUSTER_RESOURCE_ID") or _given(
        project, "db_cluster_resource_id"
    )
    return [f"{cluster}/{user}"] if cluster and user else []


def dsql_clusters(project: Project) -> list[str]:
    """As region/identifier; empty for another engine."""
    host = project.environ.get("DB_HOST") or _given(project, "db_host") or ""
    found = recognised(host)
    if found is None or found[0] is not DSQL:
        return []
    return [f"{found[1]}/{host.lower().partition('.')[0]}"]


def _given(project: Project, variable: str) -> str | None:
    """Of the files with values; over a stage's own only -var counts."""
    own = [] if project.stage else sorted(project.terraform.glob("*.auto.tfvars"), reverse=True)
    for path in (*own, project.tfvars):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found = re.search(rf'^\s*{variable}\s*=\s*"([^"]+)"', text, re.MULTILINE)
            if found:
                return found[1]
    return None


def _default(project: Project, variable: str) -> str | None:
    for path in project.terraform.glob("*.tf"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            block = re.search(
                rf'^variable "{variable}" \{{(.*?)^\}}', text, re.MULTILINE | re.DOTALL
            )
            found = block and re.search(r'^\s*default\s*=\s*"([^"]+)"', block[1], re.MULTILINE)
            if found:
                return found[1]
    return None
