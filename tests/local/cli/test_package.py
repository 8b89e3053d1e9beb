"""`sunup package`: real wheels, real zip files, run in the emulator."""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sunup.local.packaging.strip import strip
from sunup.local.testing import Emulate
from tests.local.cli.conftest import Cli
from tests.local.cli.test_dev import curl, readme_session, timeless

NATIVE = [
    *("--arch", "arm64" if platform.machine() == "aarch64" else "x86_64"),
    *("--python", f"{sys.version_info[0]}.{sys.version_info[1]}"),
]


def test_the_package_answers_the_readme_s_session(
    app_dir: Path, cli: Cli, emulate: Emulate
) -> None:
    status, out, err = cli("package", app_dir, *NATIVE)
    assert (status, err) == (0, "")
    assert "imported here" in out
    assert out.index("asyncpg") < out.index("(the app)")
    aws = emulate(app_dir / "lambda.zip")
    for command, expected in readme_session():
        assert timeless(curl(command, aws.url)) == timeless(expected)
    sizes = json.loads(cli("package", app_dir, *NATIVE, "--json")[1])
    assert sizes["zipped"] < 4_000_000
    assert sizes["unpacked"] < 16_000_000


def test_the_same_inputs_give_the_same_bytes(app_dir: Path, tmp_path: Path) -> None:
    """In another folder, at another time, with another umask, locale, time zone and file order."""
    other = tmp_path / "elsewhere" / "deep" / "app"
    other.mkdir(parents=True)
    for path in sorted(app_dir.rglob("*"), reverse=True):
        target = other / path.relative_to(app_dir)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o600)
            os.utime(target, (1_000_000_000, 1_000_000_000))
    digests = set()
    for folder, mask, extra in (
        (app_dir, 0o022, {"TZ": "UTC", "LC_ALL": "C"}),
        (other, 0o077, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}),
    ):
        subprocess.run(
            [sys.executable, "-m", "sunup.local.cli", "package", folder, *NATIVE, "-o", tmp_path / "x.zip"],
            check=True,
            capture_output=True,
            umask=mask,
            env={**os.environ, **extra},
        )  # fmt: skip
        digests.add(hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_bytecode_is_there_and_is_not_checked_against_the_source(app_dir: Path, cli: Cli) -> None:
    assert cli("package", app_dir, *NATIVE)[0] == 0
    with zipfile.ZipFile(app_dir / "lambda.zip") as file:
        names = file.namelist()
        compiled = file.read(importlib.util.cache_from_source("app.py"))
    assert int.from_bytes(compiled[4:8], "little") == 0b01  # PEP 552: hash-based, unchecked
    assert b"/var/task/app.py" in compiled
    assert str(app_dir).encode() not in compiled
    sources = [name for name in names if name.endswith(".py")]
    assert [n for n in sources if importlib.util.cache_from_source(n) not in names] == []
    assert not [
        name
        for name in names
        if name.split("/")[0] in {"migrations", "tests", "terraform", "bin", ".env"}
        or "/tests/" in name
        or name.startswith(("boto", "alembic", "sunup/local"))
    ]


def test_another_processor_s_package_is_made_here_and_not_run_here(
    app_dir: Path, cli: Cli, emulate: Emulate
) -> None:
    other = "x86_64" if platform.machine() == "aarch64" else "arm64"
    status, out, _ = cli("package", app_dir, "--arch", other, "--json")
    assert status == 0
    made = json.loads(out)
    assert (made["arch"], made["executed"], made["zipped"] < 4_000_000) == (other, False, True)
    status, _, err = cli("emulate", app_dir / "lambda.zip")
    assert status == 1
    assert "lambda.zip is for Python 3." in err
    assert f"--arch {NATIVE[1]}" in err


def test_without_an_interpreter_there_is_a_warning_with_the_cost(
    app_dir: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", "/nowhere")
    version = "3.13" if sys.version_info[:2] != (3, 13) else "3.12"
    status, out, err = cli("package", app_dir, "--python", version)
    assert status == 0
    assert "not executed: no such Python here" in out
    assert f"Python {version} is not installed here, so the package has no bytecode" in err
    assert f"uv python install {version}" in err


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("requirements.txt", "docopt==0.6.2", "docopt 0.6.2 has no wheel for Python 3."),
        ("requirements.txt", "idna==3.10 --hash=sha256:" + "0" * 64, "than the one that was pinned"),
        ("app.py", "def broken(:", "app.py"),
        ("lambda_function.py", "handlers = 1", "lambda_function.py has no 'handler'"),
        ("app.py", "import httpx", "imported, but not in the package: httpx (in app.py)"),
        ("lambda_function.py", "handler = 1", "TypeError: handler is not callable"),
        ("lambda_function.py", "from json import no as handler", "raises ImportError: cannot import"),
        ("wrong.so", "MZ", "wrong.so is not for"),
        ("pyproject.toml", "[project]\nname='x'\ndependencies=['=!']", "pyproject.toml: Expected"),
    ],
)  # fmt: skip
def test_what_cannot_run_on_lambda_is_an_error_and_leaves_the_old_file(
    app_dir: Path, cli: Cli, file: str, content: str, says: str
) -> None:
    (app_dir / "lambda.zip").write_text("old")
    (app_dir / "pyproject.toml").write_text("[project]\nname = 'users'\n")
    if file != "requirements.txt":
        (app_dir / "requirements.txt").write_text("")
        (app_dir / "app.py").write_text("")
        (app_dir / "lambda_function.py").write_text("def handler(event, context): ...")
        for name in ("users", "bodies", "database"):
            (app_dir / f"{name}.py").unlink()
    (app_dir / file).write_text(content)
    status, _, err = cli("package", app_dir, *NATIVE)
    assert status == 1
    assert says in err
    assert len(err.splitlines()) <= 2
    assert (app_dir / "lambda.zip").read_text() == "old"


