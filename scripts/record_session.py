"""Records a terminal session for the README: real commands, their real output, as a picture.

python -m scripts.record_session [docs/session.svg]

In an empty folder, for a minute. Ports and folders are shown as a first user would have them;
what changes from one recording to the next is times.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
WIDTH = 108
URL = "http://localhost:3000"
CURL = "curl -s -w '   %{http_code} after %{time_total} s\\n'"
ADA = """'{"name":"Ada","email":"ada@example.com"}'"""


def main() -> None:
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "session.svg"
    with tempfile.TemporaryDirectory(prefix="sunup-session-") as name:
        session = Session(Path(name))
        try:
            record(session)
        finally:
            session.end()
    session.console.save_svg(str(target), title="sunup")
    print(f"{target}: {len(target.read_text()) // 1024} kB")


def record(session: "Session") -> None:
    session.run("sunup new shop")
    session.enter("shop")
    session.say("# Your API on a PostgreSQL of this machine, migrated, reloaded on change.")
    session.start("sunup dev", lines=3)
    session.run(f"{CURL} -X POST {URL}/users -H 'Content-Type: application/json' -d {ADA}")
    session.run('sunup migrate new "a phone number"')
    session.run("sunup migrate status")
    session.say("# Its tests, in an AWS on this machine.")
    session.run("pytest -q")
    session.end()
    session.say("# That AWS, with an Aurora that sleeps after 5 s and takes 8 s to wake.")
    session.start(
        "sunup emulate --pause-after 5 --resume-seconds 8 --env DB_IDLE_SESSION_TIMEOUT=5", lines=4
    )
    session.run(f"{CURL} {URL}/users")
    session.say("# Ten seconds later: the function is frozen, Aurora asleep. Someone calls.")
    session.asleep()
    session.run(f"{CURL} {URL}/users")
    session.end()
    session.run("sunup package")
    session.say(
        "# And to AWS: sunup database create, sunup deploy, sunup logs --follow, sunup rollback."
    )


class Session:
    """A terminal: what was typed, and what came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = Console(record=True, width=WIDTH, force_terminal=True, highlight=False)
        self.background: subprocess.Popen[str] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        # A first user has no pytest-asyncio, which would print advice.
        options = "-p no:asyncio -p no:cacheprovider"
        self.environ = {
            **kept, "PATH": path, "COLUMNS": str(WIDTH), "PYTEST_ADDOPTS": options, "NO_COLOR": "1",
        }  # fmt: skip
        self.environ.pop("CI", None)
        self.ports = {"3000": free_port(), "3001": free_port()}

    def real(self, command: str) -> str:
        """With the ports that are free here."""
        for shown, free in self.ports.items():
            command = command.replace(f"localhost:{shown}", f"localhost:{free}")
        return command

    def say(self, text: str) -> None:
        self.console.print(f"\n{text}", style="dim")

    def enter(self, name: str) -> None:
        self.console.print(prompt(f"cd {name}"))
        self.folder /= name

    def run(self, command: str) -> None:
        self.console.print(prompt(command))
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", self.real(command)], cwd=self.folder, env=self.environ, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{command}: {done.stdout}{done.stderr}")
        self.show(done.stdout + done.stderr)

    def start(self, command: str, lines: int) -> None:
        self.console.print(prompt(f"{command} &"))
        log = self.folder.parent / "log"
        options = ["--port", self.ports["3000"]]
        if "emulate" in command:
            options += ["--console-port", self.ports["3001"]]
        with log.open("w") as opened:
            self.background = subprocess.Popen(  # noqa: S603
                [*shlex.split(command), *options], cwd=self.folder, env=self.environ, stdout=opened,
                stderr=subprocess.STDOUT, text=True, executable=BIN / "sunup",
            )  # fmt: skip
        for _ in range(300):
            if self.background.poll() is not None:
                sys.exit(log.read_text())
            with suppress(urllib.error.URLError), suppress(urllib.error.HTTPError):
                urllib.request.urlopen(self.real(f"{URL}/health"))  # noqa: S310
                break
            time.sleep(0.2)
        self.show("\n".join(log.read_text().splitlines()[:lines]))

    def asleep(self) -> None:
        for _ in range(300):
            with urllib.request.urlopen(self.real("http://localhost:3001/state")) as state:  # noqa: S310
                if '"asleep"' in state.read().decode():
                    return
            time.sleep(0.5)
        sys.exit("Aurora does not fall asleep")

    def show(self, output: str) -> None:
        """What a command printed, without this machine's folders and ports."""
        for shown, free in self.ports.items():
            output = output.replace(free, shown)
        text = re.sub(rf"{re.escape(str(self.folder.parent))}/?", "~/", output.strip("\n"))
        if text:
            self.console.print(Text.from_ansi(text))

    def end(self) -> None:
        if self.background is not None and self.background.poll() is None:
            self.background.send_signal(signal.SIGINT)
            self.background.wait(30)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def prompt(command: str) -> Text:
    return Text.assemble(("$ ", "bold green"), (command, "bold"))


if __name__ == "__main__":
    main()
