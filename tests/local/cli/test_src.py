"""An app that calls its folder `src` by name runs in each of sunup's places."""

import sys
from pathlib import Path

import httpx2
import pytest

from sunup.local.testing import Emulate
from tests.local.cli.conftest import Cli
from tests.local.cli.test_dev import dev
from tests.local.test_apps import write

MAIN = """
from src.conf import GREETING
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": GREETING})
"""
FILES = {
    "src/main.py": MAIN,
    "src/conf.py": "GREETING = b'good morning'\n",
    "lambda_function.py": "from sunup import Handler\nhandler = Handler('src.main:app')\n",
    "pyproject.toml": "[tool.sunup]\napp = 'src.main:app'\n",
}


@pytest.mark.parametrize("package", [{}, {"src/__init__.py": ""}], ids=["namespace", "package"])
def test_it_is_served_emulated_and_packaged(
    tmp_path: Path, cli: Cli, emulate: Emulate, package: dict[str, str]
) -> None:
    app = write(tmp_path / "shop", {**FILES, **package})
    with dev(app) as (url, _):
        assert httpx2.get(url).text == "good morning"
    assert httpx2.get(emulate(app).url).text == "good morning"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    output = tmp_path / "lambda.zip"
    options = ("--arch", "x86_64", "--python", python, "--output", output)
    status, _, err = cli("package", app, *options)
    assert (status, err) == (0, "")
    assert httpx2.get(emulate(output).url).text == "good morning"
