import sys
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import imports
from sunup.local.packaging.modules import Modules

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def write(folder: Path, **sources: str) -> None:
    """Of `pkg__mod` the file pkg/mod.py; of `pkg__` pkg/__init__.py."""
    for name, source in sources.items():
        package, _, module = name.rpartition("__")
        path = folder / package.replace("__", "/") / f"{module or '__init__'}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def missing(
    folder: Path, *own: str, python: str = RUNNING, folders: tuple[Path, ...] = ()
) -> list[tuple[str, str]]:
    names = {"handler", *own}
    return imports.follow(Modules(folder, python), ["handler"], names, folders).missing


def test_what_is_imported_in_any_case_must_be_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        handler="import json, boto3\nfrom app import main\nimport lib.one",
        app="import httpx\ntry:\n    import ujson\nexcept ImportError:\n    pass",
        lib__one="from . import two\nfrom .two import x",
        lib__two="import missing_too\ndef f():\n    import later",
        lib__never="import unreached",
    )
    assert missing(tmp_path, "app", "lib") == [
        ("httpx", "app.py"), ("missing_too", "lib/two.py"),
    ]  # fmt: skip


def test_a_third_party_package_s_own_imports_are_its_own_business(tmp_path: Path) -> None:
    write(tmp_path, handler="import other, third.gone", other="import nothing", third__="")
    assert missing(tmp_path) == []


def test_submodules_must_be_there_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        handler="import pkg.gone\nfrom pkg.tests.more import x\nfrom pkg import one, value",
        pkg__="from .gone2 import y",
        pkg__one="from .gone3 import z\nimport handler.inner",
    )
    assert missing(tmp_path, "pkg") == [
        ("handler.inner", "pkg/one.py"),
        ("pkg.gone", "handler.py"),
        ("pkg.gone2", "pkg/__init__.py"),
        ("pkg.gone3", "pkg/one.py"),
        ("pkg.tests", "handler.py"),
    ]


def test_the_packages_above_a_module_are_imported_with_it(tmp_path: Path) -> None:
    write(tmp_path, handler="import pkg.one", pkg__="import httpx", pkg__one="")
    assert missing(tmp_path, "pkg") == [("httpx", "pkg/__init__.py")]


def test_a_module_at_the_top_has_no_package_to_import_from(tmp_path: Path) -> None:
    write(tmp_path, handler="from .app import app\nimport pkg", app="", pkg__="from ..x import y")
    assert missing(tmp_path, "app", "pkg") == [("..x", "pkg/__init__.py"), (".app", "handler.py")]


def test_a_name_that_was_a_module_of_the_app_must_be_bound(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, pkg__test_helpers="", pkg__test_more="", pkg__="")
    package = tmp_path / "package"
    write(package, handler="from pkg import test_helpers, test_more, other", pkg__="test_more = 1")
    found = missing(package, "pkg", folders=(source,))
    assert found == [("pkg.test_helpers", "handler.py")]


def test_packages_that_make_modules_themselves_are_believed(tmp_path: Path) -> None:
    write(
        tmp_path,
        handler="from lib.six.moves import range\nfrom plugins.found import x",
        lib__="",
        lib__six="import sys\nsys.modules[__name__ + '.moves'] = object()",
        plugins__="__path__.append('/opt')",
    )
    assert missing(tmp_path, "lib", "plugins") == []


def test_a_native_package_is_believed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, fast__test_one="")
    package = tmp_path / "package"
    write(package, handler="import fast.more\nfrom fast import test_one")
    (package / "fast.cpython-313-x86_64-linux-gnu.so").write_bytes(b"\x7fELF\0")
    assert missing(package, "fast", folders=(source,)) == []


def test_what_lambda_s_runtime_brings_is_not_missing(tmp_path: Path) -> None:
    text = "import boto3, botocore.exceptions, urllib3, jmespath, six\nfrom dateutil import parser"
    write(tmp_path, handler=text)
    assert missing(tmp_path) == []


@pytest.mark.parametrize(
    ("python", "without"),
    [
        ("3.11", ["annotationlib"]),
        ("3.12", ["annotationlib", "distutils"]),
        ("3.13", ["annotationlib", "cgi", "distutils"]),
        ("3.14", ["cgi", "distutils"]),
    ],
)
def test_the_standard_library_is_the_target_s(
    tmp_path: Path, python: str, without: list[str]
) -> None:
    write(tmp_path, handler="import json, cgi, distutils.util, annotationlib")
    assert [name for name, _ in missing(tmp_path, python=python)] == without
    assert all(imports.without(python, name) for name in without)
    assert not imports.without(python, "httpx")


def test_the_standard_library_of_the_running_python_is_as_it_says() -> None:
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    found = imports.standard_library(RUNNING)
    assert {name for name in found if not name.startswith("_")} == public


def test_a_module_that_is_not_python_is_told(tmp_path: Path) -> None:
    write(tmp_path, handler="import pkg.one", pkg__="", pkg__one="if x\n")
    with pytest.raises(CommandError, match=r"^pkg/one\.py, line 1: expected ':'"):
        missing(tmp_path, "pkg")
