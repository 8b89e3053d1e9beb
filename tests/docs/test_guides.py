"""The guides are followed, block by block, in an empty folder: files written, commands run."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sunup.local import postgres

from ..local.cli.test_dev import free_port
from .blocks import ROOT, Block, blocks

BIN = Path(sys.executable).parent
# What is installed here already, and what a shell does.
LEFT_OUT = ("pip install", "python3 -m venv")
STAYS = ("sunup dev", "sunup emulate")


class Reader:
    """Follows a page. What stays running, runs until the next that does, or the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: str(free_port()) for name in ("3000", "3001", "5433")}
        self.running: subprocess.Popen[bytes] | None = None
        self.log = folder.parent / "running.log"
        self.printed = ""
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DB_")},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
        }
        self.environ.pop("CI", None)  # a laptop

    def follow(self, page: Path, after: str = "") -> None:
        """All blocks, or those after a line."""
        begin = page.read_text().partition(after)[0].count("\n") if after else 0
        for block in blocks(page):
            if block.line > begin:
                self.block(block)
        self.end()

    def block(self, block: Block) -> None:
        if block.place is not None:
            name, added = block.place
            path = self.folder / name
            assert not added or path.is_file(), block
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((path.read_text() if added else "") + block.text)
            if self.running is not None:
                time.sleep(3)  # it is seen, and what follows from it is done
        elif block.language in ("sh", "console"):
            for line in block.commands:
                self.command(line, block)

    def command(self, line: str, block: Block) -> None:
        if line.startswith(LEFT_OUT):
            return
        if line.startswith("cd "):
            self.folder = self.folder / line[3:]
            return
        for port, free in self.ports.items():
            line = line.replace(f"localhost:{port}", f"localhost:{free}").replace(port, free)
        if line.startswith(STAYS):
            self.start(line)
            return
        line = line.replace("sunup init", "sunup init --yes")  # nobody can be asked
        # curl fails on an error's status, and says what was answered.
        line = re.sub(r"^curl ", "curl --silent --show-error --fail-with-body ", line)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=100,
        )  # fmt: skip
        self.printed += done.stdout
        assert done.returncode == 0, f"{block}: {line}\n{done.stdout}{done.stderr}{self.told()}"

    def start(self, line: str) -> None:
        self.end()
        line += f" --port {self.ports['3000']}"
        if line.startswith("sunup emulate"):
            line += f" --console-port {self.ports['3001']}"
        with self.log.open("wb") as log:
            self.running = subprocess.Popen(
                shlex.split(line), cwd=self.folder, env=self.environ, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, executable=BIN / "sunup",
            )  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.running.poll() is None, self.told()
            with suppress(urllib.error.URLError):
                try:
                    urllib.request.urlopen(
                        f"http://localhost:{self.ports['3000']}/", timeout=5
                    ).close()
                except urllib.error.HTTPError as error:  # an answer, too
                    error.close()
                return
            time.sleep(0.2)
        raise AssertionError(self.told())

    def end(self) -> None:
        if self.running is None:
            return
        running, self.running = self.running, None
        running.send_signal(signal.SIGINT)
        assert running.wait(30) in (0, 130), self.told()
        assert "Traceback" not in self.told(), self.told()

    def told(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "shop"
    folder.mkdir()
    found = Reader(folder)
    yield found
    if found.running is not None and found.running.poll() is None:
        os.killpg(found.running.pid, signal.SIGTERM)
        found.running.wait(30)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["start", "fastapi", "flask", "django"])
def test_a_guide_can_be_followed(reader: Reader, name: str) -> None:
    reader.follow(ROOT / "docs" / f"{name}.md")
    assert (reader.folder / "lambda.zip").is_file()
    assert "passed" in reader.printed or name == "django"
    if name == "start":
        assert "ada@example.com" in reader.printed
        assert re.search(r"0003_a_phone_number\.py\s+applied", reader.printed), reader.printed


def test_psql_gets_into_the_emulated_aurora(reader: Reader) -> None:
    shutil.copytree(
        ROOT / "examples" / "users", reader.folder, dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".sunup"),
    )  # fmt: skip
    reader.follow(ROOT / "docs" / "existing-cluster.md", "## psql into the emulated Aurora")
    assert re.search(r"^ app$", reader.printed, re.MULTILINE), reader.printed


def test_the_roles_of_an_ordinary_cluster_may_what_the_page_says(tmp_path: Path) -> None:
    """A server of its own: roles belong to a whole cluster."""
    [block] = [
        each for each in blocks(ROOT / "docs" / "existing-cluster.md") if each.language == "sql"
    ]
    with postgres.running(tmp_path / "data", durable=False) as variables:

        def psql(user: str, database: str, *arguments: str, text: str | None = None) -> str:
            where = ["-h", variables["DB_HOST"], "-U", user, "-d", database]
            done = subprocess.run(
                ["psql", "-X", "-v", "ON_ERROR_STOP=1", *where, *arguments],
                input=text, capture_output=True, text=True, check=False,
            )  # fmt: skip
            return done.stdout + done.stderr

        psql("postgres", "postgres", "-c", "create role rds_iam")
        assert "ERROR" not in psql("postgres", "postgres", text=block.text)
        psql("shop_migrate", "shop", "-c", "create table items (id serial, name text)")
        assert "INSERT 0 1" in psql(
            "shop_app", "shop", "-c", "insert into items (name) values ('lamp')"
        )
        for refused in ("create table more (id int)", "drop table items", "truncate items"):
            assert "ERROR" in psql("shop_app", "shop", "-c", refused), refused
