"""The command line in this process, in an app's folder of the test's own, on an emulated Aurora."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sunup.local.cli.commands import run as run_command
from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate

EXAMPLES = Path(__file__).parents[3] / "examples"

# Seconds of a wake: longer than a connect takes (`RESUMING_AFTER`).
LONG_RESUME = 4.0


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    """A copy of the users API."""
    target = tmp_path / "users"
    ignore = shutil.ignore_patterns(".sunup", "__pycache__", ".env", ".terraform*", "*.zip")
    shutil.copytree(EXAMPLES / "users", target, ignore=ignore)
    return target


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command; its exit status, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run_command([str(each) for each in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.fixture
def aws(emulate: Emulate, app_dir: Path) -> Emulator:
    """An Aurora with an empty database; the app's `.env` leads there, migrations as `postgres`."""
    started = emulate(None, aurora=AuroraOptions(resume_seconds=LONG_RESUME))
    variables = {**started.environ, "DB_MIGRATION_USER": "postgres"}
    lines = [f"{name}={value}" for name, value in variables.items()]
    (app_dir / ".env").write_text("\n".join(lines))
    return started
