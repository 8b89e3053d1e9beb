"""The app that a command works on: its folder, its `[tool.sunup]`, its `.env`."""

import os
import re
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from dotenv import dotenv_values

from sunup.connecting.credentials import CredentialSource
from sunup.connecting.iam import DSQL_ADMIN
from sunup.engines import DSQL
from sunup.settings import Settings, SettingsError

from . import layout, stages
from .errors import CommandError

# The role that owns the tables; read by the commands, never by the app.
MIGRATION_USER = "DB_MIGRATION_USER"
MIGRATION_PASSWORD = "DB_MIGRATION_PASSWORD"  # noqa: S105  # a variable's name

_TEXTS = {
    *("app", "handler", "name", "python", "arch", "requirements", "migrations"),
    *("terraform", "check", "bucket"),
}
_LISTS = {"try", "include", "exclude", "bundle", "keep"}
_NUMBERS = {"releases"}
_TABLES = {"emulate", "measure", "plan", "stages"}
_EXPECTED = (
    f"It can have the strings {', '.join(sorted(_TEXTS))}, the lists "
    f"{', '.join(sorted(_LISTS))}, the number {', '.join(sorted(_NUMBERS))} and the tables "
    f"{', '.join(sorted(_TABLES))}."
)


@dataclass(frozen=True)
class Project:
    """What `[tool.sunup]` and `.env` say.

    `app` is `module:name`, `handler` `module.name`. `environ` are the variables that the app would
    see on this machine; `dotenv` those of them that `.env` sets.
    """

    folder: Path
    app: str = "app:app"
    handler: str = "lambda_function.handler"
    tries: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    dotenv: Mapping[str, str] = field(default_factory=dict, repr=False)
    table: Mapping[str, object] = field(default_factory=dict)
    stage: stages.Stage | None = None
    declared: str = ""

    @property
    def app_name(self) -> str:
        """The app's name, whatever the stage: of `[tool.sunup]`, `[project]`, or the folder's."""
        value = self.table.get("name")
        return value if isinstance(value, str) and value else self.declared or self.folder.name

    @property
    def name(self) -> str:
        """What the function is called: the app's name, with the stage's."""
        if self.stage is None:
            return self.app_name
        own = re.sub(r"[^A-Za-z0-9]+", "-", self.app_name).strip("-")
        return self.stage.texts.get("name") or f"{own}-{self.stage.name}"

    @property
    def env_file(self) -> Path:
        """Where this machine keeps the settings."""
        return self.folder / (".env" if self.stage is None else self.stage.env_file)

    @property
    def tfvars(self) -> Path:
        """Where Terraform's variables are."""
        return self.terraform / ("terraform.tfvars" if self.stage is None else self.stage.tfvars)

    def django_migrations(self) -> list[Path]:
        """The files of Django's migrations, in the apps of the project."""
        return [
            file
            for folder in {self.folder, self.code}
            for pattern in ("*/migrations/*.py", "*/*/migrations/*.py")
            for file in folder.glob(pattern)
        ]

    @property
    def migrations(self) -> Path:
        """Alembic's folder, which need not exist: `migrations`, `alembic`, or alembic.ini's."""
        named = self.text("migrations")
        if named:
            return self.folder / named
        places = (self.folder / "migrations", self.folder / "alembic", *_of_alembic(self.folder))
        found = (each for each in places if (each / "env.py").is_file())
        return next(found, self.folder / "migrations")

    @property
    def code(self) -> Path:
        """Where the app's modules are: the folder, or its `src`."""
        return layout.code_folder(self.folder, self.app, self.handler)

    @property
    def terraform(self) -> Path:
        """Terraform's folder, which need not exist."""
        return self.folder / (self.text("terraform") or "terraform")

    def text(self, name: str) -> str | None:
        """A text of `[tool.sunup]`."""
        if self.stage is not None and name in self.stage.texts:
            return self.stage.texts[name]
        value = self.table.get(name)
        return value if isinstance(value, str) and value else None

    def number(self, name: str, default: int) -> int:
        """A number of `[tool.sunup]`."""
        value = self.table.get(name)
        return value if isinstance(value, int) else default

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts of `[tool.sunup]`."""
        value = self.table.get(name)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    @property
    def stages(self) -> tuple[str, ...]:
        """The names in `[tool.sunup.stages]`."""
        table = self.table.get("stages")
        return tuple(table) if isinstance(table, dict) else ()

    def options(self, command: str) -> Mapping[str, object]:
        """The table `[tool.sunup.emulate]` and the like: a command's options, with `-` or `_`."""
        table = self.table.get(command)
        return table if isinstance(table, dict) else {}

    @property
    def settings(self) -> Settings:
        """The app's settings; there must be a database. Raises `SettingsError`."""
        settings = Settings.from_environment(self.environ)
        if self.stage is not None and self.environ.get("DB_HOST"):
            # Their defaults would be the same database for all stages, as its administrator.
            own = (
                f"a value for the stage {self.stage.name}, in {self.env_file.name} or in its table"
            )
            for name in ("DB_NAME", "DB_USER"):
                if not self.environ.get(name):
                    raise SettingsError(name, None, own)
        settings.check_database()
        return settings

    @property
    def migration_settings(self) -> Settings:
        """The same as the role that owns the tables, where `DB_MIGRATION_USER` names one.

        On Aurora DSQL without one: `admin`, the only role that may change the schema `public`.
        """
        settings = self.settings
        user = self.environ.get(MIGRATION_USER)
        if not user and settings.engine is DSQL and settings.password is None:
            user = DSQL_ADMIN
        if not user:
            return settings
        password = self.environ.get(MIGRATION_PASSWORD) or None
        return replace(settings, user=user, password=password)

    def as_user(self, user: str | None) -> Settings:
        """The settings with another role; the app's own without one."""
        if user is None or user == self.settings.user:
            return self.settings
        if user == self.environ.get(MIGRATION_USER):
            return self.migration_settings
        return replace(self.settings, user=user, password=None)

    @property
    def credentials(self) -> CredentialSource:
        """Where the AWS credentials that sign the tokens come from."""
        return CredentialSource(self.environ)

    def check_app(self) -> None:
        """Raise `CommandError` unless the app has a name, and its module is there."""
        module, _, name = self.app.partition(":")
        if not all(module.split(".")) or not all(
            map(str.isidentifier, name.removesuffix("()").split("."))
        ):
            raise CommandError(
                f"{self.app!r} is not the name of an app",
                'It is module:name, such as "app:app", or module:create_app().',
            )
        if not any(layout.has_module(place, module) for place in (self.folder, self.code)):
            raise self._no_module(module, "app", self.app, "module:name")

    def check_handler(self) -> None:
        """Raise `CommandError` unless the handler's module is there."""
        module = self.handler.rpartition(".")[0]
        if not any(layout.module_file(place, module) for place in (self.folder, self.code)):
            raise self._no_module(module, "handler", self.handler, "module.name")

    def _no_module(self, module: str, key: str, value: str, form: str) -> CommandError:
        return CommandError(
            f"there is no {module.replace('.', '/')}.py in {self.folder} (the {key} is {value!r})",
            f'Set it in pyproject.toml: [tool.sunup] {key} = "{form}".',
        )


