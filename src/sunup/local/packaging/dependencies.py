"""The app's dependencies in the package: fetched by uv, whole, pruned."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import closure, prune, room, sources, uv
from .target import Target

# Lambda's managed runtimes have them (Developer Guide, "Runtime-included SDK versions").
LEFT_OUT = frozenset({"boto3", "botocore", "s3transfer"})

_SHOWN = 8


@dataclass(frozen=True)
class Installed:
    """`owners`: the top-level names, each with its distribution and version; notes for the user."""

    owners: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def install(project: Project, target: Target, folder: Path, scratch: Path) -> Installed:
    """Install all that the app needs into a folder. Raises `CommandError`."""
    folder.mkdir()
    source = sources.find(project, scratch)
    if source is None:
        room.prepare(folder)
        return Installed()
    left_out = LEFT_OUT - {canonicalize_name(each) for each in project.texts("bundle")}
    make = _of_lock if source.is_pylock else _of_requirements
    arguments, known = make(source, target, left_out, scratch)
    built = uv.install(arguments, target, folder, project.folder, known)
    shutil.rmtree(folder / "bin", ignore_errors=True)  # the wheels' scripts
    (folder / ".lock").unlink(missing_ok=True)  # uv's own
    closure.remove(folder, left_out)
    room.prepare(folder)
    asked = [*sources.dependencies(project.folder), *source.requirements]
    problems = closure.missing(folder, target, asked, {*left_out, "sunup"})
    if problems:
        what = f"{source.shown} does not bring all: {'; '.join(problems)}"
        raise CommandError(what, sources.HOW_TO_PIN)
    owners, versions = closure.owners(folder), closure.versions(folder)
    built = tuple(name for name in built if name in versions)  # not what is for another platform
    for name in closure.direct(folder):
        versions.pop(name)  # a path or a repository: it says itself what it is
    prune.prune(folder, project.texts("keep"))
    return Installed(owners, _notes(source, versions, left_out, built))


def _of_lock(
    source: sources.Source, target: Target, left_out: frozenset[str], scratch: Path
) -> tuple[list[str], tuple[str, ...]]:
    """What uv is told for a pylock.toml, and what it has to build.

    uv takes such a file as it is: what is left out is left out of the file.
    """
    lock = source.lock
    lock.check(target)
    less = left_out if lock.has_other_sunup else {*left_out, "sunup"}
    file = scratch / "pylock.sunup.toml"
    lock.write(file, less)
    return ["--requirement", str(file)], tuple(name for name in lock.sources if name not in less)


def _of_requirements(
    source: sources.Source, _target: Target, left_out: frozenset[str], scratch: Path
) -> tuple[list[str], tuple[str, ...]]:
    """The same for a requirements file or a pyproject.toml; uv says what has to be built."""
    excluded = scratch / "excluded.txt"
    excluded.write_text("".join(f"{name}\n" for name in sorted(left_out)))
    arguments = ["--requirement", str(source.file), "--excludes", str(excluded)]
    if source.indexes is not None:
        arguments += ["--requirement", str(source.indexes)]
    # Where all have hashes sunup has one too, or is not among them.
    own = None if source.hashed else room.override(source.requirements, scratch)
    if own is not None:
        arguments += ["--overrides", str(own)]
    if source.hashed:
        arguments.append("--require-hashes")
    return arguments, ()


def _notes(
    source: sources.Source, versions: dict[str, str], left_out: Iterable[str], built: Iterable[str]
) -> list[str]:
    notes = []
    runtime_s = sorted(source.names & set(left_out))
    if runtime_s:
        names = ", ".join(f'"{name}"' for name in runtime_s)
        notes.append(
            f"Left to Lambda's own runtime: {', '.join(runtime_s)}. To bring your versions: "
            f"[tool.sunup] bundle = [{names}]."
        )
    loose = sorted(set(versions) - source.pins - {"sunup"})
    if loose and not source.locked:
        shown = ", ".join(f"{name} {versions[name]}" for name in loose[:_SHOWN])
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        notes.append(f"Not pinned, so today's versions: {shown}{more}. {sources.HOW_TO_PIN}")
    if built:
        notes.append(f"Built here from their source: {', '.join(built)}.")
    return notes
