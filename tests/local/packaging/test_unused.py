"""Parts of wheels that nobody imports."""

from pathlib import Path

import pytest

from sunup.local.packaging import unused

GUARDED = """
def is_old(cls):
    try:
        with something():
            from pydantic import v1
    except ImportError:
        return False
    return issubclass(cls, v1.BaseModel)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in {
        "pydantic/__init__.py": "from .main import BaseModel\n",
        "pydantic/main.py": "class BaseModel: ...\n",
        "pydantic/_schema.py": "def of(type):\n    '__get_validators__'\n    import pydantic.v1\n",
        "pydantic/v1/__init__.py": "from pydantic.v1.main import BaseModel\n",
        "pydantic/v1/main.py": "class BaseModel: ...\n",
        "fastapi/_compat.py": GUARDED,
        "app.py": "from pydantic import BaseModel\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_what_is_only_asked_for_goes(package: Path) -> None:
    assert unused.remove(package) == ["pydantic.v1"]
    assert not (package / "pydantic" / "v1").exists()
    assert (package / "pydantic" / "main.py").exists()
    # Nothing is left to go.
    assert unused.remove(package) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("app.py", "import pydantic.v1\n"),
        ("app.py", "from pydantic import v1 as old\n"),
        ("app.py", "from pydantic.v1.fields import Field\n"),
        ("app.py", "def later():\n    from pydantic import v1\n"),
        ("app.py", "import importlib\nold = importlib.import_module('pydantic.v1')\n"),
        ("app.py", "class Colour:\n    @classmethod\n    def __get_validators__(cls): ...\n"),
        ("app.py", "# pydantic v1\nthis is no Python\n"),
        ("app.py", "from importlib import import_module\nimport_module('.v1', 'pydantic')\n"),
        ("app.py", "old = __import__(f'pydantic.{name}')\n"),
        ("app.py", "old = __import__('pydantic.%s' % name)\n"),
        ("app.py", "from pydantic.utils import deep_update\n"),
        ("app.py", "from pydantic import (\n    BaseModel,\n    utils,\n)\n"),
        ("settings.toml", "model = 'pydantic.v1:BaseModel'\n"),
        ("shop.dist-info/entry_points.txt", "[shop]\nmodel = pydantic.v1:BaseModel\n"),
        ("fast.so", "\0pydantic\0v1\0"),
        # An app that asks gets what it asks for; so does a library that nobody has read.
        ("app.py", GUARDED),
        ("langchain/models.py", GUARDED),
        ("fastapi/other.py", "from pydantic.v1 import BaseModel\n"),
        ("fastapi/other.py", "try:\n    import pydantic.v1\nexcept ValueError: ...\n"),
        ("fastapi/other.py", "try:\n    import pydantic.v1\nexcept ImportError:\n    raise\n"),
        ("fastapi/other.py", "try: ...\nexcept ImportError:\n    import pydantic.v1\n"),
    ],
)
def test_what_somebody_imports_stays(package: Path, file: str, text: str) -> None:
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text(text)
    assert unused.remove(package) == []
    assert (package / "pydantic" / "v1" / "main.py").exists()


def test_what_is_to_be_kept_stays(package: Path) -> None:
    assert unused.remove(package, ("pydantic",)) == []
    assert (package / "pydantic" / "v1").exists()


def test_a_module_of_another_name_is_not_meant(package: Path) -> None:
    (package / "app.py").write_text("import pydantic.v10\nfrom pydantic import v1beta\n")
    (package / "notes.dist-info").mkdir()
    (package / "notes.dist-info" / "METADATA").write_text("Works with pydantic v1 and v2.")
    (package / "x.py").mkdir()
    (package / "gone.py").symlink_to("nowhere")
    assert unused.remove(package) == ["pydantic.v1"]