def _of_alembic(folder: Path) -> list[Path]:
    """The `script_location` of alembic.ini, or of pyproject.toml's `[tool.alembic]`."""
    parser = ConfigParser(interpolation=None)
    with suppress(OSError, ValueError, ConfigParserError):
        parser.read(folder / "alembic.ini", encoding="utf-8")
    found = [parser.get("alembic", "script_location", fallback="")]
    with suppress(OSError, ValueError, AttributeError):
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        found.append(str(content.get("tool", {}).get("alembic", {}).get("script_location", "")))
    return [folder / each.replace("%(here)s", str(folder)) for each in found if each]


def is_remote(settings: Settings) -> bool:
    """Whether the database is another machine's: others may use it."""
    host = settings.host.lower().rstrip(".")
    if host.startswith(("/", "@")) or host == "localhost":
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def find(folder: Path) -> Project:
    """Read the project in a folder. Raises `CommandError`."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}", "Pass the folder of your app.")
    table, declared = _read(folder / "pyproject.toml")
    stage = stages.chosen(table, str(folder / "pyproject.toml"))
    file = folder / (".env" if stage is None else stage.env_file)
    try:
        dotenv = {key: value or "" for key, value in dotenv_values(file).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from None
    # What is set in the shell wins over the file, as with every reader of .env.
    environ = {**dotenv, **os.environ}
    if stage is not None:
        dotenv = stages.joined(stage, dotenv)
        laptop = dotenv_values(folder / ".env")
        environ = stages.without_conflicts(stage, dotenv, os.environ, laptop)
    return Project(
        folder,
        app=environ.get("SUNUP_APP") or str(table.get("app") or Project.app),
        handler=str(table.get("handler") or Project.handler),
        tries=tuple(map(str, table.get("try", []))),  # type: ignore[call-overload]  # checked
        environ=environ,
        dotenv=dotenv,
        table=table,
        stage=stage,
        declared=declared,
    )


def _read(path: Path) -> tuple[dict[str, object], str]:
    """`[tool.sunup]`, and the name that `[project]` declares."""
    if not path.is_file():
        return {}, ""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    tool, about = content.get("tool", {}), content.get("project", {})
    if not isinstance(tool, dict) or not isinstance(about, dict):
        raise CommandError(f"{path} cannot be read: tool and project must be tables")
    table = tool.get("sunup", {})
    if not isinstance(table, dict):
        raise CommandError(f"[tool.sunup] in {path} is not as expected", _EXPECTED)
    for key, value in table.items():
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        fits = (
            (key in _TEXTS and isinstance(value, str))
            or (key in _LISTS and is_list)
            or (key in _TABLES and isinstance(value, dict))
            or (key in _NUMBERS and type(value) is int and value > 0)
        )
        if not fits:
            raise CommandError(f"[tool.sunup] in {path} is not as expected: {key}", _EXPECTED)
    declared = about.get("name")
    return table, declared if isinstance(declared, str) else ""
