import sys
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging.modules import Modules

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("handler = 1", True),
        ("def handler(): ...", True),
        ("async def handler(): ...", True),
        ("class handler: ...", True),
        ("from x import handler", True),
        ("import handler.inner", True),
        ("import a as handler", True),
        ("from x import *", True),
        ("if 1:\n    handler: int = 2", True),
        ("with a as (handler, b): ...", True),
        ("print(handler := 1)", True),
        ("def __getattr__(name): ...", True),
        ("def main():\n    global handler\n    handler = 1", True),
        ("handlers = 1\nprint(handler)", False),
        ("def main():\n    handler = 1", False),
        ("def main():\n    def handler(): ...\n    return handler", False),
        ("class Main:\n    handler = 1", False),
        ("import a.handler", False),
    ],
)
def test_a_name_is_the_module_s_where_its_top_level_binds_it(
    tmp_path: Path, source: str, bound: bool
) -> None:
    path = tmp_path / "m.py"
    path.write_text(source)
    assert Modules(tmp_path, RUNNING).defines(path, "handler") is bound


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("from sunup import Handler\nhandler = Handler('a:b')", ["a:b"]),
        ("from sunup import Handler\nhandler = Handler(app='a:b')", ["a:b"]),
        ("from sunup import Handler as H\nhandler = H('a:b')", ["a:b"]),
        ("from sunup import *\nhandler = Handler('a:b')", ["a:b"]),
        ("import sunup as s\nhandler = s.Handler('a:b')", ["a:b"]),
        ("import sunup.adapter.handler\nh = sunup.adapter.handler.Handler('a:b')", ["a:b"]),
        ("from sunup import Handler\nNAME = 'a:b'\nhandler = Handler(NAME)", ["a:b"]),
        ("from sunup import Handler\nNAME = 'a:b'\nNAME += 'c'\nhandler = Handler(NAME)", []),
        ("from sunup import Handler\nfrom a import b\nhandler = Handler(b)", []),
        ("from logging import Handler\nhandler = Handler('INFO')", []),
        ("class Handler: ...\nhandler = Handler('INFO')", []),
        ("from sunup import Handler\nclass Handler(X): ...\nhandler = Handler('INFO')", []),
    ],
)
def test_only_what_sunup_s_handler_is_given_names_an_app(
    tmp_path: Path, source: str, named: list[str]
) -> None:
    path = tmp_path / "m.py"
    path.write_text(source)
    assert Modules(tmp_path, RUNNING).apps_named(path) == named


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\nif x\n", "lib/m.py, line 2: expected ':'"),
        (b"# coding: nothing\n", "lib/m.py: unknown encoding: nothing"),
        (b"a = 1\0", "null bytes"),
    ],
)
def test_what_is_not_python_is_told(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "lib" / "m.py"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CommandError) as raised:
        Modules(tmp_path, RUNNING).defines(path, "x")
    assert says in raised.value.what
    assert "None" not in raised.value.what


def test_a_newer_python_s_syntax_is_left_to_that_python(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("not yet python = 1")
    modules = Modules(tmp_path, "3.99")
    assert modules.defines(path, "x")
    assert modules.apps_named(path) == []
    path.write_text(f"x = {'-' * 50_000}1")
    assert Modules(tmp_path, RUNNING).defines(path, "x")  # so deep that it cannot be read here
