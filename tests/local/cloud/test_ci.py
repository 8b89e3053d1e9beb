"""What `sunup ci github` writes, before the linters that are made for it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.local.cli.conftest import EXAMPLES

IDS = ("--repository", "acme/shop", "--repository-id", "123", "--owner-id", "9")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app in a folder of a repository."""
    for name in ("AWS_DEFAULT_REGION", "DB_MIGRATION_USER", "SUNUP_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    folder = tmp_path / "services" / "shop"
    shutil.copytree(EXAMPLES / "users" / "terraform", folder / "terraform")
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'shop'\nversion = '1'\n[tool.sunup]\nname = 'shop'\n"
    )
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sunup.local.cli", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_the_workflow_passes_the_linters_for_workflows(app: Path, tmp_path: Path) -> None:
    done = run("ci", "github", app, *IDS)
    assert done.returncode == 0, done.stderr
    workflow = tmp_path / ".github/workflows/deploy.yml"
    schema: list[str | Path] = [
        tool("check-jsonschema"),
        "--builtin-schema",
        "vendor.github-workflows",
        workflow,
    ]
    assert subprocess.run(schema, check=False).returncode == 0
    audit: list[str | Path] = [tool("zizmor"), "--offline", "--persona=regular", workflow]
    found = subprocess.run(audit, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    text = workflow.read_text()
    assert 'working-directory: "services/shop"' in text
    assert not re.search(r"@[a-z_]+@", text)
    # A linter that finds nothing in anything proves nothing.
    workflow.write_text(text.replace("11bd71901bbe5b1630ceea73d27597364c9af683", "main"))
    assert subprocess.run(audit, capture_output=True, check=False).returncode != 0


def test_the_roles_trust_the_repository_by_its_number_in_both_forms_of_subjects(
    app: Path,
) -> None:
    assert run("ci", "github", app, *IDS, "--environment", "live").returncode == 0
    text = (app / "terraform/ci/main.tf").read_text()
    with (app / "terraform/ci/main.tf").open() as file:
        content: dict[str, Any] = hcl2.load(file)
    defaults = {
        name.strip('"'): each.get("default")
        for block in content["variable"]
        for name, each in block.items()
    }
    assert defaults["repository_id"].strip('"') == "123"
    assert defaults["environment"].strip('"') == "live"
    for condition in (":aud", ":sub", ":repository_id", ":repository_owner_id"):
        assert f"${{local.issuer}}{condition}" in text
    assert "repo:${each}:environment:${var.environment}" in text
    assert "${local.owner}@${var.owner_id}/${local.short}@${var.repository_id}" in text
    if shutil.which("terraform"):
        formatted: list[str | Path] = [
            "terraform",
            "fmt",
            "-check",
            "-recursive",
            app / "terraform",
        ]
        assert subprocess.run(formatted, check=False).returncode == 0
    backend = (app / "terraform/backend.tf").read_text()
    assert re.search(r'bucket += "shop-state-9"', backend)
    assert "use_lockfile = true" in backend


def test_what_is_there_already_stays_unless_it_is_forced(app: Path, tmp_path: Path) -> None:
    assert run("ci", "github", app, *IDS).returncode == 0
    (app / "terraform/backend.tf").write_text("mine")
    done = run("ci", "github", app, *IDS)
    assert done.returncode == 1
    assert "services/shop/terraform/backend.tf" in done.stderr
    assert (app / "terraform/backend.tf").read_text() == "mine"
    assert run("ci", "github", app, *IDS, "--force").returncode == 0
    assert "s3" in (app / "terraform/backend.tf").read_text()


def test_the_repository_is_git_s_origin_and_wrong_ones_are_told(app: Path, tmp_path: Path) -> None:
    assert "there is no repository" in run("ci", "github", app).stderr
    (app / "terraform/terraform.tfvars").write_text('db_cluster_resource_id = "cluster-A"\n')
    url = "git@github.com:acme/shop.git"
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)
    assert "is not a number" in run("ci", "github", app, "--owner-id", "acme").stderr
    done = run("ci", "github", app)
    assert done.returncode == 0
    assert "gh api repos/acme/shop" in done.stdout
    assert json.dumps("acme/shop") in (app / "terraform/ci/main.tf").read_text()
