"""What is installed, by the real uv, from wheels that are made here."""

import hashlib
import tarfile
from pathlib import Path

import pytest

import sunup
from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.packaging.target import Target

from .conftest import LIBRARY, Wheels, Write, install

MANYLINUX = "cp313-cp313-manylinux_2_28_aarch64"


def test_markers_and_wheels_are_the_target_s(tmp_path: Path, wheels: Wheels, write: Write) -> None:
    wheels("one")
    wheels("native", tag=MANYLINUX)
    wheels("native", tag="cp313-cp313-manylinux_2_28_x86_64", files={"wrong.py": ""})
    text = """
    one==1 ; python_version < '3.13'
    native==1 ; platform_machine == 'aarch64' and sys_platform == 'linux'
    """
    names, notes = install(write({"requirements.txt": text}), tmp_path)
    assert names == {"native"}
    assert notes == []


def test_what_a_pin_requires_comes_along_and_is_told(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    """`flask==3.1.2` alone gave a package without werkzeug."""
    wheels("framework", requires=("toolbox>=1", "extra-thing; extra == 'more'"))
    wheels("toolbox", "1.5")
    names, notes = install(write({"requirements.txt": "framework==1"}), tmp_path)
    assert names == {"framework", "toolbox"}
    assert notes == ["Not pinned, so today's versions are used: toolbox 1.5. Pin them: sunup pin"]


def test_where_there_are_hashes_all_must_be_pinned(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    path = wheels("framework", requires=("toolbox",))
    wheels("toolbox")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    app = write({"requirements.txt": f"framework==1 --hash=sha256:{digest}\n"})
    with pytest.raises(CommandError, match="toolbox"):
        install(app, tmp_path)


def test_a_wrong_hash_is_told(tmp_path: Path, wheels: Wheels, write: Write) -> None:
    wheels("one")
    app = write({"requirements.txt": f"one==1 --hash=sha256:{'0' * 64}\n"})
    with pytest.raises(CommandError, match="the index has another file for one"):
        install(app, tmp_path)


def test_files_may_include_others_and_constrain(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one", requires=("two",))
    wheels("two", "1")
    wheels("two", "2")
    files = {
        "requirements.txt": "-r base.txt\n-c limits.txt\n",
        "base.txt": "one==1\n",
        "limits.txt": "two<2\n",
    }
    names, notes = install(write(files), tmp_path)
    assert names == {"one", "two"}
    assert notes == ["Not pinned, so today's versions are used: two 1. Pin them: sunup pin"]


def test_an_index_that_the_file_names_is_the_one_that_is_asked(
    tmp_path: Path, wheels: Wheels, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--index-url` was dropped: a private package came from the public index."""
    wheels("ours", "1")
    private = wheels("ours", "2", into=tmp_path / "private").parent
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.delenv("UV_FIND_LINKS")
    folder = tmp_path / "index" / "ours"
    folder.mkdir(parents=True)
    wheel = next(private.iterdir())
    (folder / "index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    text = f"--index-url {(tmp_path / 'index').as_uri()}\nours\n"
    install(write({"requirements.txt": text}), tmp_path)
    assert "VERSION = '2'" in (tmp_path / "out" / "ours" / "__init__.py").read_text()


def test_without_a_wheel_for_the_target_it_is_an_error(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("native", tag="cp313-cp313-win_amd64")
    with pytest.raises(CommandError, match="native"):
        install(write({"requirements.txt": "native==1"}), tmp_path)
    with pytest.raises(CommandError, match=r"no package index has nothing$"):
        install(write({"requirements.txt": "nothing==1"}), tmp_path)


def test_the_closure_is_checked_with_what_pyproject_asks_for(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    files = {
        "pyproject.toml": "[project]\nname='x'\nversion='1'\ndependencies=['one>=2', 'two', 'three; python_version < \"3\"']\n",
        "requirements.txt": "one==1",
    }
    with pytest.raises(CommandError) as raised:
        install(write(files), tmp_path)
    assert "two (required by the app)" in raised.value.what
    assert "the app requires one>=2, but 1 is installed" in raised.value.what
    assert "three" not in raised.value.what
    assert raised.value.cure == "Pin them: sunup pin"


def test_pyproject_alone_is_enough_and_told_not_to_be_pinned(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    text = "[project]\nname='x'\nversion='1'\ndependencies=['one', 'sunup[asyncpg]']\n"
    wheels("asyncpg", "0.99")
    names, notes = install(write({"pyproject.toml": text}), tmp_path)
    assert names == {"one", "asyncpg"}
    assert notes == [
        "Not pinned, so today's versions are used: asyncpg 0.99, one 1. Pin them: sunup pin"
    ]


def test_this_sunup_is_in_the_package_without_an_index(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("asyncpg", "0.99")
    app = write({"requirements.txt": f"sunup[asyncpg]=={sunup.__version__}\nasyncpg==0.99"})
    assert install(app, tmp_path)[0] == {"asyncpg"}
    assert (tmp_path / "out/sunup/adapter/handler.py").is_file()
    assert not (tmp_path / "out/sunup/local").exists()


def test_the_sunup_that_the_project_pins_is_in_the_package(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("sunup", "9.9", files={"sunup/__init__.py": "NINE = 9", "sunup/local/x.py": ""})
    install(write({"requirements.txt": "sunup==9.9"}), tmp_path)
    assert (tmp_path / "out/sunup/__init__.py").read_text() == "NINE = 9"
    assert not (tmp_path / "out/sunup/local").exists()


def test_a_local_folder_is_built_and_one_without_a_build_is_told(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = write(LIBRARY, "library").folder
    for line in ("../library", "-e ../library", f"ours @ {library.as_uri()}"):
        names, notes = install(write({"requirements.txt": line}), tmp_path)
        assert names == {"ours"}
        assert notes in ([], ["Built from source on this machine: ours."])


def test_only_what_the_list_names_is_pruned_and_keep_opts_out(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    data = {
        "{0}/__init__.py": "",
        "{0}/tests/__init__.py": "",
        "{0}/head.h": "",
        "{0}/x.pyi": "",
        "{0}/x.c": "",
    }
    for name in ("plain", "numpy"):
        wheels(name, files={key.format(name): "" for key in data})
    app = write({"requirements.txt": "plain==1\nnumpy==1"})
    install(app, tmp_path)
    assert {each.name for each in (tmp_path / "out/plain").iterdir()} == {
        "__init__.py", "tests", "head.h", "x.pyi", "x.c",
    }  # fmt: skip
    assert {each.name for each in (tmp_path / "out/numpy").iterdir()} == {"__init__.py"}
    (app.folder / "pyproject.toml").write_text('[tool.sunup]\nkeep = ["NumPy"]')
    install(project.find(app.folder), tmp_path)
    assert (tmp_path / "out/numpy/tests/__init__.py").is_file()


def test_boto3_is_lambda_s_unless_it_is_bundled(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("boto3", requires=("botocore",))
    wheels("botocore")
    wheels("ours", requires=("boto3",))
    app = write({"requirements.txt": "ours==1\nboto3==1\nbotocore==1"})
    names, notes = install(app, tmp_path)
    assert names == {"ours"}
    assert 'bundle = ["boto3", "botocore"]' in notes[0]
    (app.folder / "pyproject.toml").write_text('[tool.sunup]\nbundle = ["boto3", "botocore"]')
    assert install(project.find(app.folder), tmp_path)[0] == {"ours", "boto3", "botocore"}


@pytest.mark.parametrize(
    ("needs", "what"),
    [
        ("one==1", "the package index cannot be reached"),
        ("one @ https://127.0.0.1:9/one-1-py3-none-any.whl", "what a requirement names cannot be"),
    ],
)
def test_offline_is_told_as_offline(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, needs: str, what: str
) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with pytest.raises(CommandError, match=what) as raised:
        install(write({"requirements.txt": needs}), tmp_path)
    assert "hunter2" not in raised.value.what


def test_without_uv_it_is_told(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="uv is not installed"):
        install(write({"requirements.txt": "one==1"}), tmp_path)


def test_a_requirements_file_that_is_named_must_be_there(tmp_path: Path, write: Write) -> None:
    app = write({"pyproject.toml": '[tool.sunup]\nrequirements = "pins.txt"'})
    with pytest.raises(CommandError, match=r"there is no pins\.txt"):
        install(app, tmp_path)


def test_what_newer_pythons_have_a_wheel_for_is_told(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("front", requires=("native[fast]==1; python_version > '3'",))
    wheels("native", tag="cp311-cp311-manylinux_2_28_aarch64")
    app = write({"requirements.txt": "front==1"})
    with pytest.raises(CommandError, match=r"^native 1 has no wheel for Python 3\.11 on") as raised:
        install(app, tmp_path, Target("3.11", "arm64"))
    assert "--python 3.13" in raised.value.cure


def test_markers_on_patch_releases_are_those_of_the_newest(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one", requires=("two; python_full_version >= '3.13.4'",))
    wheels("two")
    assert install(write({"requirements.txt": "one==1"}), tmp_path)[0] == {"one", "two"}


def test_a_package_called_bin_stays_and_scripts_do_not(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    entry = {"tool.py": "", "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool=tool:f\n"}
    wheels("tool", files=entry)
    wheels("scripted", files={"bin/__init__.py": "", "bin/data.json": "{}"})
    assert install(write({"requirements.txt": "tool==1"}), tmp_path)[0] == {"tool.py"}
    names, _ = install(write({"requirements.txt": "tool==1\nscripted==1"}), tmp_path)
    assert names == {"tool.py", "bin"}
    content = {each.name for each in (tmp_path / "out/bin").iterdir()}
    assert content == {"__init__.py", "data.json"}


def test_what_is_built_by_the_file_s_own_wish_is_told(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    folder = wheels("unused").parent
    with tarfile.open(folder / "ours-1.tar.gz", "w:gz") as archive:
        library = write(LIBRARY, "ours-1").folder
        (library / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1\n")
        archive.add(library, "ours-1")
    app = write({"requirements.txt": "--no-binary Ours\n--no-binary other\nours==1"})
    assert install(app, tmp_path) == ({"ours"}, ["Built from source on this machine: ours."])


def test_dependencies_that_are_no_list_are_told(tmp_path: Path, write: Write) -> None:
    with pytest.raises(CommandError, match="dependencies is not a list"):
        install(write({"pyproject.toml": "[project]\nname='x'\ndependencies=3\n"}), tmp_path)


def test_dependencies_that_the_build_decides_are_not_forgotten(
    tmp_path: Path, write: Write
) -> None:
    text = "[project]\nname='x'\nversion='1'\ndynamic=['dependencies']\n"
    with pytest.raises(CommandError, match=r"leaves the dependencies to the build"):
        install(write({"pyproject.toml": text}), tmp_path)


def test_a_repository_that_cannot_be_fetched_is_named_with_the_cause(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    app = write({"requirements.txt": "one @ git+https://me:word@127.0.0.1:9/x.git"})
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:9/x\.git.*fatal: ") as raised:
        install(app, tmp_path)
    assert "word" not in raised.value.what
    assert raised.value.cure == ""
