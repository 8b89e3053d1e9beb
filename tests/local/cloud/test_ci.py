"""What `sunup ci github` writes, before the linters that are made for it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sunup
from tests.local.cloud.conftest import IDS, Ci, configure, defaults, everything, workflow


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
    values = defaults(app / "terraform/ci/main.tf")
    assert values["repository_id"] == "123"
    assert values["environment"] == "live"
    for condition in (":aud", ":sub", ":repository_id", ":repository_owner_id"):
        assert f"${{local.issuer}}{condition}" in text
    assert "repo:${each}:environment:${local.environment}" in text
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
    assert "no repository is known" in run("ci", "github", app).stderr
    (app / "terraform/terraform.tfvars").write_text('db_cluster_resource_id = "cluster-A"\n')
    url = "git@github.com:acme/shop.git"
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)
    assert "is not a number" in run("ci", "github", app, "--owner-id", "acme").stderr
    done = run("ci", "github", app)
    assert done.returncode == 0
    assert "gh api repos/acme/shop" in done.stdout
    assert json.dumps("acme/shop") in (app / "terraform/ci/main.tf").read_text()


def test_the_python_is_setup_python_s_word_for_it(app: Path, tmp_path: Path, made: Ci) -> None:
    configure(app, "[tool.sunup]\npython = 'python3.13'\n")
    assert made(app)[0] == 0
    steps = workflow(tmp_path / ".github/workflows/deploy.yml")["jobs"]["deploy"]["steps"]
    assert steps[1]["with"]["python-version"] == "3.13"


def test_the_instructions_name_the_folder_as_seen_from_here(
    app: Path, tmp_path: Path, made: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, "[tool.sunup]\nterraform = 'infra/my tf'\n")
    (app / "infra").mkdir()
    (app / "terraform").rename(app / "infra/my tf")
    monkeypatch.chdir(app.parent)
    status, out, _ = made(app)
    assert status == 0
    assert "terraform -chdir='shop/infra/my tf/ci' init && " in out
    assert "\"$(terraform -chdir='shop/infra/my tf/ci' output -raw AWS_PLAN_ROLE)\"" in out
    assert "terraform -chdir='shop/infra/my tf' init -migrate-state" in out
    assert (app / "infra/my tf/ci/main.tf").is_file()


def test_a_wheel_that_the_jobs_install_and_git_does_not_have_is_told(
    app: Path, tmp_path: Path, made: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = f"sunup-{sunup.__version__}-py3-none-any.whl"
    monkeypatch.setattr("sunup.local.cloud.ci.requirement", lambda *_: f"./vendor/{file}[deploy]")
    assert f"git add -f services/shop/vendor/{file}" in made(app)[1]
    (app / "vendor").mkdir()
    (app / "vendor" / file).touch()
    subprocess.run(["git", "-C", app, "add", "-f", f"vendor/{file}"], check=True)
    assert "git add" not in made(app, "--force")[1]


def test_a_wheel_outside_of_the_repository_is_installed_from_within(
    app: Path, tmp_path: Path, made: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sunup.local.cloud.ci.requirement", lambda *_: "../../../x 1.whl[deploy]")
    assert "vendor/x 1.whl'" in made(app)[1]
    steps = workflow(tmp_path / ".github/workflows/deploy.yml")["jobs"]["plan"]["steps"]
    assert steps[3]["run"] == "python -m pip install './vendor/x 1.whl[deploy]'"


@pytest.mark.parametrize("blocked", ["terraform/ci", "terraform/ci/main.tf/", "../../.github"])
def test_where_one_file_cannot_be_written_none_is(
    app: Path, tmp_path: Path, made: Ci, blocked: str
) -> None:
    if blocked.endswith("/"):
        (app / blocked).mkdir(parents=True)
    else:
        (app / blocked).write_text("a file")
    before = everything(tmp_path)
    for options in ((), ("--force",)):
        status, _, err = made(app, *options)
        assert status == 1
        assert str((app / blocked).resolve()) in err or "already exists" in err
        assert everything(tmp_path) == before
