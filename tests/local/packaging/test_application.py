import os
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import application


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_not_the_app_stays_out(tmp_path: Path) -> None:
    source, target = tmp_path / "app", tmp_path / "out"
    wanted = {"app.py", "pages/index.html", "pages/readme.md", "lib/env.py", "data.json"}
    unwanted = {
        ".env", ".git/config", "__pycache__/app.cpython-311.pyc", "tests/test_app.py", "README.md",
        "migrations/env.py", "terraform/main.tf", "terraform/terraform.tfstate", "pyproject.toml",
        "requirements.txt", "uv.lock", "lambda.zip", "lib/test_it.py", "node_modules/x/index.js",
        ".venv/lib/x.py", ".aws/credentials", "secret.tfvars",
    }  # fmt: skip
    for name in wanted | unwanted | {"big/film.mp4"}:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    application.copy_app(source, target, ("big/", "!/requirements.txt"))
    assert files(target) == wanted | {"requirements.txt"}


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    source, target = tmp_path / "app", tmp_path / "out"
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "common.py").touch()
    source.mkdir()
    (source / "shared").symlink_to(tmp_path / "shared")
    (source / "loop").symlink_to(source)
    application.copy_app(source, target)
    assert files(target) == {"shared/common.py"}
    (source / "gone.py").symlink_to(tmp_path / "nothing")
    with pytest.raises(CommandError, match=r"gone\.py cannot be read"):
        application.copy_app(source, target)


def test_of_sunup_only_the_run_time_room_goes_in(tmp_path: Path) -> None:
    application.copy_room(tmp_path)
    found = files(tmp_path)
    assert {
        "sunup/asyncpg/pool.py",
        "sunup/adapter/handler.py",
        "sunup/connecting/roots.pem",
    } <= found
    assert {
        "sunup/connecting/roots/eu-central-1.pem",
        "sunup/connecting/roots/us-east-1.pem",
    } <= found
    assert not [name for name in found if name.startswith("sunup/local")]
    assert not [name for name in found if name.endswith((".pyc", ".html"))]
    assert os.sep not in {name.split("/")[0] for name in found}
