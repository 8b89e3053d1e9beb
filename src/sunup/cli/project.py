"""The app that a command works on: its folder, its `[tool.sunup]`, its `.env`."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from dotenv import dotenv_values

from sunup.settings import SettingsError

from .errors import CommandError


@dataclass(frozen=True)
class Project:
    """The app, as `module:name`, and its entry point on Lambda, as `module.name`.

    `environ` are the variables that the app would see on this machine.
    """

    folder: Path
    app: str
    handler: str
    tries: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def migrations(self) -> Path:
        """Alembic's folder, which need not exist."""
        return self.folder / "migrations"


def find(folder: Path) -> Project:
    """Read the project in a folder. Raises `CommandError`."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}", "Name the folder of your app.")
    table = _tool_table(folder / "pyproject.toml")
    # What is set in the shell wins over the file, as with every reader of .env.
    environ = {
        **{key: value or "" for key, value in dotenv_values(folder / ".env").items()},
        **os.environ,
    }
    app = environ.get("SUNUP_APP") or table.get("app") or "app:app"
    handler = table.get("handler") or "lambda_function.handler"
    tries = table.get("try", [])
    if not (isinstance(app, str) and isinstance(handler, str) and isinstance(tries, list)):
        raise CommandError(
            f"[tool.sunup] in {folder / 'pyproject.toml'} is not as expected",
            'It takes app = "module:name" and try = ["curl {url}/..."].',
        )
    module = app.partition(":")[0].partition(".")[0]
    if not (folder / f"{module}.py").is_file() and not (folder / module).is_dir():
        raise CommandError(
            f"there is no {module}.py in {folder} (the app is {app!r})",
            'Name it in pyproject.toml: [tool.sunup] app = "module:name".',
        )
    return Project(folder, app, handler, tuple(map(str, tries)), environ)


def _tool_table(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    table = content.get("tool", {}).get("sunup", {})
    return table if isinstance(table, dict) else {}


def database_variables(url: str) -> dict[str, str]:
    """The `DB_*` variables of a `postgresql://` URL. Raises `SettingsError`."""
    expected = "postgresql://user:password@host:port/name, with ?sslmode= where needed"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("--database-url", "not a URL", expected) from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = options.pop("host", host)
    if parts.scheme not in ("postgresql", "postgres") or not host:
        raise SettingsError("--database-url", f"{parts.scheme or 'no'}:// URL", expected)
    variables = {
        "DB_HOST": host,
        "DB_PORT": str(port or 5432),
        "DB_USER": unquote(parts.username or "postgres"),
        "DB_PASSWORD": unquote(parts.password or ""),
        "DB_NAME": unquote(parts.path.removeprefix("/")) or "postgres",
        "DB_SSLMODE": options.pop("sslmode", ""),
        "DB_SSLROOTCERT": options.pop("sslrootcert", ""),
    }
    if options:
        raise SettingsError("--database-url", f"with {', '.join(sorted(options))}", expected)
    return variables
