import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.packaging import application, room
from sunup.local.project import Project

Write = Callable[..., Project]

KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{'A' * 64}\n"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def test_what_is_not_the_app_stays_out(tmp_path: Path, write: Write) -> None:
    wanted = {
        "app.py", "pages/index.html", "README.md", "lib/env.py", "data.json",
        "static/.well-known/security.txt", "data/cities.zip", "lambda_function.py",
        "lib/build/x.py", "src/page.js", ".env.example/../secrets.py",
    }  # fmt: skip
    unwanted = {
        ".git2/config", "__pycache__/app.cpython-311.pyc", "tests/test_app.py",
        "migrations/env.py", "terraform/main.tf", "terraform/terraform.tfstate", "pyproject.toml",
        "uv.lock", "lambda.zip", "lib/test_it.py", "node_modules/x/index.js",
        ".venv/lib/x.py", "secret.tfvars", "big/film.mp4",
    }  # fmt: skip
    wanted = {os.path.normpath(name) for name in wanted}
    app = write({**dict.fromkeys(wanted | unwanted, ""), "requirements.txt": ""})
    (app.folder / "pyproject.toml").write_text(
        '[tool.sunup]\nexclude = ["big/", "!/requirements.txt"]'
    )
    copied = application.copy(project.find(app.folder), tmp_path / "out")
    assert files(tmp_path / "out") == copied.names == wanted | {"requirements.txt"}


SECRETS = {
    "credentials.json": "{}", "secrets/token.txt": "x", "prod.env": "A=1", ".env": "A=1", "keys/id_rsa": "x",
    "dump.sql.gz": "", "local.sqlite3": "", "tls.key": KEY, "keys/server.pem": KEY, "kube/kubeconfig": "",
    "conf/.npmrc": "", "service-account-1.json": "{}",
}  # fmt: skip


@pytest.mark.parametrize("with_git", [True, False])
def test_secrets_stay_out_and_are_named_unless_git_ignores_them(
    tmp_path: Path, write: Write, with_git: bool
) -> None:
    public = {
        "roots.pem": "-----BEGIN CERTIFICATE-----\nMIIB",
        "secrets.py": "",
        "lib/secrets/vault.py": "",
        ".env.example": "",
    }
    app = write(
        {
            **SECRETS,
            **public,
            ".gitignore": "credentials.json\n/secrets/\nignored/\n",
            "ignored/x": "",
        }
    )
    if with_git:
        git(app.folder, "init", "-q")
        git(app.folder, "add", "lambda_function.py", "tls.key")
    copied = application.copy(app, tmp_path / "out")
    assert files(tmp_path / "out") == {
        "roots.pem", "secrets.py", "lib/secrets/vault.py", "lambda_function.py",
    }  # fmt: skip
    (note,) = copied.notes
    assert "tls.key" in note or "more" in note
    assert "credentials.json" not in note
    assert "dump.sql.gz" in note
    assert "To include it: [tool.sunup] include = [...]" in note


def test_what_is_included_goes_along_whatever_it_is(tmp_path: Path, write: Write) -> None:
    app = write({
        "pyproject.toml": '[tool.sunup]\ninclude = ["web/dist/", "cities.db"]',
        ".gitignore": "dist/\n", "web/dist/app.js": "", "web/page.js": "", "cities.db": "",
    })  # fmt: skip
    git(app.folder, "init", "-q")
    copied = application.copy(app, tmp_path / "out")
    assert files(tmp_path / "out") == {
        "web/dist/app.js", "web/page.js", "cities.db", "lambda_function.py",
    }  # fmt: skip
    assert copied.notes == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("KEY = 'AKIA" + "ABCDEFGHIJKLMNOP" + "'", "an AWS access key"),
        ("x = '''" + KEY + "'''", "a private key"),
        ("url = 'postgresql://app:hunter22@db.example/x'", "a password in a URL"),
        ("t = 'ghp_" + "a" * 36 + "'", "a GitHub token"),
    ],
)
def test_a_secret_in_a_source_is_told(tmp_path: Path, write: Write, text: str, what: str) -> None:
    copied = application.copy(write({"config.py": text}), tmp_path / "out")
    assert copied.notes[0].startswith(f"config.py contains what looks like {what}")
    assert "config.py" in copied.names


