"""The app's dependencies in the package: fetched by uv, whole, pruned."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import closure, folders, prune, room, sources, uv
from .requirements import pep508
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
    copies = folders.Copies(scratch)
    if source.is_pylock:
        arguments, known = _of_lock(source, target, left_out, copies, scratch)
    else:
        arguments, known = _of_requirements(source, project, left_out, copies, scratch), ()
    index = source.requirements.index
    built = {*uv.install(arguments, target, folder, project.folder, known, index)}
    _remove_scripts(folder / "bin")
    (folder / ".lock").unlink(missing_ok=True)  # uv's own
    closure.remove(folder, left_out)
    room.prepare(folder)
    asked = [*sources.dependencies(project.folder), *map(pep508, source.requirements.lines)]
    problems = closure.missing(folder, target, asked, {*left_out, "sunup"})
    if problems:
        what = f"{source.shown} is incomplete: {'; '.join(problems)}"
        raise CommandError(what, sources.HOW_TO_PIN)
    app = copies.made.get(project.folder.resolve())
    if app is not None:  # its files are copied as they are
        closure.remove(folder, closure.direct(folder, app.as_uri()))
    owners, versions = closure.owners(folder), closure.versions(folder)
    wanted = source.requirements.built
    built |= versions.keys() if ":all:" in wanted else wanted
    built &= versions.keys()  # not what is for another platform
    for name in closure.direct(folder):
        versions.pop(name)  # a path or a repository: it says itself what it is
    prune.prune(folder, project.texts("keep"))
    return Installed(owners, _notes(source, versions, left_out, built))


def _of_lock(
    source: sources.Source,
    target: Target,
    left_out: frozenset[str],
    copies: folders.Copies,
    scratch: Path,
) -> tuple[list[str], tuple[str, ...]]:
    """What uv is told for a pylock.toml, and what it has to build.

    uv takes such a file as it is: what is left out is left out of the file.
    """
    lock = source.lock
    lock.check(target)
    less = left_out if lock.has_other_sunup else {*left_out, "sunup"}
    file = scratch / "pylock.sunup.toml"
    lock.write(file, less, copies.place)
    return ["--requirement", str(file)], tuple(name for name in lock.sources if name not in less)


def _of_requirements(
    source: sources.Source,
    project: Project,
    left_out: frozenset[str],
    copies: folders.Copies,
    scratch: Path,
) -> list[str]:
    """The same for a requirements file or a pyproject.toml; uv says what has to be built."""
    excluded = scratch / "excluded.txt"
    excluded.write_text("".join(f"{name}\n" for name in sorted(left_out)))
    file, wanted = source.file, source.requirements
    moved = wanted if source.is_project else wanted.with_folders(copies.place, project.folder)
    if moved != wanted:
        file = scratch / "requirements.sunup.txt"
        file.write_text("".join(f"{row}\n" for row in moved.rows), encoding="utf-8")
    arguments = ["--requirement", str(file), "--excludes", str(excluded)]
    if source.indexes is not None:
        arguments += ["--requirement", str(source.indexes)]
    # Where all have hashes sunup has one too, or is not among them.
    own = None if wanted.hashed else room.override(map(pep508, wanted.lines), scratch)
    if own is not None:
        arguments += ["--overrides", str(own)]
    if wanted.hashed:
        arguments.append("--require-hashes")
    return arguments


def _remove_scripts(folder: Path) -> None:
    """The wheels' programs; they are in one folder with a package that is called `bin`."""
    if not (folder / "__init__.py").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_file() and path.read_bytes()[:2] == b"#!":
            path.unlink()


def _notes(
    source: sources.Source, versions: dict[str, str], left_out: Iterable[str], built: Iterable[str]
) -> list[str]:
    notes = []
    runtime_s = sorted(source.names & set(left_out))
    if runtime_s:
        names = ", ".join(f'"{name}"' for name in runtime_s)
        notes.append(
            f"Left out, because Lambda's runtime has it: {', '.join(runtime_s)}. To package your "
            f"own versions: [tool.sunup] bundle = [{names}]."
        )
    loose = sorted(set(versions) - source.requirements.pins - {"sunup"})
    if loose and not source.locked:
        shown = ", ".join(f"{name} {versions[name]}" for name in loose[:_SHOWN])
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        notes.append(
            f"Not pinned, so today's versions are used: {shown}{more}. {sources.HOW_TO_PIN}"
        )
    if built:
        notes.append(f"Built from source on this machine: {', '.join(sorted(built))}.")
    return notes
