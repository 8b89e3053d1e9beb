"""What would avoid an import."""

from pathlib import Path

from .imports import Import
from .profile import Profile, kind_of
from .usage import Source, Use, use_of

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


class Adviser:
    """Knows the app's own files. `code` is their folder, `own` the top-level modules.

    `factories` are functions that are called from outside, such as `create_app`.
    """

    def __init__(
        self, profile: Profile, own: frozenset[str], code: Path, factories: tuple[str, ...] = ()
    ) -> None:
        self._own = own
        self._code = code
        self._factories = factories
        self._sources = {
            module: source
            for module, name in profile.files.items()
            if name.endswith(".py")
            and kind_of(module, own) == "app"
            and (source := Source.read(Path(name))) is not None
        }

    def advice_for(self, found: Import) -> str:
        """What to do about an import, in one sentence; empty where nothing is known."""
        lighter = _LIGHTER.get(found.module.partition(".")[0], "")
        places: dict[Use, list[str]] = {}
        for importer in sorted(found.importers & self._sources.keys()):
            source = self._sources[importer]
            said = use_of(source, found.module, self._sources.values(), self._factories)
            use, line = said or ("at import", _line_of(source, found.module))
            places.setdefault(use, []).append(f"{_short(source.path, self._code)}:{line}")
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
        return self._needed_by(found)

    def _needed_by(self, found: Import) -> str:
        top = found.module.partition(".")[0]
        for importer in reversed(found.chain[:-1]):
            kind = kind_of(importer, self._own)
            if kind in ("sunup", "app"):
                return f"{importer} needs it"
            if kind == "dependency" and importer.partition(".")[0] != top:
                return f"{importer.partition('.')[0]} needs it"
        return ""


def _line_of(source: Source, module: str) -> int:
    """The first line with its name; 1 where there is none."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if "import" in line and module.rpartition(".")[2] in line:
            return number
    return 1


def to_move(profile: Profile) -> list[tuple[str, float]]:
    """What the first request imports, with seconds of a whole processor: it belongs into INIT."""
    return [
        (node.name, node.length)
        for node in sorted(profile.later, key=lambda node: -node.length)
        if node.length >= 0.0005
    ]


def _short(file: Path, code: Path) -> str:
    return str(file.relative_to(code)) if file.is_relative_to(code) else file.name
