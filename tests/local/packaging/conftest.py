"""Small distributions to install, made here: no index is needed."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.packaging import dependencies
from sunup.local.packaging.target import Target
from sunup.local.project import Project

Wheels = Callable[..., Path]
Write = Callable[..., Project]

ARM = Target("3.13", "arm64")

_BACKEND = """
import zipfile, pathlib
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "ours-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as file:
        file.writestr("ours/__init__.py", "")
        file.writestr("ours-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: ours\\nVersion: 1\\n")
        file.writestr("ours-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr("ours-1.dist-info/RECORD", "ours/__init__.py,,\\n")
    return name
"""

# A library with a build backend of its own: none need be fetched.
LIBRARY = {
    "pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n"
    "[project]\nname='ours'\nversion='1'\n",
    "backend.py": _BACKEND,
}


def install(app: Project, tmp_path: Path, target: Target = ARM) -> tuple[set[str], list[str]]:
    """The top-level names that were installed, and the notes."""
    folder, scratch = tmp_path / "out", Path(tempfile.mkdtemp(dir=tmp_path))
    shutil.rmtree(folder, ignore_errors=True)
    installed = dependencies.install(app, target, folder, scratch)
    names = {each.name for each in folder.iterdir() if not each.name.endswith(".dist-info")}
    return names - {"sunup"}, installed.notes


def index(folder: Path, *wheels: Path) -> str:
    """An index that has these wheels; returns its address."""
    for wheel in wheels:
        place = folder / wheel.name.split("-")[0].replace("_", "-")
        place.mkdir(parents=True, exist_ok=True)
        (place / "index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    return folder.as_uri()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheels:
    """Makes a wheel in a folder that uv looks into, and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    (tmp_path / "no-index").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "no-index").as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))

    def make(
        name: str,
        version: str = "1",
        *,
        requires: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
        tag: str = "py3-none-any",
        into: Path = folder,
    ) -> Path:
        module = name.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
        content = {
            **({f"{module}/__init__.py": f"VERSION = '{version}'\n"} if files is None else files),
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        into.mkdir(exist_ok=True)
        path = into / f"{module}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w") as file:
            for each, text in content.items():
                file.writestr(each, text)
            record = "".join(f"{each},,\n" for each in [*content, f"{info}/RECORD"])
            file.writestr(f"{info}/RECORD", record)
        return path

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Project]:
    """Writes an app's files into a folder, and reads it as a project."""

    def written(files: Mapping[str, str], folder: str = "app") -> Project:
        place = tmp_path / folder
        for name, text in {"lambda_function.py": "handler = print\n", **files}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        return project.find(place)

    return written
