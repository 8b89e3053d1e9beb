import sys
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import verify
from sunup.local.packaging.modules import Modules
from sunup.local.packaging.target import Target

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_sizes_are_compared_with_lambda_s_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lambda.zip"
    package.write_bytes(b"x" * 100)
    parts = {"small": 1, "numpy": 200 * 2**20, "pandas": 80 * 2**20}
    assert verify.sizes(package, 1000, parts) == []
    with pytest.raises(CommandError, match="281 MB unpacked; Lambda allows 250 MB") as raised:
        verify.sizes(package, 281 * 2**20, parts)
    assert raised.value.cure.startswith("The largest parts: numpy 200 MB, pandas 80 MB")
    monkeypatch.setattr(verify, "LARGEST_ZIP", 10)
    (note,) = verify.sizes(package, 1000, parts)
    assert "[tool.sunup] bucket" in note


def statically(
    folder: Path, files: dict[str, str], sources: tuple[Path, ...] = (), python: str = RUNNING
) -> set[str]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    own = {name.split("/")[0].removesuffix(".py") for name in files}
    modules = Modules(folder, python)
    return verify.handler_statically(modules, "main.handler", "app:app", own, sources)


HANDLER = "from sunup import Handler\nhandler = Handler({!r})\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with sunup and nothing else."""
    (tmp_path / "package" / "sunup").mkdir(parents=True)
    (tmp_path / "package" / "sunup" / "__init__.py").touch()
    return tmp_path / "package"


@pytest.mark.parametrize(
    "name", [":app", "app", "app:", "app.:app", "..app:app", "app:make(1)", "app:()"]
)
def test_what_cannot_be_an_app_s_name_is_told(package: Path, name: str) -> None:
    with pytest.raises(CommandError, match="that is not the name of an app") as raised:
        statically(package, {"main.py": HANDLER.format(name), "app.py": "app = make = 1"})
    assert "module:name" in raised.value.cure


def test_an_app_may_be_what_a_function_makes(package: Path) -> None:
    files = {"main.py": HANDLER.format("app:create_app()"), "app.py": "def create_app(): ..."}
    statically(package, files)
    (package / "app.py").write_text("def make_app(): ...")
    with pytest.raises(CommandError, match=r"app\.py has no 'create_app'"):
        statically(package, {"main.py": files["main.py"]})


def test_an_app_that_only_a_function_has_is_not_there(package: Path) -> None:
    files = {"main.py": HANDLER.format("app:app"), "app.py": "def create():\n    app = 1\n"}
    with pytest.raises(CommandError, match=r"app\.py has no 'app'"):
        statically(package, files)
    with pytest.raises(CommandError, match=r"main\.py has no 'handler'"):
        statically(package, {"main.py": "def main():\n    handler = 1\n"})


def test_a_folder_without_init_is_no_app(package: Path) -> None:
    files = {"main.py": HANDLER.format("shop:app"), "shop/app.py": "app = 1"}
    with pytest.raises(CommandError, match="shop has no 'app'"):
        statically(package, files)


def test_what_init_reads_is_returned(package: Path) -> None:
    files = {"main.py": HANDLER.format("app:app"), "app.py": "app = 1", "other.py": ""}
    assert statically(package, files) == {"main.py", "app.py"}


@pytest.mark.parametrize(
    ("file", "module", "pattern"),
    [
        ("shop/test_helpers.py", "shop.test_helpers", "/shop/test_helpers.py"),
        ("shop/tests/__init__.py", "shop.tests", "/shop/tests/"),
        ("src/shop/tests/__init__.py", "shop.tests", "/src/shop/tests/"),
        ("compiled.pyc", "compiled", "/compiled.pyc"),
    ],
)
def test_a_module_that_was_left_out_is_told_with_what_takes_it_along(
    package: Path, tmp_path: Path, file: str, module: str, pattern: str
) -> None:
    source = tmp_path / "source"
    (source / file).parent.mkdir(parents=True)
    (source / file).touch()
    files = {"main.py": f"import {module}\nhandler = 1", "shop/__init__.py": ""}
    with pytest.raises(CommandError, match=f"not in the package: {module} ") as raised:
        statically(package, files, (source, source / "src"))
    assert "was left out" in raised.value.cure
    assert f'To include it: [tool.sunup] include = ["{pattern}"]' in raised.value.cure


def test_what_is_imported_from_src_although_src_is_the_top_is_told(
    package: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "src" / "conf.py").touch()
    files = {"main.py": "import app\nhandler = 1", "app.py": "from src.conf import x\napp = x"}
    with pytest.raises(CommandError, match=r"not in the package: src \(in app\.py\)") as raised:
        statically(package, files, (source, source / "src"))
    assert "import it without `src.`" in raised.value.cure
    assert '"src.module:name" in [tool.sunup] app' in raised.value.cure


def test_what_the_target_s_standard_library_lacks_is_told(package: Path) -> None:
    with pytest.raises(CommandError, match=r"not in the package: cgi \(in main\.py\)") as raised:
        statically(package, {"main.py": "import cgi\nhandler = 1"}, python="3.13")
    assert raised.value.cure == "The standard library of Python 3.13 does not have cgi."


def test_a_native_module_is_known_by_its_name_and_looked_into(tmp_path: Path) -> None:
    arm = Target("3.13", "arm64")
    (tmp_path / "lib.so.txt").write_text("about the library")
    assert verify.natives(tmp_path, arm) == 0
    (tmp_path / "libx.so.1.2").write_bytes(b"\x7fELF" + bytes(14) + b"\xb7\0")
    assert verify.natives(tmp_path, arm) == 1
    (tmp_path / "x.so").write_bytes(b"\x7fELF")
    with pytest.raises(CommandError, match=r"x\.so is not for arm64"):
        verify.natives(tmp_path, arm)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("routes = [WebSocketRoute('/ws', ws)]", True),
        ("@app.websocket('/ws')\nasync def ws(): ...", True),
        ("# @app.websocket('/ws')", False),
        ("from starlette.websockets import WebSocket", False),
    ],
)
def test_a_web_socket_is_told(tmp_path: Path, text: str, *, found: bool) -> None:
    (tmp_path / "app.py").write_text(text)
    notes = verify.web_sockets(tmp_path, ["app.py", "data.json"])
    assert notes == (["app.py: WebSockets work in sunup dev, but not on Lambda."] if found else [])