def test_settings_that_are_missing_here_are_a_note(app_dir: Path, cli: Cli) -> None:
    (app_dir / "pyproject.toml").write_text("[project]\nname = 'users'\n")
    (app_dir / "requirements.txt").write_text("")
    (app_dir / "app.py").write_text("")
    source = "import os\nKEY = os.environ['STRIPE_KEY']\ndef handler(e, c): ..."
    (app_dir / "lambda_function.py").write_text(source)
    for name in ("users", "bodies", "database"):
        (app_dir / f"{name}.py").unlink()
    status, _, err = cli("package", app_dir, *NATIVE)
    assert status == 0
    assert "Note: importing lambda_function.handler raises KeyError: 'STRIPE_KEY'" in err
    (app_dir / ".env").write_text("STRIPE_KEY=x\n")
    assert cli("package", app_dir, *NATIVE)[2] == ""


def test_boto3_is_left_to_the_runtime(app_dir: Path, cli: Cli) -> None:
    with (app_dir / "requirements.txt").open("w") as file:
        file.write("asyncpg==0.32.0\nmsgspec==0.22.0\nstarlette==1.10.0\nanyio==4.16.0\n")
        file.write("idna==3.20\ntyping-extensions==4.16.0\nboto3==1.43.0\n")
    status, out, err = cli("package", app_dir, *NATIVE)
    assert (status, "boto3 " in out) == (0, False)
    assert 'bundle = ["boto3"]' in err


def test_a_stripped_module_loads_and_is_smaller(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("asyncpg")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "asyncpg")
    saved = 0
    for module in tmp_path.rglob("*.so"):
        before = module.stat().st_size
        saved += strip(module)
        assert module.stat().st_size <= before
        assert strip(module) == 0
    assert saved > 1_000_000
    code = "import asyncpg.protocol.protocol as p; print(p.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.stdout.startswith(str(tmp_path))


def test_what_is_no_zip_is_told(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "x.zip").write_text("no")
    assert "cannot be run here" in cli("emulate", tmp_path / "x.zip")[2]


def test_bad_options_are_told(app_dir: Path, cli: Cli) -> None:
    assert "is not the name of a zip file" in cli("package", app_dir, "-o", "x.tar")[2]
    assert "there is no folder" in cli("package", app_dir, "-o", "/nowhere/x.zip")[2]
    assert "the Lambda runtime python3.9" in cli("package", app_dir, "--python", "3.9")[2]


def test_a_name_in_handler_that_is_not_there_is_told_for_any_processor(
    app_dir: Path, cli: Cli
) -> None:
    """`Handler("ap:app")` passed where the package cannot be executed."""
    other = "x86_64" if platform.machine() == "aarch64" else "arm64"
    entry = app_dir / "lambda_function.py"
    text = entry.read_text()
    for wrong, says in (
        ("ap:app", "there is no module ap in the package"),
        ("app:application", "app.py has no 'application'"),
    ):
        entry.write_text(text.replace('"app:app"', f'"{wrong}"'))
        status, _, err = cli("package", app_dir, "--arch", other)
        assert (status, says in err) == (1, True), err
    entry.write_text(text)
    assert cli("package", app_dir, "--arch", other)[0] == 0


def test_what_the_app_would_replace_is_told(app_dir: Path, cli: Cli) -> None:
    (app_dir / "starlette").mkdir()
    (app_dir / "starlette" / "__init__.py").touch()
    status, _, err = cli("package", app_dir, *NATIVE)
    assert (status, "would replace the same file of starlette" in err) == (1, True), err


def test_pin_pins_what_pyproject_asks_for_in_a_new_project(tmp_path: Path, cli: Cli) -> None:
    """The command that was advised failed, since sunup is on no index."""
    project = tmp_path / "shop"
    assert cli("new", project)[0] == 0
    (project / "requirements.txt").unlink()
    status, out, err = cli("pin", project)
    assert (status, err) == (0, "")
    assert out.startswith("Pinned ")
    text = (project / "requirements.txt").read_text()
    assert "asyncpg==" in text
    assert "--hash=sha256:" in text
    assert "sunup" not in text
    assert cli("package", project, *NATIVE)[0] == 0
    # Again, over what it wrote, and as uv annotates it.
    (project / "requirements.txt").write_text(f"{text.rstrip()}\n    # via shop\n")
    assert cli("pin", project)[0] == 0
    by_hand = "asyncpg>=0.30\nstarlette  # ours\n"
    (project / "requirements.txt").write_text(by_hand)
    status, _, err = cli("pin", project)
    assert (status, "seems to be written by hand" in err) == (1, True)
    assert (project / "requirements.txt").read_text() == by_hand
    assert cli("pin", project, "--replace")[0] == 0
    assert "--hash=sha256:" in (project / "requirements.txt").read_text()
    (project / "pyproject.toml").write_text("[project]\nname='x'\nversion='1'\n")
    assert "there are no dependencies" in cli("pin", project)[2]
