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
    excluded = scratch / "excluded.txt"
    excluded.write_text("".join(f"{name}\n" for name in sorted(left_out)))
    arguments = ["--requirement", str(source.file), "--excludes", str(excluded)]
    # Where all have hashes sunup has one too, or is not among them.
    # A pylock.toml is taken as it is: uv neither overrides nor excludes anything of it.
    fixed = source.hashed or source.is_pylock
    own = None if fixed else room.override(source.requirements, scratch)
    if own is not None:
        arguments += ["--overrides", str(own)]
    if source.hashed:
        arguments.append("--require-hashes")
    built = uv.install(arguments, target, folder, project.folder)
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
    for name in closure.direct(folder):
        versions.pop(name)  # a path or a repository: it says itself what it is
    prune.prune(folder, project.texts("keep"))
    return Installed(owners, _notes(source, versions, left_out, built))


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
