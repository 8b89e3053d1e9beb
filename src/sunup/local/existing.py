"""What an existing project needs: missing files are made, others get their lines."""

import re
import tomllib
from pathlib import Path

from . import template
from .errors import CommandError

_IGNORED = (
    ".env",
    ".env.*",
    ".sunup/",
    "*.zip",
    "terraform/.terraform/",
    "terraform/terraform.tfstate*",
    "terraform/*.tfvars",
)


def files(folder: Path, app: str, driver: str) -> dict[str, str]:
    """What is missing or changes: texts by their names in the folder. Raises `CommandError`."""
    module = "database"
    if "sunup" not in (_text(folder / "database.py") or "sunup"):
        module = "sunup_database"  # the app has a module of that name, which is something else
    table = f'[tool.sunup]\napp = "{app}"\n'
    wanted = {
        "lambda_function.py": _handler(app, driver, module),
        ".gitignore": _with_lines(folder / ".gitignore", _IGNORED),
        "pyproject.toml": _with_table(folder / "pyproject.toml", table),
    }
    if driver != "django":
        wanted[f"{module}.py"] = (
            f"from sunup.{driver} import Database\n\n"
            "db = Database()  # DB_HOST, DB_USER, ... from the environment\n"
        )
    if not (folder / "terraform").exists():
        made = template.terraform(_name(folder))
        wanted |= {f"terraform/{name}": text for name, text in made.items()}
    return {
        name: text
        for name, text in wanted.items()
        # A module that is there is the app's own.
        if not (name.endswith(".py") and (folder / name).exists()) and _text(folder / name) != text
    }


def _handler(app: str, driver: str, module: str) -> str:
    if driver == "django":
        settings = f"{app.partition('.')[0]}.settings"
        return (
            "import os\n\nfrom sunup import Handler\n"
            "from sunup.integrations.django import database\n\n"
            f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")\n'
            f'handler = Handler("{app}", database=database())\n'
        )
    return (
        f"from {module} import db\nfrom sunup import Handler\n\n"
        f'handler = Handler("{app}", database=db)\n'
    )


def _with_lines(path: Path, lines: tuple[str, ...]) -> str:
    text = _text(path) or ""
    there = {line.strip() for line in text.splitlines()}
    missing = [line for line in lines if line not in there]
    if not missing:
        return text
    return "".join(
        [text, "" if not text or text.endswith("\n") else "\n", *(f"{e}\n" for e in missing)]
    )


def _with_table(path: Path, table: str) -> str:
    text = _text(path) or ""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    if "sunup" in content.get("tool", {}):
        return text
    return f"{text.rstrip()}\n\n{table}" if text.strip() else table


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def _name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return name if re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name) else "app"
