"""What an existing project needs: its app is found by reading, missing files are made."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import template
from .errors import CommandError

# What makes an app, and which driver it would take: an event loop wants asyncpg.
_MAKERS = {
    "FastAPI": "asyncpg",
    "Starlette": "asyncpg",
    "Quart": "asyncpg",
    "Litestar": "asyncpg",
    "Flask": "psycopg",
    "get_asgi_application": "django",
    "get_wsgi_application": "django",
}
_FACTORIES = ("create_app", "make_app", "get_app", "create_application")
_ELSEWHERE = {"tests", "test", "migrations", "alembic", "node_modules", "venv", "build", "dist"}
_DEEPEST = 4

_IGNORED = (
    ".env",
    ".env.*",
    ".sunup/",
    "*.zip",
    "terraform/.terraform/",
    "terraform/terraform.tfstate*",
    "terraform/*.tfvars",
)


@dataclass(frozen=True)
class Found:
    """An app: `name` is `module:attribute`, `kind` what made it, `driver` what suits it."""

    name: str
    kind: str
    driver: str


def apps(folder: Path) -> list[Found]:
    """The apps that the sources define, by reading them; the likeliest first."""
    found = [each for path in _sources(folder) for each in _in(folder, path)]
    # Django has both; a factory beside an app is what makes it; main and app before others.
    return sorted(
        found,
        key=lambda each: (
            each.kind == "get_asgi_application",
            each.name.endswith("()"),
            each.name.rpartition(":")[0].rpartition(".")[2] not in ("main", "app", "wsgi"),
            each.name.count("."),
            each.name,
        ),
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


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in _ELSEWHERE for part in parts[:-1])
        if len(parts) <= _DEEPEST and not hidden and not parts[-1].startswith("test_"):
            yield path


def _in(folder: Path, path: Path) -> Iterator[Found]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    parts = path.relative_to(folder).with_suffix("").parts
    module = ".".join(parts[1:] if parts[0] == "src" and len(parts) > 1 else parts)
    module = module.removesuffix(".__init__")
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            maker = _called(node.value)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if maker in _MAKERS and isinstance(target, ast.Name):
                    yield Found(f"{module}:{target.id}", maker, _MAKERS[maker])
        elif isinstance(node, ast.FunctionDef) and node.name in _FACTORIES:
            needed = len(node.args.args) - len(node.args.defaults)
            makers = [m for each in ast.walk(node) if (m := _called(each)) in _MAKERS]
            if makers and not needed:
                yield Found(f"{module}:{node.name}()", makers[0], _MAKERS[makers[0]])


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


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
