"""uv.lock and pylock.toml: what they pin, from where they say."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import sunup
from sunup.local.errors import CommandError
from sunup.local.packaging import uv
from sunup.local.packaging.target import Target

from .conftest import LIBRARY, Wheels, Write, index, install


def lock(folder: Path) -> None:
    """As the user does it."""
    command = [uv.program(), "--quiet", "lock", "--python", sys.executable]
    subprocess.run(command, cwd=folder, check=True)


PROJECT = "[project]\nname='{0}'\nversion='1'\nrequires-python='>=3.11'\ndependencies={1}\n"


def test_locks_of_uv_and_pylock_are_read_by_uv(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one", requires=("two",))
    wheels("two", "1")
    text = "[project]\nname='x'\nversion='1'\nrequires-python='>=3.11'\ndependencies=['one']\n"
    app = write({"pyproject.toml": text})
    lock(app.folder)
    wheels("two", "2")
    names, notes = install(app, tmp_path)
    assert (names, notes) == ({"one", "two"}, [])
    assert "VERSION = '1'" in (tmp_path / "out/two/__init__.py").read_text()


def test_a_member_of_a_workspace_has_its_own_part_of_the_lock(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    for name in ("one", "two"):
        wheels(name)
    member = "[project]\nname='{0}'\nversion='1'\nrequires-python='>=3.11'\ndependencies=['{1}']\n"
    (tmp_path / "pyproject.toml").write_text(
        member.format("root", "two") + "[tool.uv.workspace]\nmembers=['app']\n"
    )
    app = write({"pyproject.toml": member.format("member", "one")})
    lock(tmp_path)
    assert install(app, tmp_path)[0] == {"one"}


def test_pylock_is_read_and_boto3_is_lambda_s_also_there(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    for name in ("one", "boto3"):
        wheels(name)
    app = write({"requirements.in": "one\nboto3\n"})
    command = [uv.program(), "pip", "compile", "--quiet", "--python", sys.executable]
    command += [
        "--python-version",
        "3.11",
        "requirements.in",
        "--format",
        "pylock.toml",
        "--output-file",
        "pylock.toml",
    ]
    subprocess.run(command, cwd=app.folder, check=True)
    wheels("one", "2")
    names, notes = install(app, tmp_path)
    assert names == {"one"}
    assert "VERSION = '1'" in (tmp_path / "out/one/__init__.py").read_text()
    assert notes[0].startswith("Left out, because Lambda's runtime has it: boto3.")


def test_what_is_from_an_explicit_index_is_not_looked_for_in_another(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    private = wheels("one", files={"private.py": ""}, into=tmp_path / "private")
    wheels("two")
    text = PROJECT.format("x", ["one", "two"]) + (
        "[tool.uv.sources]\none={index='ours'}\n[[tool.uv.index]]\nname='ours'\nexplicit=true\n"
        f"url='{index(tmp_path / 'index', private)}'\n"
    )
    app = write({"pyproject.toml": text})
    lock(app.folder)
    wheels("one")
    assert install(app, tmp_path) == ({"private.py", "two"}, [])


def test_a_member_of_a_workspace_may_need_another(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    write(LIBRARY, "work/packages/our library")
    (tmp_path / "work/pyproject.toml").write_text(
        "[tool.uv.workspace]\nmembers=['packages/*', 'apps/*']\nexclude=['apps/old']\n"
    )
    text = PROJECT.format("api", ["one", "ours"]) + "[tool.uv.sources]\nours={workspace=true}\n"
    app = write({"pyproject.toml": text}, "work/apps/api")
    old = write({"pyproject.toml": PROJECT.format("old", ["one"])}, "work/apps/old")
    lock(tmp_path / "work")
    assert install(app, tmp_path) == ({"one", "ours"}, ["Built from source on this machine: ours."])
    assert install(old, tmp_path)[0] == {"one"}


def test_groups_are_not_the_app_s_also_where_they_are_the_default(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    wheels("linter")
    text = PROJECT.format("x", ["one"]) + (
        "[dependency-groups]\nlint=['linter']\n[tool.uv]\ndefault-groups=['lint']\n"
    )
    app = write({"pyproject.toml": text})
    lock(app.folder)
    assert install(app, tmp_path)[0] == {"one"}


def test_the_lock_that_is_named_is_the_one_that_is_read(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    for name in ("one", "two"):
        wheels(name)
    files = {
        "pyproject.toml": PROJECT.format("x", ["one"])
        + "[tool.sunup]\nrequirements='deploy/uv.lock'\n",
        "deploy/pyproject.toml": PROJECT.format("y", ["one", "two"]),
    }
    app = write(files)
    lock(app.folder)
    lock(app.folder / "deploy")
    assert install(app, tmp_path)[0] == {"one", "two"}


PYLOCK = """
lock-version = "1.0"
created-by = "somebody"
requires-python = ">=3.13"
dependency-groups = ["lint", "main"]
default-groups = ["main"]
packages = [
    {{ name = "one", version = "1", marker = "'main' in dependency_groups", wheels = [{{ name = "{0}", path = "../wheels/{0}", hashes = {{ sha256 = "{1}" }} }}] }},
    {{ name = "Sunup", version = "{2}", wheels = [{{ url = "https://x.example/sunup-{2}-py3-none-any.whl", hashes = {{ sha256 = "0" }} }}] }},
    {{ name = "ours", directory = {{ path = "../library", editable = true }} }},
    {{ name = "linter", marker = "'lint' in dependency_groups", directory = {{ path = "../win" }} }},
    {{ name = "win", marker = "sys_platform == 'win32'", directory = {{ path = "../win" }} }},
]
"""


def test_a_lock_is_for_the_target_s_python_and_this_sunup_needs_no_index(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheel = wheels("one")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    write(LIBRARY, "library")
    app = write({"pylock.toml": PYLOCK.format(wheel.name, digest, sunup.__version__)})
    assert install(app, tmp_path) == ({"one", "ours"}, ["Built from source on this machine: ours."])
    with pytest.raises(CommandError, match=r"is for Python >=3\.13, but the package is for 3\.12"):
        install(app, tmp_path, Target("3.12", "arm64"))
    app = write({"pylock.toml": PYLOCK.format(wheel.name, "0" * 64, sunup.__version__)})
    with pytest.raises(CommandError, match="the index has another file for one"):
        install(app, tmp_path)


def test_what_a_lock_has_no_wheel_of_is_told(tmp_path: Path, write: Write) -> None:
    text = (
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "native"\nversion = "1"\n'
        f'sdist = {{ url = "https://x.example/native-1.tar.gz", hashes = {{ sha256 = "{"0" * 64}" }} }}\n'
    )
    with pytest.raises(CommandError, match=r"^native has no wheel for Python 3\.13 on arm64"):
        install(write({"pylock.toml": text}), tmp_path)
    with pytest.raises(CommandError, match="cannot be read: a package has no name"):
        install(write({"pylock.toml": "packages = [{}]"}, "other"), tmp_path)
