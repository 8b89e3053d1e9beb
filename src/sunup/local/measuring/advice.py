"""What would avoid an import."""

from collections.abc import Mapping
from pathlib import Path

from .imports import Import
from .profile import Profile, kind_of
from .usage import Use, use_of

# What does the same for less, of what is often imported in small APIs.
_LIGHTER = {
    "boto3": "sunup signs tokens itself; import it in the function that needs it",
    "botocore": "sunup signs tokens itself; import it in the function that needs it",
    "dateutil": "datetime.fromisoformat and zoneinfo are in the standard library",
    "email_validator": "a regular expression, or what the form's owner answers",
    "fastapi": "Starlette with msgspec does the same without pydantic (examples/users)",
    "httpx": "urllib.request for one call; or import it in the function that calls",
    "jinja2": "import it in the function that renders",
    "marshmallow": "msgspec checks and encodes in C",
    "numpy": "import it in the function that computes",
    "pandas": "csv and statistics are in the standard library",
    "pkg_resources": "importlib.metadata, or nothing",
    "psycopg2": "psycopg 3, or asyncpg for an async app",
    "pydantic": "msgspec, or dataclasses, for what needs no more",
    "pytz": "zoneinfo is in the standard library",
    "requests": "urllib.request for one call; or import it in the function that calls",
    "rich": "not needed on Lambda: nobody sees a terminal",
    "simplejson": "json is in the standard library",
    "sqlalchemy": "the driver's own connection, for a few statements (examples/users)",
    "yaml": "json or tomllib are in the standard library",
}


def advice_for(found: Import, profile: Profile, own: frozenset[str], code: Path) -> str:
    """What to do about an import, in one sentence; empty where nothing is known.

    `code` is the folder of the app's modules.
    """
    lighter = _LIGHTER.get(found.module.partition(".")[0], "")
    places: dict[Use, list[str]] = {}
    for importer in sorted(found.importers):
        file = _file(profile.files, importer)
        said = use_of(file, found.module) if kind_of(importer, own) == "app" and file else None
        if said is not None and file is not None:
            use, line = said
            places.setdefault(use, []).append(f"{_short(file, code)}:{line}")
    if places and found.anyway is not None:
        return f"{found.anyway} needs it anyway"
    if "at import" in places:
        place = places["at import"][0]
        return f"{place} needs it at import{f': {lighter}' if lighter else ''}"
    if "later" in places:
        where = ", ".join(places["later"])
        return f"only functions need it: if few requests do, import it in them ({where})"
    if "unused" in places:
        return f"unused: remove it from {', '.join(places['unused'])}"
    if lighter:
        return lighter
    top = found.module.partition(".")[0]
    for importer in reversed(found.chain[:-1]):
        kind = kind_of(importer, own)
        if kind == "sunup":
            return f"{importer} needs it"
        if kind == "dependency" and importer.partition(".")[0] != top:
            return f"{importer.partition('.')[0]} needs it"
        if kind == "app":
            return f"{importer} needs it"
    return ""


def to_move(profile: Profile) -> list[tuple[str, float]]:
    """What the first request imports, with seconds of a whole processor: it belongs into INIT."""
    return [
        (node.name, node.length)
        for node in sorted(profile.later, key=lambda node: -node.length)
        if node.length >= 0.0005
    ]


def _file(files: Mapping[str, str], module: str) -> Path | None:
    name = files.get(module, "")
    return Path(name) if name.endswith(".py") and Path(name).is_file() else None


def _short(file: Path, code: Path) -> str:
    return str(file.relative_to(code)) if file.is_relative_to(code) else file.name
