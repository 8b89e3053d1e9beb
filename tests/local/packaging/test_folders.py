"""Local folders are built, and stay as they are."""

import subprocess
from pathlib import Path

from sunup.local.packaging.folders import Copies

from .conftest import LIBRARY, Wheels, Write, install

# What a build writes into the folder that it builds, and finds there the next time.
WRITES = LIBRARY["backend.py"].replace(
    "    name =",
    "    pathlib.Path('build').mkdir()\n    pathlib.Path('ours.egg-info').mkdir()\n    name =",
)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def test_a_build_leaves_nothing_in_the_user_s_folders(tmp_path: Path, write: Write) -> None:
    files = {"libs/our lib/backend.py": WRITES}
    files["libs/our lib/pyproject.toml"] = LIBRARY["pyproject.toml"]
    app = write({"requirements.txt": "./libs/our lib\n", **files})
    for _ in range(2):
        assert install(app, tmp_path) == ({"ours"}, ["Built from source on this machine: ours."])
    assert {each.name for each in (app.folder / "libs/our lib").iterdir()} == {
        "backend.py",
        "pyproject.toml",
    }


def test_the_app_itself_is_left_out_and_what_it_needs_is_not(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    project = LIBRARY["pyproject.toml"] + "[project.optional-dependencies]\nmore=['one']\n"
    built = WRITES.replace("Version: 1\\n", "Version: 1\\nRequires-Dist: one; extra == 'more'\\n")
    files = {"pyproject.toml": project, "backend.py": built, "ours/__init__.py": ""}
    for line in ("-e .[more]", ".[more]", "--editable=./[more]", "ours[more] @ ."):
        app = write({**files, "requirements.txt": f"{line}\n"})
        assert install(app, tmp_path)[0] == {"one"}
    assert not (app.folder / "build").exists()


def test_a_copy_has_what_git_knows_and_finds_what_lies_beside_it(tmp_path: Path) -> None:
    top = tmp_path / "repository"
    for name in ("libs/a/x.py", "libs/a/build/old.py", "libs/b/y.py", "pyproject.toml"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    git(tmp_path, "init", "-q", str(top))
    (top / ".gitignore").write_text("build/\n")
    (top / "libs/a/.env").write_text("PASSWORD=1\n")
    (top / "libs/a/k.pem").write_text("-----BEGIN PRIVATE KEY-----\n" + "A" * 64)
    copies = Copies(tmp_path)
    inner = copies.place(top / "libs" / "a")
    assert {each.name for each in inner.iterdir()} == {"x.py"}
    assert (inner / "../b/y.py").read_text() == "libs/b/y.py"
    assert (inner / "../../pyproject.toml").is_file()
    git(inner, "status")
    outer = copies.place(top)
    assert outer == inner.parent.parent
    assert not (outer / "libs/b").is_symlink()
    assert not (outer / "libs/a/build").exists()
    git(outer, "status")
    assert (top / "libs/a/build/old.py").is_file()
    assert copies.place(top / "libs" / "a") == inner


def test_a_folder_whose_build_says_what_it_needs_is_built(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    project = LIBRARY["pyproject.toml"].replace(
        "version='1'", "dynamic=['version', 'dependencies']"
    )
    built = LIBRARY["backend.py"].replace("Version: 1\\n", "Version: 1\\nRequires-Dist: one\\n")
    write({"pyproject.toml": project, "backend.py": built}, "library")
    app = write({"requirements.txt": "../library\none==1\n"})
    assert install(app, tmp_path) == ({"ours", "one"}, ["Built from source on this machine: ours."])
