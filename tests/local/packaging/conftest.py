"""Small distributions to install, made here: no index is needed."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.project import Project

Wheels = Callable[..., Path]


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
