"""What an existing project needs: missing files are made, others get their lines."""

import re
import tomllib
from pathlib import Path

from . import django_settings, engines, template
from .errors import CommandError
from .layout import code_folder, module_file

_IGNORED = (
    ".env",
    ".env.*",
    "!.env.example",
    ".sunup/",
    "*.zip",
    "terraform/.terraform/",
    "terraform/terraform.tfstate*",
    "terraform/*.tfvars",
    "__pycache__/",
    ".venv/",
    "venv/",
)

_HEADER = re.compile(r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*sunup[ \t]*\][^\r\n]*", re.MULTILINE)


def files(folder: Path, app: str, driver: str) -> dict[str, str]:
    """What is missing or changes: texts by their names in the folder. Raises `CommandError`."""
    module = _database_module(folder, app)
    wanted = {}
    # A module that is there is the app's own.
    if _own(folder, app, "lambda_function") is None:
        wanted["lambda_function.py"] = _handler(folder, app, driver, module)
    wanted |= {
        ".gitignore": _with_lines(folder / ".gitignore", _IGNORED),
        "pyproject.toml": _with_app(folder / "pyproject.toml", app),
    }
    if driver != "django" and _own(folder, app, module) is None:
        wanted[f"{module}.py"] = (
            f"from sunup.{driver} import Database\n\n"
            "db = Database()  # DB_HOST, DB_USER, ... from the environment\n"
        )
    if not (folder / "terraform").exists():
        made = template.terraform(_name(folder))
        wanted |= {f"terraform/{name}": text for name, text in made.items()}
    return {name: text for name, text in wanted.items() if _text(folder / name) != text}


def by_hand(folder: Path, app: str, driver: str) -> list[str]:
    """What is left to do in files that stay as they are. Raises `CommandError`."""
    left = []
    entry = _own(folder, app, "lambda_function")
    if entry is not None and not all(each in (_text(entry) or "") for each in ("sunup", "Handler")):
        wanted = _handler(folder, app, driver, _database_module(folder, app))
        left.append(
            f"{entry.relative_to(folder)} is there, and stays: without these lines it does not "
            f"start {app}\n\n{wanted}"
        )
    if driver == "django":
        left += [
            f'{file}: set DATABASES = {{"default": {{"ENGINE": "{django_settings.ENGINE}"}}}}'
            for file in django_settings.on_other_databases(folder, app)
        ]
    return left + engines.to_change(folder)


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write what `files` says. Raises `CommandError`."""
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())  # with the line ends that it has
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written: {error.strerror}",
                "Mend that, and run sunup init again: it writes what is missing then.",
            ) from None


def _places(folder: Path, app: str) -> tuple[Path, Path]:
    """Where the modules lie that the entry can import, in this order; they may be the same."""
    return folder, code_folder(folder, app, "lambda_function.handler")


def _own(folder: Path, app: str, module: str) -> Path | None:
    found = (module_file(place, module) for place in _places(folder, app))
    return next((file for file in found if file is not None), None)


def _database_module(folder: Path, app: str) -> str:
    """`database`, unless the app has a module of that name, which is something else."""
    for place in _places(folder, app):
        file = module_file(place, "database")
        if file is None and any((place / "database").glob("*.py")):
            return "sunup_database"  # a package without __init__.py
        if file is not None and "sunup" not in (_text(file) or ""):
            return "sunup_database"
    return "database"


def _handler(folder: Path, app: str, driver: str, module: str) -> str:
    if driver != "django":
        return (
            f"from {module} import db\nfrom sunup import Handler\n\n"
            f'handler = Handler("{app}", database=db)\n'
        )
    imports = "from sunup import Handler\nfrom sunup.integrations.django import database\n\n"
    handler = f'handler = Handler("{app}", database=database())\n'
    settings = django_settings.module(folder, app)
    if settings is None:  # the app's module finds them
        return f"{imports}{handler}"
    default = f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")\n'
    return f"import os\n\n{imports}{default}{handler}"


def _with_lines(path: Path, lines: tuple[str, ...]) -> str:
    text = _text(path) or ""
    there = {line.strip() for line in text.splitlines()}
    if ".env.*" not in there:
        there.discard("!.env.example")  # the last line that fits counts
    return _appended(text, [line for line in lines if line not in there])


def _with_app(path: Path, app: str) -> str:
    """The text with `app` in `[tool.sunup]`, unless there is one. Raises `CommandError`."""
    text = _text(path) or ""
    if "app" in _table(path, text):
        return text
    line = f'app = "{app}"'
    header = _HEADER.search(text)
    if header is None:
        added = _appended(text, [*([""] if text.strip() else []), "[tool.sunup]", line])
    else:
        place = header.end()
        added = f"{text[:place]}{_line_end(text)}{line}{text[place:]}"
    try:
        fits = _table(path, added).get("app") == app
    except CommandError:
        fits = False
    if not fits:  # `sunup = {...}` and the like
        raise CommandError(
            f"nothing can be added to [tool.sunup] in {path}", f"Write {line} there."
        )
    return added


def _table(path: Path, text: str) -> dict[str, object]:
    try:
        return dict(tomllib.loads(text).get("tool", {}).get("sunup", {}))
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def _appended(text: str, lines: list[str]) -> str:
    end = _line_end(text)
    gap = end if lines and text and not text.endswith("\n") else ""
    return "".join([text, gap, *(f"{line}{end}" for line in lines)])


def _line_end(text: str) -> str:
    """The file's own; git and editors would show each line as changed otherwise."""
    return "\r\n" if "\r\n" in text else "\n"


def _text(path: Path) -> str | None:
    """A file's text with its own line ends; None where there is none. Raises `CommandError`."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        if path.is_symlink():
            raise CommandError(
                f"{path} is a link that leads nowhere", "Remove it, or make what it leads to."
            ) from None
        return None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def _name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return name if re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name) else "app"
