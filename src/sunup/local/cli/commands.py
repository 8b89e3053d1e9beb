"""The subcommands, and how their errors look."""

import errno
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from sunup import __version__
from sunup.failures import DatabaseUnavailable
from sunup.local import stages
from sunup.local.errors import CommandError
from sunup.local.libpq import OF_LIBPQ
from sunup.settings import SettingsError

from . import ci, database, deploy, doctor, init, logs, migrate, new, package, pin, plan, psql
from .optional import ANYTHING, command

app = typer.Typer(
    name="sunup",
    help="Run Python web apps on AWS Lambda with an Aurora PostgreSQL that pauses when idle.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(*, value: bool) -> None:
    if value:
        typer.echo(f"sunup {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: bool = typer.Option(
        False,  # noqa: FBT003
        "--version",
        callback=lambda value: _version(value=value),
        is_eager=True,
        help="Show the version.",
    ),
    stage: str | None = typer.Option(
        None,
        "--stage",
        envvar=stages.VARIABLE,
        help="A stage of \\[tool.sunup.stages], such as prod. May also follow the command.",
    ),
) -> None:
    del version, stage


_NO_HOST = (
    "Run sunup database create, which writes it to .env, or install sunup[dev] for the embedded "
    "PostgreSQL."
)

_FROM_NOTHING = "On your machine"
_DATABASE = "The database"
_CLOUD = "On AWS"
_REST = {"allow_extra_args": True, "ignore_unknown_options": False}

app.command(name="new", rich_help_panel=_FROM_NOTHING)(new.new)
app.command(name="init", rich_help_panel=_FROM_NOTHING)(init.init)
for _name in ("dev", "emulate", "measure"):
    _found = command(_name)
    _settings = ANYTHING if _found.__name__ != _name else None
    app.command(name=_name, rich_help_panel=_FROM_NOTHING, context_settings=_settings)(_found)
app.command(name="plan", rich_help_panel=_FROM_NOTHING)(plan.plan)
app.command(name="env", rich_help_panel=_FROM_NOTHING)(psql.env)
app.add_typer(migrate.app, name="migrate", rich_help_panel=_DATABASE)
app.command(name="psql", rich_help_panel=_DATABASE, context_settings=_REST)(psql.psql)
app.command(name="token", rich_help_panel=_DATABASE)(psql.token)
app.add_typer(database.app, name="database", rich_help_panel=_CLOUD)
app.command(name="pin", rich_help_panel=_CLOUD)(pin.pin)
app.command(name="package", rich_help_panel=_CLOUD)(package.package)
app.command(name="deploy", rich_help_panel=_CLOUD)(deploy.deploy)
app.command(name="releases", rich_help_panel=_CLOUD)(deploy.releases)
app.command(name="rollback", rich_help_panel=_CLOUD)(deploy.rollback)
app.add_typer(ci.app, name="ci", rich_help_panel=_CLOUD)
app.command(name="logs", rich_help_panel=_CLOUD)(logs.logs)
app.command(name="doctor", rich_help_panel=_CLOUD)(doctor.doctor)


def _unwrap(group: typer.Typer) -> None:
    """Leave the lines of each command's help to the terminal's width: Typer keeps a docstring's."""
    for each in group.registered_commands:
        text = each.help or inspect.getdoc(each.callback) or ""
        each.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    for within in group.registered_groups:
        if within.typer_instance is not None:
            _unwrap(within.typer_instance)


_unwrap(app)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    with _staged(arguments) as rest:
        return _run(rest)


@contextmanager
def _staged(arguments: list[str]) -> Iterator[list[str]]:
    """Take `--stage` from wherever it stands: it is for all commands."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest: list[str] = []
    names: list[str] = []
    waiting = iter(arguments[:end])
    for each in waiting:
        if each == "--stage":
            found = next(waiting, None)
            if found is None:
                rest.append(each)  # told as an option without its value
            else:
                names.append(found)
        elif each.startswith("--stage="):
            names.append(each.partition("=")[2])
        else:
            rest.append(each)
    # Two that differ are as wrong as one that is empty.
    name = names[0] if len(set(names)) == 1 else " and ".join(names) if names else None
    before = os.environ.get(stages.VARIABLE)
    if name is not None:
        os.environ[stages.VARIABLE] = name
    try:
        yield [*rest, *arguments[end:]]
    finally:
        if name is not None:
            os.environ.pop(stages.VARIABLE)
            if before is not None:
                os.environ[stages.VARIABLE] = before


def _run(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no word for a character gets a question mark instead of nothing.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a pipe's has it
    # libpq's own variables (PGSERVICE, PGHOSTADDR, PGOPTIONS ...) are for other databases, and
    # would silently lead elsewhere than DB_HOST says.
    for name in OF_LIBPQ & os.environ.keys():
        del os.environ[name]
    try:
        return int(app(arguments, standalone_mode=False, prog_name="sunup") or 0)
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except CommandError as error:
        return _fail(error.what, error.cure)
    except SettingsError as error:
        missing = error.name == "DB_HOST" and "is not set" in str(error)
        return _fail(str(error), _NO_HOST if missing else "")
    except DatabaseUnavailable as error:
        return _fail(
            f"{error.message}: {error.detail}" if error.detail else error.message, error.cure
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            return _unexpected(error)
        return _fail(f"what was found cannot be written: {error.strerror}")
    except Exception as error:
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if isinstance(error.__cause__, KeyboardInterrupt):
        return 130  # Python 3.11 wraps it in a class body, which it met in an import
    if os.environ.get("SUNUP_TRACEBACK"):
        traceback.print_exception(error)
    return _fail(
        f"unexpected {type(error).__name__}: {error}",
        "This is probably a bug in sunup. Set SUNUP_TRACEBACK=1 to see the traceback.",
    )


def _usage(error: typer.TyperException) -> int:
    """A wrong option or argument: one line, and where to read more."""
    message = getattr(error, "format_message", lambda: str(error))()
    if not message:  # a group without a command: its help has been shown
        return 2
    message = message.replace("Value error, ", "")  # pydantic's words
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sunup"
    if command == "sunup psql" and message.lower().startswith("no such option"):
        _fail(
            message[:1].lower() + message[1:], "psql's own options follow --: sunup psql -- -c ..."
        )
        return 2
    _fail(message[:1].lower() + message[1:], f"{command} --help shows the usage.")
    return 2


def _fail(what: str, cure: str = "") -> int:
    typer.secho(f"sunup: {what}", err=True, fg="red" if sys.stderr.isatty() else None)
    if cure:
        typer.echo(f"       {cure}", err=True)
    return 1
