"""What `sunup emulate` was given: on the command line and in pyproject.toml."""

import shlex
import shutil
from pathlib import Path

import typer

from sunup.local import project
from sunup.local.errors import CommandError

from . import ports

# Tables within a command's table, which are no options.
_TABLES = frozenset({"prices"})


def with_defaults_of(context: typer.Context, app_dir: Path) -> Path:
    """Typer's callback: options that are not given are the app's `[tool.sunup.<command>]`."""
    command = context.command.name or ""
    folder = app_dir.parent if app_dir.suffix == ".zip" else app_dir
    table = project.find(folder).options(command) if folder.is_dir() else {}
    known = {
        opt.lstrip("-").replace("-", "_"): each
        for each in context.command.params
        for opt in each.opts
        if opt.startswith("--")
    }
    defaults: dict[str, object] = {}
    for name, value in table.items():
        if name in _TABLES:
            continue
        parameter = known.get(name.replace("-", "_"))
        if parameter is None:
            raise CommandError(
                f"[tool.sunup.{command}] in {folder / 'pyproject.toml'} has the unknown option "
                f"{name!r}",
                f"It takes the options that sunup {command} --help lists.",
            )
        several = getattr(parameter, "multiple", False)
        defaults[parameter.name or ""] = [value] if several and isinstance(value, str) else value
    context.default_map = defaults
    return app_dir


def command_of(text: str | None, folder: Path) -> tuple[str, ...] | None:
    """The words of `--bootstrap`, which is run in the app's folder. Raises `CommandError`."""
    if text is None:
        return None
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise CommandError(f"--bootstrap {text!r}: {error}", "Close the quotes.") from None
    name = words[0] if words else ""
    found = shutil.which(folder / name if "/" in name else name) if name else None
    if found is None:
        raise CommandError(
            f"--bootstrap {text!r} cannot be run",
            "Pass a command whose program is installed, such as 'node bootstrap.mjs'.",
        )
    return words


def check_ports(port: int, console_port: int, aurora_port: int | None) -> None:
    """Raise `CommandError` unless they are free, and different."""
    given = {"--port": port, "--console-port": console_port}
    if aurora_port is not None:
        given["--aurora-port"] = aurora_port
    for name, number in given.items():
        for other, same in given.items():
            if name < other and number == same:
                raise CommandError(
                    f"{other} and {name} are both {number}", "Give each of them its own port."
                )
    for name, number in given.items():
        ports.check(number, name, but=tuple(given.values()))


def variables_of(pairs: list[str]) -> dict[str, str]:
    """The function's variables of `--env`. Raises `CommandError`."""
    variables = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise CommandError(
                f"--env {pair!r} is not NAME=VALUE", "For example: --env LOG_LEVEL=DEBUG"
            )
        variables[name] = value
    return variables