def test_what_only_names_a_secret_is_not_told(tmp_path: Path, write: Write) -> None:
    text = (
        "URL = f'postgresql://{user}:{password}@{host}/x'\nOTHER = 'postgresql://u:$PW@h/x'\n"
        "HEAD = '-----BEGIN PRIVATE KEY-----'\n"
    )
    assert application.copy(write({"config.py": text}), tmp_path / "out").notes == []


def test_links_are_followed_and_loops_are_not(tmp_path: Path, write: Write) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "common.py").touch()
    app = write({})
    (app.folder / "shared").symlink_to(tmp_path / "shared")
    (app.folder / "loop").symlink_to(app.folder)
    expected = {"shared/common.py", "lambda_function.py"}
    assert application.copy(app, tmp_path / "one").names == expected
    git(app.folder, "init", "-q")
    (app.folder / "loop").unlink()
    assert application.copy(app, tmp_path / "two").names == expected
    (app.folder / "gone.py").symlink_to(tmp_path / "nothing")
    with pytest.raises(CommandError, match=r"gone\.py cannot be read"):
        application.copy(app, tmp_path / "three")
    (app.folder / "gone.py").unlink()
    assert application.copy(app, tmp_path / "four").names == expected


def test_an_app_that_an_outer_repository_ignores_is_not_empty(tmp_path: Path, write: Write) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("app/\n")
    assert application.copy(write({"a.py": ""}), tmp_path / "out").names == {
        "a.py", "lambda_function.py",
    }  # fmt: skip


