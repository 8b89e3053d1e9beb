from pathlib import Path

import pytest

from sunup.local import layout


def folder_with(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("files", "app", "expected"),
    [
        (["src/main.py"], "main:app", "src"),
        (["src/shop/__init__.py", "src/shop/main.py"], "shop.main:app", "src"),
        (["src/shop/main.py"], "shop.main:app", "src"),
        (["src/page.js", "main.py"], "main:app", ""),
        (["src/main.py", "main.py"], "main:app", ""),
        (["src/__init__.py", "src/main.py"], "src.main:app", ""),
        (["src/main.py"], "src.main:app", ""),
        (["src/main.py", "src/src.py"], "src.main:app", ""),
        (["src/__init__.py", "src/main.py"], "main:app", ""),
        (["main.py"], "main:app", ""),
    ],
)
def test_the_code_is_in_src_unless_src_is_a_package(
    tmp_path: Path, files: list[str], app: str, expected: str
) -> None:
    folder = folder_with(tmp_path, *files)
    assert layout.code_folder(folder, app, "lambda_function.handler") == folder / expected


def test_what_the_entry_imports_tells_where_the_code_is(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "src/shop/api.py")
    assert layout.code_folder(folder, "app:app", "entry.handler") == folder
    (folder / "entry.py").write_text("from shop.api import app\n")
    assert layout.code_folder(folder, "app:app", "entry.handler") == folder / "src"


@pytest.mark.parametrize(
    ("file", "name", "there"),
    [
        ("main.py", "main", True),
        ("shop/__init__.py", "shop", True),
        ("shop/main.py", "shop.main", True),
        ("shop/main.py", "shop.other", False),
        ("shop/main.py", "shop", False),
    ],
)
def test_a_module_is_there_also_in_a_folder_without_init(
    tmp_path: Path, file: str, name: str, there: bool
) -> None:
    assert layout.has_module(folder_with(tmp_path, file), name) is there
