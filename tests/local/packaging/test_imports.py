from pathlib import Path

from sunup.local.packaging import imports


def write(folder: Path, **sources: str) -> None:
    for name, source in sources.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)


def test_what_is_imported_in_any_case_must_be_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        handler="import json, boto3\nfrom app import main\nimport lib.one",
        app="import httpx\ntry:\n    import ujson\nexcept ImportError:\n    pass",
        lib__one="from . import two\nfrom .two import x",
        lib__two="import missing_too\ndef f():\n    import later",
        lib__never="import unreached",
    )
    found = imports.missing(tmp_path, ["handler"], {"handler", "app", "lib"})
    assert found == [("httpx", "app.py"), ("missing_too", "lib/two.py")]


def test_a_third_party_package_s_own_imports_are_its_own_business(tmp_path: Path) -> None:
    write(tmp_path, handler="import other", other="import nothing")
    assert imports.missing(tmp_path, ["handler"], {"handler"}) == []


def test_a_name_is_bound_by_any_statement(tmp_path: Path) -> None:
    for number, source in enumerate(
        ["handler = 1", "def handler(): ...", "from x import handler", "import a as handler",
         "if 1:\n    handler: int = 2", "from x import *", "class handler: ..."]
    ):  # fmt: skip
        path = tmp_path / f"m{number}.py"
        path.write_text(source)
        assert imports.defines(path, "handler"), source
    path.write_text("handlers = 1\nprint(handler)")
    assert not imports.defines(path, "handler")
