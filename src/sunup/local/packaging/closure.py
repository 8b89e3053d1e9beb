"""Whether the installed distributions are whole: each has what it requires on the target.

Works on any host, since only their metadata is read.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .target import Target


def versions(folder: Path) -> dict[str, str]:
    """Names and versions of the distributions in a folder."""
    return {name: each.version for name, each in _distributions(folder).items()}


def direct(folder: Path, url: str | None = None) -> set[str]:
    """Names of those that came from a path or a URL, not from an index (PEP 610)."""
    found = {}
    for name, each in _distributions(folder).items():
        text = each.read_text("direct_url.json")
        if text:
            found[name] = str(json.loads(text).get("url", "")).removesuffix("/")
    return {name for name, its in found.items() if url is None or its == url}


def owners(folder: Path) -> dict[str, tuple[str, str]]:
    """The folder's top-level names, each with the name and version of its distribution."""
    found: dict[str, tuple[str, str]] = {}
    for name, each in _distributions(folder).items():
        for file in each.files or ():
            found.setdefault(file.parts[0], (name, each.version))
    return found


def remove(folder: Path, names: Iterable[str]) -> None:
    """Take distributions out again, with all that they brought."""
    found = _distributions(folder)
    for name in set(names) & found.keys():
        for file in found[name].files or ():
            (folder / file).unlink(missing_ok=True)
    for info in folder.glob("*.dist-info"):
        if not (info / "METADATA").is_file():
            shutil.rmtree(info)


def missing(
    folder: Path, target: Target, asked: Iterable[str], left_out: Iterable[str] = ()
) -> list[str]:
    """What is not there, or in another version than is required, in words.

    `asked` are the app's own requirements, in PEP 508's words; `left_out` are names that
    Lambda has.
    """
    found = _distributions(folder)
    absent = set(left_out)
    problems: list[str] = []
    extras: dict[str, set[str]] = defaultdict(set)
    waiting = [("the app", each) for each in _parsed(asked)]
    seen: set[tuple[str, frozenset[str]]] = set()
    environment = target.environment
    # The rest too, wherever it came from: it is in the package.
    waiting += [("the app", Requirement(name)) for name in found]
    while waiting:
        by, wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in absent or not _applies(wanted, environment, extras[by]):
            continue
        distribution = found.get(name)
        if distribution is None:
            problems.append(f"{wanted.name} (required by {by})")
            continue
        if wanted.specifier and not wanted.specifier.contains(
            distribution.version, prereleases=True
        ):
            problems.append(
                f"{by} requires {_short(wanted)}, but {distribution.version} is installed"
            )
        extras[name] |= wanted.extras
        key = (name, frozenset(extras[name]))
        if key not in seen:
            seen.add(key)
            waiting += [(name, each) for each in _parsed(distribution.requires or ())]
    return sorted(set(problems))


def _distributions(folder: Path) -> dict[str, Distribution]:
    found = (Distribution.at(path) for path in sorted(folder.glob("*.dist-info")))
    return {canonicalize_name(each.metadata["Name"] or ""): each for each in found}


def _applies(wanted: Requirement, environment: Mapping[str, str], extras: set[str]) -> bool:
    if wanted.marker is None:
        return True
    return any(wanted.marker.evaluate({**environment, "extra": each}) for each in {"", *extras})


def _parsed(texts: Iterable[str]) -> list[Requirement]:
    found = []
    for text in texts:
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            continue  # from before PEP 508: no installer can read it either
    return found


def _short(wanted: Requirement) -> str:
    return f"{wanted.name}{wanted.specifier}"
