"""An app in a repository, and `sunup ci github` for it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from sunup.local.cli.commands import run as run_command
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


Ci = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ci:
    """`sunup ci github` in this process; its exit status, standard output and standard error."""

    def run(folder: Path, *options: str, stage: str | None = None) -> tuple[int, str, str]:
        with monkeypatch.context() as patched:
            if stage is not None:
                patched.setenv("SUNUP_STAGE", stage)
            capfd.readouterr()
            status = run_command(["ci", "github", str(folder), *IDS, *options])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert "defect" not in err
        return status, out, err

    return run


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)


def named(folder: Path, name: str) -> None:
    """As Terraform's default says it: what the function is called without a stage."""
    variables = folder / "terraform/variables.tf"
    variables.write_text(variables.read_text().replace('"users"', json.dumps(name), 1))


def defaults(main: Path) -> dict[str, Any]:
    """The variables of the roles' Terraform."""
    with main.open() as file:
        content: dict[str, Any] = hcl2.load(file)
    values = {
        name.strip('"'): each.get("default")
        for block in content["variable"]
        for name, each in block.items()
    }
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return json.loads(value) if isinstance(value, str) and value.startswith('"') else value


def workflow(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    return content


def everything(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    }
