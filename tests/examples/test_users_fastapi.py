"""What the FastAPI example has beyond the contract that it shares."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Call

fastapi_only = pytest.mark.parametrize(
    "contracted", ["users_fastapi", "users_fastapi on dsql"], indirect=True, scope="session"
)


@fastapi_only
def test_the_openapi_page_describes_the_routes(call: Call) -> None:
    assert "swagger-ui" in call("GET", "/docs").text
    described = call("GET", "/openapi.json").json
    assert set(described["paths"]) == {"/users", "/users/{id}", "/health"}
    assert set(described["paths"]["/users/{id}"]) == {"get", "put", "delete"}
    created = described["components"]["schemas"]["UserOut"]["properties"]
    assert list(created) == ["id", "name", "email", "createdAt"]


def test_a_new_column_in_a_model_becomes_a_migration(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLES / "users_fastapi", folder)
    models = folder / "models.py"
    column = "    nickname: Mapped[str | None] = mapped_column(String(50))\n"
    models.write_text(models.read_text() + column)
    sunup = Path(sys.executable).parent / "sunup"
    command = [str(sunup), "migrate", "new", "add nicknames", str(folder)]
    # A process of its own: this one has imported the example's modules.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (folder / "migrations" / "versions" / "0003_add_nicknames.py").read_text()
    column = "sa.Column('nickname', sa.String(length=50), nullable=True)"
    assert f"op.add_column('users', {column})" in text
    assert text.count("op.") == 2  # add and drop
