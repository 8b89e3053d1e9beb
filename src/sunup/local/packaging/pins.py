"""The app's own pins: which version of what goes into the package."""

import importlib.metadata
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sunup.local.errors import CommandError

from .target import Target

HOW_TO_PIN = (
    "Pin them: uv pip compile pyproject.toml --universal --generate-hashes --no-emit-package sunup"
    " -o requirements.txt"
)


@dataclass(frozen=True)
class Pin:
    """One distribution; `hashes` are pip's, such as `sha256:...`."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For a requirements file."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={h}" for h in self.hashes)])


def read(folder: Path, named: str | None, target: Target) -> list[Pin]:
    """The pins of requirements.txt (or the file that is named), else of uv.lock.

    Only what the target needs, by their environment markers, and without sunup, whose run-time
    room is put in from here. Raises `CommandError`.
    """
    path = folder / (named or "requirements.txt")
    lock = folder / "uv.lock"
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    elif named is None and lock.is_file():
        text, path = _export(folder), lock
    elif named is None and not _dependencies(folder):
        return []
    else:
        raise CommandError(f"there is no {path.name} in {folder}", HOW_TO_PIN)
    pins = parse(text, path.name, target)
    _check_complete(folder, pins, path.name, target)
    return [pin for pin in pins if pin.name != "sunup"]


def parse(text: str, name: str, target: Target) -> list[Pin]:
    """The lines of a requirements file that apply to the target. Raises `CommandError`."""
    pins: dict[str, Pin] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not line or line.startswith(("--index-url", "-i ", "--extra-index-url", "--find-links")):
            continue  # where to look is pip's own configuration
        hashes = tuple(re.findall(r"--hash[= ](\S+)", line))
        wanted = re.sub(r"\s--hash[= ]\S+", "", line).strip()
        try:
            requirement = Requirement(wanted)
        except InvalidRequirement:
            raise CommandError(f"{name}: cannot use the line {wanted!r}", HOW_TO_PIN) from None
        if requirement.marker is not None and not requirement.marker.evaluate(target.environment):
            continue
        pin = _exact(requirement, hashes, name)
        if pins.setdefault(pin.name, pin).version != pin.version:
            raise CommandError(f"{name} pins {pin.name} twice for {target}", HOW_TO_PIN)
    return sorted(pins.values(), key=lambda pin: pin.name)


def _exact(requirement: Requirement, hashes: tuple[str, ...], name: str) -> Pin:
    canonical = canonicalize_name(requirement.name)
    specifiers = list(requirement.specifier)
    exact = len(specifiers) == 1 and specifiers[0].operator == "=="
    if canonical != "sunup" and not (exact and "*" not in specifiers[0].version):
        raise CommandError(
            f"{name}: {requirement} is not pinned to one version (==)", HOW_TO_PIN
        ) from None
    return Pin(canonical, specifiers[0].version if specifiers else "", hashes)


def _export(folder: Path) -> str:
    uv = shutil.which("uv")
    if uv is None:
        raise CommandError(
            "uv.lock is there, but uv is not on PATH", "Install uv, or " + HOW_TO_PIN
        )
    command = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-emit-package=sunup"]
    command.append("--format=requirements-txt")
    result = subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise CommandError(f"uv export failed: {_last_line(result.stderr)}")
    return result.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _dependencies(folder: Path) -> list[Requirement]:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return []
    project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    try:
        return [Requirement(each) for each in project.get("dependencies", [])]
    except InvalidRequirement as error:
        raise CommandError(f"pyproject.toml: {error}".replace("\n", " ")) from None


def _check_complete(folder: Path, pins: list[Pin], name: str, target: Target) -> None:
    """Raise unless each dependency of pyproject.toml is pinned to a version that it allows."""
    versions = {pin.name: pin.version for pin in pins}
    wanted = _dependencies(folder)
    for each in [each for each in wanted if each.name == "sunup"]:
        wanted += _of_sunup(each.extras)
    for each in wanted:
        if each.marker is not None and not each.marker.evaluate(target.environment):
            continue
        found = versions.get(canonicalize_name(each.name))
        if found is None and each.name != "sunup":
            raise CommandError(
                f"pyproject.toml asks for {each}; {name} has no pin for it", HOW_TO_PIN
            )
        if found and not each.specifier.contains(found, prereleases=True):
            raise CommandError(f"pyproject.toml asks for {each}; {name} pins {found}", HOW_TO_PIN)


def _of_sunup(extras: set[str]) -> list[Requirement]:
    """What sunup's own extras, such as `sunup[asyncpg]`, ask for."""
    found = []
    for text in importlib.metadata.requires("sunup") or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and any(marker.evaluate({"extra": extra}) for extra in extras):
            requirement.marker = None
            found.append(requirement)
    return found