def test_programs_stay_programs(tmp_path: Path, write: Write) -> None:
    app = write({"bin/tool": "#!/bin/sh\n", "data": ""})
    (app.folder / "bin/tool").chmod(0o700)
    (app.folder / "data").chmod(0o600)
    application.copy(app, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out/data").stat().st_mode) == 0o644


def test_the_content_of_src_lies_at_the_top(tmp_path: Path, write: Write) -> None:
    app = write({
        "lambda_function.py": "from shop.app import app\nhandler = app\n",
        "src/shop/__init__.py": "", "src/shop/app.py": "app = 1", "src/shop/data.json": "",
    })  # fmt: skip
    assert application.copy(app, tmp_path / "out").names == {
        "lambda_function.py", "shop/__init__.py", "shop/app.py", "shop/data.json",
    }  # fmt: skip
    (app.folder / "shop").mkdir()
    (app.folder / "shop" / "data.json").touch()
    with pytest.raises(CommandError, match=r"would both be shop/data\.json"):
        application.copy(app, tmp_path / "two")


def test_of_sunup_only_the_run_time_room_goes_in(tmp_path: Path) -> None:
    room.prepare(tmp_path)
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


def test_the_migrations_stay_out_wherever_they_are(tmp_path: Path, write: Write) -> None:
    app = write(
        {
            "pyproject.toml": '[tool.sunup]\nmigrations = "db/alembic"',
            "db/alembic/env.py": "",
            "db/models.py": "",
            "alembic/data.txt": "",
        }
    )
    assert app.migrations == app.folder / "db" / "alembic"
    assert application.copy(app, tmp_path / "out").names == {
        "db/models.py", "alembic/data.txt", "lambda_function.py",
    }  # fmt: skip


def test_a_link_beside_its_folder_takes_nothing_from_it(tmp_path: Path, write: Write) -> None:
    """Of `alias -> pkg` the folder was lost, since the link comes first."""
    app = write({"pkg/__init__.py": "", "deep/x": ""})
    (app.folder / "alias").symlink_to("pkg")
    (app.folder / "deep/a").symlink_to("../pkg")
    (app.folder / "deep/b").symlink_to("../pkg")
    (app.folder / "outer").symlink_to("deep")
    (app.folder / "pkg/up").symlink_to("../deep")
    names = {each for each in application.copy(app, tmp_path / "one").names if "/up" not in each}
    packages = {"pkg", "alias", "deep/a", "deep/b", "outer/a", "outer/b"}
    assert names == {
        "lambda_function.py", "deep/x", "outer/x", *(f"{each}/__init__.py" for each in packages),
    }  # fmt: skip
    git(app.folder, "init", "-q")
    git(app.folder, "add", ".")
    assert {
        each for each in application.copy(app, tmp_path / "two").names if "/up" not in each
    } == names


def test_what_git_ignores_stays_out_also_behind_a_link(tmp_path: Path, write: Write) -> None:
    app = write({"common/.gitignore": "junk.txt\n", "common/junk.txt": "", "common/x": ""})
    git(app.folder, "init", "-q")
    (app.folder / "link").symlink_to("common")
    names = application.copy(app, tmp_path / "out").names
    assert not [each for each in names if "junk" in each]
    assert {"link/x", "common/x"} <= names


def test_an_inner_gitignore_takes_back_what_an_outer_one_ignores(
    tmp_path: Path, write: Write
) -> None:
    files_ = {
        ".gitignore": "*.csv\n!\n",
        "data/.gitignore": "!*.csv\n",
        "data/x.csv": "",
        "y.csv": "",
    }
    app = write(files_)
    names = application.copy(app, tmp_path / "one").names
    git(app.folder, "init", "-q")
    assert names == application.copy(app, tmp_path / "two").names
    assert "data/x.csv" in names
    assert "y.csv" not in names


def test_a_submodule_that_is_not_checked_out_is_told(tmp_path: Path, write: Write) -> None:
    app = write({})
    git(app.folder, "init", "-q")
    commit = "0123456789012345678901234567890123456789"
    git(app.folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},vend")
    (app.folder / "vend").mkdir()
    with pytest.raises(CommandError, match="vend is a git submodule that is not checked") as raised:
        application.copy(app, tmp_path / "out")
    assert raised.value.cure == "Run git submodule update --init."
    (app.folder / "vend").rmdir()
    assert application.copy(app, tmp_path / "two").names == {"lambda_function.py"}


@pytest.mark.parametrize("why", ["no git", "refused"])
def test_where_git_cannot_be_asked_nothing_is_taken_for_not_ignored(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    app = write({"private/x.txt": ""})
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("private/\n")
    with monkeypatch.context() as patched:
        if why == "no git":
            patched.setenv("PATH", str(tmp_path))
        else:
            (tmp_path / ".git/config").write_text("[core\n")
        with pytest.raises(CommandError, match="git cannot list its files: ") as raised:
            application.copy(app, tmp_path / "out")
        expected = "git is not on PATH" if why == "no git" else "bad config"
        assert expected in raised.value.what
    (tmp_path / ".git/config").write_text("")
    assert application.copy(app, tmp_path / "two").names == {"lambda_function.py"}


def test_the_package_is_not_part_of_the_package(tmp_path: Path, write: Write) -> None:
    app = write({"artifacts/api.zip": "old", "artifacts/other.zip": "", "lambda.zip.part": ""})
    copied = application.copy(app, tmp_path / "out", app.folder / "artifacts/api.zip")
    assert copied.names == {"lambda_function.py", "artifacts/other.zip"}


def test_what_git_tracks_is_the_app_s_also_in_dist(tmp_path: Path, write: Write) -> None:
    app = write({"dist/app.js": "", "build/x": "", ".well-known/security.txt": "", ".hidden": ""})
    git(app.folder, "init", "-q")
    git(app.folder, "add", "dist")
    assert application.copy(app, tmp_path / "out").names == {
        "lambda_function.py", "dist/app.js", ".well-known/security.txt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ("migrations = './lib/db/'", "lib/db"),
        ("migrations = 'lib//db'", "lib/db"),
        ("terraform = 'infra/aws'", "infra/aws"),
    ],
)
def test_folders_that_are_named_stay_out_however_they_are_written(
    tmp_path: Path, write: Write, table: str, folder: str
) -> None:
    app = write({f"{folder}/x.json": "", "pyproject.toml": f"[tool.sunup]\n{table}\n"})
    assert application.copy(app, tmp_path / "out").names == {"lambda_function.py"}


def test_a_pattern_that_is_none_is_told(tmp_path: Path, write: Write) -> None:
    for name in ("include", "exclude"):
        app = write({"pyproject.toml": f'[tool.sunup]\n{name} = ["!"]\n'})
        with pytest.raises(CommandError, match=rf"\[tool\.sunup\] {name}: .*'!'"):
            application.copy(app, tmp_path / name)


def test_a_name_that_no_zip_file_can_have_is_told(tmp_path: Path, write: Write) -> None:
    app = write({})
    path = os.fsencode(app.folder) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).touch()
    with pytest.raises(CommandError, match=r"caf\\xe9\.txt' is not UTF-8"):
        application.copy(app, tmp_path / "out")


def test_a_file_and_a_folder_of_one_name_are_told(tmp_path: Path, write: Write) -> None:
    app = write({
        "lambda_function.py": "from shop import app\n", "src/shop/__init__.py": "", "shop": "",
    })  # fmt: skip
    with pytest.raises(CommandError, match=r"shop and src/shop/__init__.py would both be shop"):
        application.copy(app, tmp_path / "out")
