"""`make live`: makes a cluster and the users API in an account, asks, writes it down, destroys all.

SUNUP_LIVE=1 AWS_PROFILE=... AWS_REGION=eu-central-1 python -m scripts.live

Takes about 40 minutes, of which the database is awake for 25: about $0.05 of ACUs, and cents for
the rest, at us-east-1's list prices. What it makes is named sunup-live-<six digits>; it is
destroyed at the end, also after a failure or Ctrl-C.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sunup.local import project
from sunup.local.cloud.terraform import Terraform
from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions
from sunup.settings import Settings

from . import questions
from .questions import Subject

ROOT = Path(__file__).parents[2]

# Seconds until it sleeps: the idle session's 60, Aurora's 300, and some more (docs/emulator.md).
_ASLEEP_AFTER = 420.0

Run = Callable[..., None]


def main() -> None:
    print(__doc__)
    if os.environ.get("SUNUP_LIVE") != "1":
        sys.exit("SUNUP_LIVE=1 says that you want this, and pay for it.")
    name = f"sunup-live-{secrets.randbelow(10**6):06d}"
    with tempfile.TemporaryDirectory(prefix="sunup-live-") as folder:
        app = copy(Path(folder) / name, name)
        there = live(app, name, sunup)
        here = emulated(app)
    write(ROOT / "docs" / "live", there, here)


def copy(app: Path, name: str) -> Path:
    """The users API with the echo, under a name that nothing else has."""
    ignored = shutil.ignore_patterns(
        ".sunup", ".env", ".terraform*", "*.zip", "*.tfstate*", "*.tfvars"
    )
    shutil.copytree(ROOT / "examples" / "users", app, ignore=ignored)
    (app / "lambda_function.py").write_text(questions.ENTRY)
    settings = app / "pyproject.toml"
    text = settings.read_text().replace("[tool.sunup]", f'[tool.sunup]\nname = "{name}"')
    settings.write_text(text)
    return app


def live(app: Path, name: str, run: Run) -> dict[str, dict[str, str]]:
    """Make everything, ask, and destroy everything, whatever happens."""
    try:
        run("database", "create", app, "--cluster", name)
        with (app / "terraform" / "terraform.tfvars").open("a") as file:
            file.write(f'name = "{name}"\npublic = true\n')
        run("deploy", app, "--yes")
        found = project.find(app)
        url = str(Terraform(found).outputs()["api_url"])
        return questions.ask(Subject(url, found.settings, lambda: time.sleep(_ASLEEP_AFTER)))
    finally:
        destroy(app, name, run)


def destroy(app: Path, name: str, run: Run) -> None:
    """Each step, though one before it failed; says what is left."""
    left = []
    terraform = ["terraform", f"-chdir={app / 'terraform'}", "destroy", "-auto-approve"]
    for what, step in (
        ("the API", lambda: subprocess.run(terraform, check=True)),  # noqa: S603
        (
            "deletion protection",
            lambda: run("database", "create", app, "--cluster", name, "--no-deletion-protection"),
        ),
        (
            "the cluster",
            lambda: run(
                "database",
                "delete",
                app,
                "--cluster",
                name,
                "--confirm",
                name,
                "--skip-final-snapshot",
            ),
        ),
    ):
        try:
            step()
        except (subprocess.CalledProcessError, OSError) as error:
            left.append(f"{what} ({error})")
    if left:
        print(f"NOT DESTROYED, look for {name} in the account: {'; '.join(left)}", file=sys.stderr)


def emulated(app: Path) -> dict[str, dict[str, str]]:
    """The emulator's answers to the same questions."""
    (app / ".env").unlink(missing_ok=True)
    options = EmulatorOptions(aurora=AuroraOptions(resume_seconds=8))
    with Emulator(app, options) as aws:
        environ = {**aws.environ, "DB_SSLROOTCERT": str(aws.aurora.certificates.root)}
        settings = Settings.from_environment(environ)
        return questions.ask(Subject(aws.url, settings, lambda: pause(aws)))


def pause(aws: Emulator) -> None:
    """Put the emulated database to sleep, once its sessions are over."""
    aws.do("instances/reap")
    aws.do("aurora/pause")


def write(folder: Path, there: dict[str, dict[str, str]], here: dict[str, dict[str, str]]) -> Path:
    """AWS's answers beside the emulator's."""
    today = datetime.now(UTC).date().isoformat()
    lines = [
        f"# AWS on {today}",
        "",
        "By `make live`, in " + os.environ.get("AWS_REGION", "?") + ".",
    ]
    for name, answers in there.items():
        lines += ["", f"## {name}", "", "| | AWS | the emulator |", "|---|---|---|"]
        other = here.get(name, {})
        for key in dict.fromkeys([*answers, *other]):
            cells = (key, answers.get(key, ""), other.get(key, ""))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    folder.mkdir(exist_ok=True)
    path = folder / f"{today}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Written: {path}")
    return path


def sunup(*arguments: object) -> None:
    """A command, as a person gives it. Raises `CalledProcessError`."""
    print("$ sunup", *arguments, flush=True)
    command = [sys.executable, "-m", "sunup.local.cli", *map(str, arguments)]
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
