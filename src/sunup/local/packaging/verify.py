"""Looks at a finished package as Lambda will: whether it loads there and is small enough."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.layout import SRC

from . import imports
from .modules import Modules, locate
from .target import Target

# Lambda Developer Guide, "Lambda quotas": direct upload 50 MB zipped, 250 MB unzipped.
LARGEST_ZIP = 50 * 1024 * 1024
LARGEST_FOLDER = 250 * 1024 * 1024

# Starlette's, FastAPI's, Quart's and Litestar's ways to say one.
_WEB_SOCKET = re.compile(
    rb"^[^#\n]*(?:\bWebSocketRoute\(|@\w+\.websocket\(|@websocket\()", re.MULTILINE
)
# A shared library, also with its version: libpq.so.5.
_NATIVE = re.compile(r"\.so(\.\d+)*$")


def web_sockets(folder: Path, names: Iterable[str]) -> list[str]:
    """Notes on sources of the app, by their names in the package, that have a WebSocket route.

    An HTTP API's proxy integration, a function URL and a load balancer answer requests only
    (API Gateway Developer Guide, "WebSocket APIs", has events of their own).
    """
    found = [
        name
        for name in sorted(names)
        if name.endswith(".py") and _WEB_SOCKET.search((folder / name).read_bytes())
    ]
    return (
        [f"{', '.join(found)}: WebSockets work in sunup dev, but not on Lambda."] if found else []
    )


def natives(folder: Path, target: Target) -> int:
    """Check that each native module is for the target's processor; returns how many there are."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not _NATIVE.search(path.name):
            continue
        with path.open("rb") as file:
            header = file.read(20)
        machine = int.from_bytes(header[18:20], "little")
        if header[:4] != b"\x7fELF" or machine != target.elf_machine:
            raise CommandError(
                f"{path.relative_to(folder)} is not for {target.arch} on Linux",
                "It was copied with the app's files; leave it out: [tool.sunup] exclude = [...].",
            )
        count += 1
    return count


def libpq(folder: Path) -> None:
    """Check that psycopg finds libpq, which Lambda's runtimes do not have. Raises `CommandError`.

    On this machine it may be installed, so that importing it here proves nothing.
    """
    brought = ("psycopg_binary", "psycopg_c", "libpq.so*", "lib/libpq.so*")
    if (folder / "psycopg").is_dir() and not any(
        path for name in brought for path in folder.glob(name)
    ):
        raise CommandError(
            "psycopg is in the package without libpq, and Lambda has none",
            'Depend on psycopg[binary] instead of psycopg. (From a layer: keep = ["psycopg"].)',
        )


def handler_statically(
    modules: Modules, handler: str, app: str, own: set[str], folders: Sequence[Path] = ()
) -> set[str]:
    """Check that the handler's module is there, binds the name, and finds what it imports.

    `own` are the packages of the app, which was copied from `folders`: the app's first. Returns
    the files that INIT reads for certain. Raises `CommandError`.
    """
    module, _, name = handler.rpartition(".")
    module = module.replace("/", ".")
    path = modules.locate(module)
    if path is None or path.suffix != ".py":
        raise CommandError(
            f"the handler's module {module} is not in the package",
            'Set it in pyproject.toml: [tool.sunup] handler = "module.name".',
        )
    if not modules.defines(path, name):
        raise CommandError(f"{path.name} has no {name!r} (the handler is {handler!r})")
    named = modules.apps_named(path)
    for each in named:
        _app_is_there(modules, path, each, folders)
    starts = [module, *(each.partition(":")[0] for each in named or [app])]
    followed = imports.follow(modules, starts, own, folders)
    if followed.missing:
        names = ", ".join(f"{what} (in {where})" for what, where in followed.missing)
        cures = [_cure(what, modules.python, folders) for what, _ in followed.missing]
        raise CommandError(
            f"imported, but not in the package: {names}",
            next((cure for cure in cures if cure), _TO_THE_DEPENDENCIES),
        )
    return followed.read


_TO_THE_DEPENDENCIES = "Add it to the dependencies in pyproject.toml, and pin: sunup pin"


def _cure(module: str, python: str, folders: Sequence[Path]) -> str:
    """What helps where a module is missing for another reason than a forgotten dependency."""
    if module.startswith("."):
        return "The relative import leads out of its package: import the module by its full name."
    if imports.without(python, module):
        return f"The standard library of Python {python} does not have {module}."
    if module == SRC and any(each == folders[0] / SRC for each in folders[1:]):
        return (
            f"What is in {SRC}/ lies at the top of the package: import it without `{SRC}.`, or "
            f'write "{SRC}.module:name" in [tool.sunup] app and in Handler(...).'
        )
    for folder in folders:
        path = locate(folder, module)
        if path is not None and (path.is_file() or any(path.glob("**/*.py"))):
            place = path.parent if path.name == "__init__.py" else path
            pattern = place.relative_to(folders[0]).as_posix() + ("/" if place.is_dir() else "")
            return (
                f"{pattern} was left out, because of its name or .gitignore. To include it: "
                f'[tool.sunup] include = ["/{pattern}"].'
            )
    return ""


def _app_is_there(modules: Modules, path: Path, name: str, folders: Sequence[Path]) -> None:
    """Check an app's name that the handler's module gives to `Handler`."""
    module, _, attribute = name.partition(":")
    attribute = attribute.removesuffix("()")  # a function that makes it
    if not all(module.split(".")) or not all(map(str.isidentifier, attribute.split("."))):
        raise CommandError(
            f"{path.name}: Handler({name!r}): that is not the name of an app",
            'Use module:name, such as "app:app", or module:create_app().',
        )
    place = modules.locate(module)
    if place is None:
        raise CommandError(
            f"{path.name}: Handler({name!r}): there is no module {module} in the package",
            _cure(module, modules.python, folders),
        )
    top = attribute.partition(".")[0]
    if place.is_dir() or (place.suffix == ".py" and not modules.defines(place, top)):
        raise CommandError(f"{path.name}: Handler({name!r}): {place.name} has no {top!r}")


def sizes(package: Path, unpacked: int, parts: Mapping[str, int]) -> list[str]:
    """Check the sizes against Lambda's limits; returns notes. `parts` are unpacked sizes in bytes.

    Raises `CommandError`.
    """
    zipped = package.stat().st_size
    if unpacked > LARGEST_FOLDER:
        largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
        names = ", ".join(f"{name} {size / 2**20:.0f} MB" for name, size in largest)
        raise CommandError(
            f"the package is {unpacked / 2**20:.0f} MB unpacked; Lambda allows 250 MB",
            f"The largest parts: {names}.",
        )
    if zipped > LARGEST_ZIP:
        note = (
            f"{zipped / 2**20:.0f} MB is more than the 50 MB of a direct upload: sunup deploy "
            "uploads it through the S3 bucket in [tool.sunup] bucket."
        )
        return [note]
    return []
