"""Whole builds of small apps, without an index."""

import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.packaging import build
from sunup.local.packaging.target import Target
from sunup.local.project import Project

from .conftest import Wheels

Write = Callable[..., Project]

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
HERE, OTHER = ("arm64", "x86_64") if platform.machine() == "aarch64" else ("x86_64", "arm64")
FOREIGN = Target(RUNNING, OTHER)  # type: ignore[arg-type]  # of the two
NATIVE = Target(RUNNING, HERE)  # type: ignore[arg-type]


def built(app: Project, output: str = "lambda.zip", target: Target = FOREIGN) -> build.Package:
    return build.build(app, target, app.folder / output)


def names(package: build.Package) -> set[str]:
    return set(zipfile.ZipFile(package.path).namelist())


def test_what_an_earlier_run_wrote_is_not_in_the_next_package(write: Write) -> None:
    app = write(
        {"artifacts/.api.zip.0a.part": "of a run that was killed", ".lambda.zip.0a.part": ""}
    )
    digests = {built(app, "artifacts/api.zip").sha256 for _ in range(2)}
    assert len(digests) == 1
    package = built(app, "artifacts/api.zip")
    assert not [name for name in names(package) if name.startswith(("artifacts", ".lambda"))]


def test_the_content_of_src_may_be_beside_the_package(write: Write) -> None:
    app = write({"src/shop.py": "", "lambda_function.py": "import shop\nhandler = print\n"})
    assert built(app, "src/api.zip").sha256 == built(app, "src/api.zip").sha256
    assert "shop.py" in names(built(app, "src/api.zip"))


def test_a_part_of_the_zip_is_each_run_s_own(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs at once one failed, since the other had renamed its file."""
    output = tmp_path / "lambda.zip"
    replace = Path.replace

    def after_another(part: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        build._put(b"other", output)
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", after_another)
    build._put(b"own", output)
    assert output.read_bytes() == b"own"
    assert [path.name for path in tmp_path.iterdir()] == ["lambda.zip"]


def test_what_is_not_read_need_not_be_python(write: Write) -> None:
    template = {"tpl/model.py": "class {{x}}: ..."}
    package = built(write(template))
    assert package.notes == [
        "Packaged without bytecode, because they cannot be compiled: tpl/model.py."
    ]
    assert "tpl/model.py" in names(package)
    files = {**template, "lambda_function.py": "import tpl.model\nhandler = print\n"}
    with pytest.raises(CommandError, match=r"^tpl/model\.py, line 1: "):
        built(write(files, "other"))


def test_a_folder_may_be_called_as_a_module(write: Write) -> None:
    assert "foo.py/a.txt" in names(built(write({"foo.py/a.txt": ""})))


def test_a_name_that_is_not_utf_8_is_told(write: Write) -> None:
    app = write({})
    Path(os.fsdecode(bytes(app.folder) + b"/caf\xe9.txt")).touch()
    subprocess.run(["git", "-C", app.folder, "init", "-q"], check=True)
    subprocess.run(["git", "-C", app.folder, "add", "."], check=True)
    with pytest.raises(CommandError, match="is not UTF-8"):
        built(app)
    assert not (app.folder / "lambda.zip").exists()


def test_a_module_that_was_left_out_is_told_and_may_be_taken_along(write: Write) -> None:
    text = {"lambda_function.py": "from pkg.test_helpers import x\nhandler = print\n"}
    app = write({**text, "pkg/__init__.py": "", "pkg/test_helpers.py": "x = 1"})
    with pytest.raises(CommandError, match=r"pkg\.test_helpers \(in lambda_fun") as raised:
        built(app)
    pattern = '[tool.sunup] include = ["/pkg/test_helpers.py"]'
    assert pattern in raised.value.cure
    (app.folder / "pyproject.toml").write_text(pattern.replace("] ", "]\n"))
    assert "pkg/test_helpers.py" in names(built(project.find(app.folder)))


@pytest.mark.parametrize("file", ["idna", "idna.py", "six.py/a.txt", "six/__init__.py"])
def test_an_app_that_conflicts_with_a_dependency_is_told_as_that(
    write: Write, wheels: Wheels, file: str
) -> None:
    wheels("idna")
    wheels("six", files={"six.py": ""})
    app = write({"requirements.txt": "idna==1\nsix==1\n", file: ""})
    with pytest.raises(CommandError, match=f"{file} of the app (would replace|and )"):
        built(app)


def test_boto3_is_no_error_on_any_processor(write: Write) -> None:
    app = write({"lambda_function.py": "import botocore.session, urllib3\nhandler = print\n"})
    assert built(app).notes == []
    package = built(app, target=NATIVE)
    assert (package.executed, package.notes) == (sys.platform == "linux", [])
