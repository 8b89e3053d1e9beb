"""Imports the handler from a finished package, as Lambda's INIT does, in a process of its own."""

import importlib.util
import json
import os
import subprocess
import tempfile
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sunup.local.errors import CommandError

from .imports import OF_THE_RUNTIME

_SECONDS = 60
_LONGEST = 400  # of an exception's text: some libraries' are pages

# As INIT does it, except that no database is waited for: there is no database. What Lambda's
# runtime brings is found last, as it is there. The answer has a file of its own: the app may
# write to standard output, or close it.
_IMPORT = """
import importlib, importlib.machinery, json, os, sys
module, name, answers, places = sys.argv[1:]
places = json.loads(places)
class Runtime:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and name in places:
            return importlib.machinery.PathFinder.find_spec(name, [places[name]])
sys.meta_path.append(Runtime)
try:
    handler = getattr(importlib.import_module(module), name)
    answer = None if callable(handler) else ["TypeError", f"{name} is not callable", None]
except BaseException as error:
    lacks = error.name if isinstance(error, ModuleNotFoundError) else None
    answer = [type(error).__name__, str(error), lacks]
with open(answers, "w", encoding="utf-8") as file:
    json.dump(answer, file)
os._exit(0)
"""
# What cannot be otherwise on Lambda; other exceptions may come from settings that are not here.
_CERTAIN = {"ImportError", "ModuleNotFoundError", "AttributeError", "SyntaxError", "TypeError"}


def handler_natively(
    package: Path, handler: str, interpreter: str, environ: Mapping[str, str]
) -> str | None:
    """Import the handler from the unpacked package.

    Raises `CommandError` for what must fail on Lambda too; returns a note of what else was raised.
    """
    with tempfile.TemporaryDirectory(prefix="sunup-package-") as name:
        folder, answers = Path(name, "package"), Path(name, "answer")
        with zipfile.ZipFile(package) as file:
            file.extractall(folder)
        module, _, attribute = handler.rpartition(".")
        arguments = [module.replace("/", "."), attribute, str(answers), json.dumps(_places())]
        try:
            result = subprocess.run(  # noqa: S603
                [interpreter, "-S", "-s", "-c", _IMPORT, *arguments],
                cwd=folder,
                env=_environment(str(folder), environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return (
                f"importing the handler took more than {_SECONDS} s. With its settings on Lambda "
                "it may be faster."
            )
        if result.returncode or not answers.is_file():
            raise CommandError(
                f"importing {handler} ended the process with status {result.returncode}",
                "On Lambda INIT would fail in the same way.",
            )
        return _judged(handler, json.loads(answers.read_bytes()), str(folder))


def _judged(handler: str, answer: list[str] | None, folder: str) -> str | None:
    if answer is None:
        return None
    kind, message, lacks = answer
    if lacks in OF_THE_RUNTIME:
        return (
            f"{handler} was imported only up to where it needs {lacks}, which Lambda has and "
            f"this machine does not. To check the rest: pip install {lacks}"
        )
    said = textwrap.shorten(message.replace(folder, "/var/task"), _LONGEST, placeholder=" ...")
    text = f"importing {handler} raises {kind}: {said}"
    if kind in _CERTAIN or _names_no_app(kind, message):
        raise CommandError(text, "On Lambda INIT would fail in the same way.")
    return f"{text}. With its settings on Lambda it may succeed."


def _names_no_app(kind: str, message: str) -> bool:
    """Whether the app that the code gives to `Handler` by its name is not there."""
    return kind == "SettingsError" and message.startswith("app is ")


def _places() -> dict[str, str]:
    """The folders in which this machine has what Lambda's runtime brings."""
    found = {}
    for name in sorted(OF_THE_RUNTIME):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            file = Path(spec.origin)
            found[name] = str(file.parents[1] if spec.submodule_search_locations else file.parent)
    return found


def _environment(folder: str, environ: Mapping[str, str]) -> dict[str, str]:
    """A sandbox's variables, with a database that is not there and is not waited for."""
    own = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("AWS_", "DB_", "PYTHON", "PG", "SUNUP_"))
    }
    return {
        **own,
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": folder,
        "AWS_LAMBDA_FUNCTION_NAME": "sunup-package",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        # Nobody's: a client can be made, and does not look for this machine's.
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "DB_HOST": "localhost",
        "DB_PASSWORD": "none",
    }
