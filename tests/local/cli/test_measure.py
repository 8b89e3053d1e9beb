"""`sunup measure` on an app of its own, with a package, in real processes."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.local.cli.conftest import Cli

APP = """import json
import smtplib
import unittest


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/late":
        import plistlib
    if scope["path"] == "/broken":
        raise RuntimeError("broken on purpose")
    body = json.dumps({"smtp": smtplib.SMTP_PORT, "path": scope["path"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

QUICK = ("--memory", "256", "--starts", "1", "--requests", "3")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "waves"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "lambda_function.py").write_text(
        "from sunup import Handler\n\nhandler = Handler('app:app')\n"
    )
    (folder / "requirements.txt").write_text("")
    return folder


def test_it_says_how_the_app_starts_and_why(app: Path, cli: Cli, tmp_path: Path) -> None:
    page, graph = tmp_path / "report.html", tmp_path / "init.svg"
    status, out, err = cli(
        "measure", app, "--path", "/late", *QUICK, "--html", page, "--svg", graph, "--json"
    )
    assert status == 0, err
    found = json.loads(out)
    (memory,) = found["memories"]
    assert memory["memory"] == 256
    assert 0 < memory["init"] < memory["cold"]
    assert memory["peak_mb"] > 5
    assert found["zipped"] > 10_000
    assert "sunup" in {each["name"] for each in found["parts"]}
    imports = {each["module"]: each for each in found["imports"]}
    assert imports["unittest"]["advice"] == "unused: remove it from app.py:3"
    assert "only functions need it" in imports["smtplib"]["advice"]
    assert imports["smtplib"]["chain"] == ["app", "smtplib"]
    # What the first request imports is told, and INIT's own work.
    assert "plistlib" in [name for name, _ in found["to_move"]]
    assert "the app's start-up" in [name for name, _, _ in found["work"]]
    assert "<svg" in page.read_text()
    assert "app.py:3" in page.read_text()
    assert graph.read_text().startswith("<svg")
    # Its needs are what the plan takes.
    needs = tmp_path / "measured.json"
    needs.write_text(out)
    status, out, err = cli("plan", app, "--measured", needs, "--months", 1, "--json")
    assert status == 0, err
    # And it is the same app: compared with itself, and within a budget that is wide.
    status, out, err = cli(
        "measure", app, *QUICK, "--compare", needs, "--max-cold", 60_000, "--max-package", 50
    )
    assert status == 0, err
    assert "Compared with the earlier report" in out
    assert "cold response, 256 MB" in out


def test_beyond_its_budget_it_fails(app: Path, cli: Cli) -> None:
    status, out, err = cli("measure", app, *QUICK, "--max-cold", 1, "--max-package", "0.001")
    assert status == 1
    assert "memory" in out  # what was found is shown all the same
    assert "more than 1 ms; the package has" in err
    assert len(err.strip().splitlines()) == 2


def test_an_app_that_fails_is_told_with_its_words(app: Path, cli: Cli) -> None:
    status, _, err = cli("measure", app, *QUICK, "--path", "/broken")
    assert status == 1
    assert "GET /broken was answered with" in err
    assert len(err.strip().splitlines()) == 2
    (app / "app.py").write_text("import os\n\napp = os.environ['SECRET']\n")
    status, _, err = cli("measure", app, *QUICK)
    assert status == 1
    assert "KeyError" in err
    assert "--env NAME=VALUE" in err
    assert len(err.strip().splitlines()) == 2
    (app / "app.py").write_text("import app_that_is_not_there\n\napp = None\n")
    status, _, err = cli("measure", app, *QUICK)
    assert status == 1
    assert "app_that_is_not_there" in err


def test_without_processor_shares_a_whole_processor_is_measured(
    app: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sunup.local.measuring.measuring.processor_share_available", lambda: False)
    status, out, err = cli("measure", app, *QUICK, "--max-cold", 60_000)
    assert status == 0, err
    assert "1769" in out
    assert "cgroups need root" in out
    assert cli("measure", app, *QUICK, "--max-cold", 1)[0] == 1


def test_a_package_is_measured_as_it_is(app: Path, cli: Cli) -> None:
    arch = "arm64" if os.uname().machine in ("arm64", "aarch64") else "x86_64"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert cli("package", app, "--arch", arch, "--python", version)[0] == 0
    status, out, err = cli("measure", app / "lambda.zip", *QUICK, "--json")
    assert status == 0, err
    assert json.loads(out)["zipped"] == (app / "lambda.zip").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--path", "users"), "--path 'users' is no path"),
        (("--compare", "missing.json"), "missing.json cannot be read"),
        (("--compare", "app.py"), "is not what sunup measure --json writes"),
        (("--html", "nowhere/report.html"), "there is no folder nowhere"),
        (("--env", "x"), "--env 'x' is not NAME=VALUE"),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(
    app: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(app)
    status, _, err = cli("measure", ".", *arguments)
    assert status == 1
    assert told in err


def test_its_options_may_stand_in_pyproject(app: Path, cli: Cli) -> None:
    (app / "pyproject.toml").write_text("[tool.sunup.measure]\npath = '/x'\nspeed = 3\n")
    status, _, err = cli("measure", app)
    assert (status, "the unknown option 'speed'" in err) == (1, True)
    (app / "pyproject.toml").write_text(
        "[tool.sunup.measure]\nstarts = 1\nmemory = [512]\nrequests = 2\n"
    )
    status, out, err = cli("measure", app, "--json")
    assert status == 0, err
    assert [each["memory"] for each in json.loads(out)["memories"]] == [512]
