"""Projects as their frameworks' documentation makes them."""

from pathlib import Path

import pytest

from sunup.local import existing

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main.py": FASTAPI}, ["main:app"]),
        ({"app/__init__.py": "", "app/main.py": FASTAPI}, ["app.main:app"]),
        (
            {"src/shop/api.py": "import fastapi\nweb: object = fastapi.FastAPI(x=1)"},
            ["shop.api:web"],
        ),
        ({"flaskr/__init__.py": FLASK}, ["flaskr:create_app()"]),
        ({"a.py": "def create_app(settings): return Flask()"}, []),
        ({"b.py": FASTAPI, "main.py": FASTAPI}, ["main:app", "b:app"]),
        (
            {
                "mysite/asgi.py": "application = get_asgi_application()",
                "mysite/wsgi.py": "application = get_wsgi_application()",
            },
            ["mysite.wsgi:application", "mysite.asgi:application"],
        ),
        ({"tests/main.py": FASTAPI, ".venv/main.py": FASTAPI, "test_x.py": FASTAPI}, []),
        ({"main.py": "app = FastAPI(", "x.py": "app = 1"}, []),
    ],
)
def test_the_app_is_found_by_reading(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    assert [each.name for each in existing.apps(write(tmp_path, files))] == expected
