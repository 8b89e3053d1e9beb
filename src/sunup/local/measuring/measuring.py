"""From an app's folder, or its package, to a report."""

import importlib.metadata
import platform
import re
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sunup.local.emulator import Emulator, EmulatorOptions
from sunup.local.emulator.instance import INIT_LIMIT
from sunup.local.emulator.limits import ONE_PROCESSOR_MB, processor_share_available
from sunup.local.emulator.options import EngineName
from sunup.local.errors import CommandError
from sunup.local.packaging.build import Part, build
from sunup.local.packaging.target import choose
from sunup.local.planning import Prices
from sunup.local.project import Project

from . import advice, imports, profile
from .memory import measured, recommended
from .report import Report, dear, needs_of, work_of
from .sandbox import Sample, Sandbox

_PROFILES = 3
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Wanted:
    """What to measure: memories in MB, so many starts with each, so many warm requests in each."""

    memories: tuple[int, ...]
    path: str = "/"
    starts: int = 5
    requests: int = 50
    engine: EngineName = "aurora"


def measure(
    project: Project,
    package: Path | None,
    wanted: Wanted,
    environ: dict[str, str],
    prices: Prices,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[Report, profile.Profile]:
    """Start the app again and again. Raises `CommandError`, with the app's log where it fails."""
    notes: list[str] = []
    if (project.text("python") or _PYTHON) != _PYTHON:
        notes.append(
            f"measured with Python {_PYTHON}, and the app is for {project.text('python')}: make a "
            "virtual environment with that one, and install sunup[dev] there"
        )
    with _packaged(project, package, tell) as (archive, parts, sizes):
        options = EmulatorOptions(
            handler=project.handler, environ=environ, engine=wanted.engine, project=project.folder
        )
        tell("Starting the emulated AWS")
        with Emulator(archive, options) as aws:
            sandbox = Sandbox(aws, wanted.path)
            shares = processor_share_available()
            memories = wanted.memories if shares else (ONE_PROCESSOR_MB,)
            if not shares and wanted.memories != memories:
                notes.append(
                    "processor shares cannot be set here (cgroups need root): measured with a "
                    f"whole processor only, as {ONE_PROCESSOR_MB} MB have"
                )
            samples = _samples(sandbox, memories, wanted, tell)
            whole = samples.get(ONE_PROCESSOR_MB) or [
                sandbox.start(ONE_PROCESSOR_MB, wanted.requests) for _ in range(wanted.starts)
            ]
            tell("Looking into INIT")
            own = _own(project, aws.functions.function.code)
            (found, *others), seen = _profiles(sandbox, own)
            results = [measured(each, samples[each], prices) for each in sorted(samples)]
            dearest = imports.dearest(found, seen, others=others)
            factories = tuple(re.findall(r"(\w+)\(\)$", project.app))
            adviser = advice.Adviser(found, own, aws.functions.function.code, factories)
            words = [adviser.advice_for(each) for each in dearest]
            move = advice.to_move(found)
    statuses = {each.status for each in whole}
    if max(statuses) >= 300:
        notes.append(
            f"GET {wanted.path} is answered with {max(statuses)}: --path names another one"
        )
    slowest = max(each.init for each in whole)
    if slowest > INIT_LIMIT:
        notes.append(f"INIT takes {slowest:.0f} s: Lambda ends it after {INIT_LIMIT:.0f} s")
    report = Report(
        app=project.app_name,
        path=wanted.path,
        status=max(statuses),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        date=datetime.now(UTC).date().isoformat(),
        starts=wanted.starts,
        requests=wanted.requests,
        shares=shares,
        memories=results,
        recommended=recommended(results).memory,
        init_processor_ms=round(
            statistics.median_high(each.processor[0] for each in whole) * 1000, 1
        ),
        zipped=sizes[0],
        unpacked=sizes[1],
        parts=parts,
        imports=dear(dearest, words),
        to_move=[(name, round(seconds * 1000, 1)) for name, seconds in move],
        work=work_of(found),
        needs=needs_of(whole),
        notes=notes,
    )
    return report, found


def _samples(
    sandbox: Sandbox, memories: Sequence[int], wanted: Wanted, tell: Callable[[str], None]
) -> dict[int, list[Sample]]:
    """They take turns, so that what else the machine does meets them all."""
    samples: dict[int, list[Sample]] = {each: [] for each in memories}
    tell("A first start, which does not count")
    sandbox.start(ONE_PROCESSOR_MB, 1)
    for number in range(wanted.starts):
        for memory in memories:
            tell(f"Start {number + 1} of {wanted.starts} with {memory} MB")
            samples[memory].append(sandbox.start(memory, wanted.requests))
    return samples


def _profiles(
    sandbox: Sandbox, own: frozenset[str]
) -> tuple[list[profile.Profile], profile.Profile]:
    """A few starts, first the quickest, which was disturbed least; one with who imports whom."""
    with tempfile.TemporaryDirectory(prefix="sunup-measure-") as name:
        file = Path(name) / "profile.json"
        read = [profile.read(*sandbox.profile(file, edges=False), own) for _ in range(_PROFILES)]
        graph = profile.read(*sandbox.profile(file, edges=True), own)
    return sorted(read, key=lambda each: each.init), graph


def _own(project: Project, code: Path) -> frozenset[str]:
    """The app's top-level modules: those of its folder, or what no distribution in `code` has."""
    found = {name for place in (project.folder, project.code) for name in _modules(place)}
    if project.handler.partition(".")[0] in found:
        return frozenset(found)
    distributions = {
        each.name.partition("-")[0].lower().replace("-", "_") for each in code.glob("*.dist-info")
    }
    others = {"sunup", *importlib.metadata.packages_distributions()}
    return frozenset(
        name for name in _modules(code) if name.lower() not in distributions and name not in others
    ) | {project.handler.partition(".")[0]}


def _modules(place: Path) -> Iterator[str]:
    for each in place.iterdir():
        # A folder without a module of Python is something else: templates, static files.
        if each.suffix == ".py" or (
            each.is_dir() and each.name.isidentifier() and next(each.rglob("*.py"), None)
        ):
            yield each.stem


@contextmanager
def _packaged(
    project: Project, package: Path | None, tell: Callable[[str], None]
) -> Iterator[tuple[Path, list[Part], tuple[int, int]]]:
    """The package, its parts, and its sizes in bytes: zipped and unpacked."""
    if package is not None:
        yield package, [], _sizes(package)
        return
    with tempfile.TemporaryDirectory(prefix="sunup-measure-") as name:
        arch = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        try:
            made = build(project, choose(_PYTHON, arch), Path(name) / "measured.zip", tell)
        except CommandError as error:
            if "--python" not in error.cure:
                raise
            cure = (
                "Measure with the Python that your function has: make a virtual environment with "
                "it, and install sunup[dev] there."
            )
            raise CommandError(error.what, cure) from None
        yield made.path, made.parts, (made.zipped, made.unpacked)


def _sizes(package: Path) -> tuple[int, int]:
    try:
        with zipfile.ZipFile(package) as file:
            return package.stat().st_size, sum(each.file_size for each in file.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise CommandError(
            f"{package} cannot be read: {error}", "Make it again: sunup package"
        ) from None
