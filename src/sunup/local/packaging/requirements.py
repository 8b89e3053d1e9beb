"""What a requirements file says, as pip and uv read it."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_OPTION = re.compile(r"^(?P<name>--?[a-z][a-z-]*?)(?:[ =]+|(?<=^-[a-z]))(?P<value>.*)$")
_REQUIREMENT, _CONSTRAINT = ("-r", "--requirement"), ("-c", "--constraint")
_EDITABLE, _INDEX = ("-e", "--editable"), ("-i", "--index-url")
_FIND_LINKS = ("-f", "--find-links")

# Of what cannot be read as PEP 508 has it: a name, and the path or the URL that it is at.
_AT = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*@")
# A path or a file's URL, with a name before it, and extras and a marker after it.
_PLACE = re.compile(
    r"^(?P<before>[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*)?"
    r"(?P<place>[^\[;]+?)(?P<after>\s*(?:\[[^\]]*\])?\s*(?:\s;.*)?)$"
)

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Requirements:
    """`rows` are those of the file and of all that it includes, each on one line."""

    rows: tuple[str, ...]

    @cached_property
    def lines(self) -> list[str]:
        """The requirements, without options."""
        return [row for row in self.rows if not row.startswith("-")]

    @property
    def names(self) -> set[str]:
        """The distributions that it names, as far as its text shows."""
        return {name for line in self.lines if (name := _name(line))}

    @property
    def pins(self) -> set[str]:
        """What it, or one of its constraints, pins to one version."""
        lines = list(self.lines)
        for path in self._values(_CONSTRAINT):
            lines += read(Path(path)).lines if Path(path).is_file() else []
        return {name for line in lines if _is_pin(line) and (name := _name(line))}

    @property
    def hashed(self) -> bool:
        """Whether each line has a hash, so that all have to."""
        return bool(self.lines) and all("--hash" in line for line in self.lines)

    @property
    def index(self) -> str | None:
        """The index that it names in place of the default one."""
        return next(iter(reversed(self._values(_INDEX))), None)

    @property
    def built(self) -> set[str]:
        """What it wants built from source, though an index has it; `:all:` for all."""
        values = self._values(("--no-binary",))
        return {each if each == ":all:" else canonicalize_name(each) for each in values}

    def with_folders(self, moved: Callable[[Path], Path], folder: Path) -> "Requirements":
        """The same with local folders in another place; paths are seen from `folder`."""
        return Requirements(tuple(_row_with_folder(row, moved, folder) for row in self.rows))

    def _values(self, options: tuple[str, ...]) -> list[str]:
        found = [_option(row) for row in self.rows]
        return [value for name, value in found if name in options]


def read(path: Path, depth: int = 5) -> Requirements:
    """Paths of constraints and of `--find-links` are absolute then."""
    return Requirements(tuple(_rows(path, depth)))


def pep508(line: str) -> str:
    """Without hashes, other options and comments."""
    return re.split(r"\s+(?:--[a-z]|#)", line)[0].strip()


def _rows(path: Path, depth: int) -> Iterator[str]:
    content = path.read_bytes()
    encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), "utf-8")
    text = re.sub(r"\\\r?\n", " ", content.decode(encoding, errors="replace"))
    for row in (line.strip() for line in text.splitlines()):
        name, value = _option(row)
        other = path.parent / value
        if name in _REQUIREMENT and other.is_file() and depth:
            yield from _rows(other, depth - 1)
        elif name in (*_CONSTRAINT, *_FIND_LINKS) and other.exists():
            yield f"{name} {other.resolve()}"
        elif row and not row.startswith("#"):
            yield row


def _option(row: str) -> tuple[str, str]:
    """The option of a line and its value, as uv reads it: with spaces, escaped or in quotes."""
    found = _OPTION.match(row)
    if found is None:
        return "", ""
    value = re.split(r"\s+#", found["value"])[0].strip()
    if value[:1] in ("'", '"') and value[-1] == value[0]:
        value = value[1:-1]
    return found["name"], re.sub(r"\\(.)", r"\1", value)


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(pep508(line))
    except InvalidRequirement:
        return None


def _name(line: str) -> str | None:
    wanted, placed = _requirement(line), _AT.match(line)
    name = wanted.name if wanted is not None else placed["name"] if placed else None
    return None if name is None else canonicalize_name(name)


def _is_pin(line: str) -> bool:
    wanted = _requirement(line)
    if wanted is None or wanted.url:
        return True
    return any(
        each.operator in ("==", "===") and not each.version.endswith("*")
        for each in wanted.specifier
    )


def _row_with_folder(row: str, moved: Callable[[Path], Path], folder: Path) -> str:
    name, value = _option(row)
    if row.startswith("-") and name not in _EDITABLE:
        return row
    found = _PLACE.match(pep508(value or row))
    if found is None:
        return row
    place = found["place"]
    if place.startswith("file:"):
        path = Path(url2pathname(urlsplit(place).path))
    else:
        path = folder / re.sub(r"\\(.)", r"\1", place)
    # A plain name is a distribution's, also where a folder is called so.
    is_name = not found["before"] and re.fullmatch(r"[\w.-]*\w", place)
    if is_name or not path.is_dir():
        return row
    return f"{found['before'] or ''}{moved(path.resolve()).as_uri()}{found['after']}"
