"""What another Python brings to a heavy app: the instructions of its start and first request.

Valgrind counts them, the same number each time, on a busy machine too. The app is the FastAPI
example; the first request finds no route, so that no database is needed. Each interpreter has the
example's requirements.txt installed. From 3.15 on also with lazy imports (PEP 810).

python benchmarks/interpreters.py PYTHON ... [--write FOLDER]
"""

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import report
from terminal import folder, machine, progress

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "users_fastapi"

# Arguments: whether to answer a request, and whose imports are lazy: nobody's, those of all
# modules, or of all but SQLAlchemy's.
STARTED = """
import os, sys
ask, lazy = sys.argv[1:]
if lazy != "nobody":
    sys.set_lazy_imports("all")
    spared = "sqlalchemy" if lazy == "all but SQLAlchemy" else "no such module"
    sys.set_lazy_imports_filter(lambda by, what, names: not (by or "").startswith(spared))
from sunup import Handler
handler = Handler("app:app")
if ask == "yes":
    http = {"method": "GET", "path": "/nothing", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
    context = {"http": http, "stage": "$default", "timeEpoch": 0}
    event = {"version": "2.0", "rawPath": "/nothing", "rawQueryString": "", "headers": {},
        "requestContext": context, "isBase64Encoded": False}
    assert handler(event)["statusCode"] == 404
print("modules", len(sys.modules), flush=True)
os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="+", type=interpreter, metavar="PYTHON")
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        parser.error("valgrind is not installed")
    rows = [row for python in arguments.python for row in measured(python)]
    head = ("Python", "lazy imports", "start", "first request", "modules")
    text = report.table(head, rows)
    print(text)
    if arguments.write:
        place, _, date = machine().rsplit(", ", 2)
        page = f"{INTRODUCTION.format(machine=f'{place}, {date}')}\n{text}\n"
        (arguments.write / "interpreters.md").write_text(page, encoding="utf-8")


INTRODUCTION = """\
# Other Pythons, measured

Written by `benchmarks/interpreters.py`: do not edit. {machine}.

Millions of instructions (valgrind) until the FastAPI example with SQLAlchemy can answer, and of its first request, which
finds no route. Compare only interpreters that were built in the same way: profile-guided optimisation is worth more than
a version.
"""


def interpreter(text: str) -> str:
    path = shutil.which(text)
    if path is None:
        raise argparse.ArgumentTypeError(f"there is no {text}")
    found = subprocess.run(
        [path, "-c", "import fastapi, sqlalchemy"], capture_output=True, check=False
    )
    if found.returncode:
        needs = (EXAMPLE / "requirements.txt").relative_to(ROOT)
        raise argparse.ArgumentTypeError(f"{text} needs: {text} -m pip install -r {needs}")
    return path


def measured(python: str) -> list[tuple[str, ...]]:
    asked = "import platform, sys; print(platform.python_version(), hasattr(sys, 'lazy_modules'))"
    version, can = subprocess.check_output([python, "-c", asked], text=True).split()
    rows = []
    for lazy in ("nobody", *(("all", "all but SQLAlchemy") if can == "True" else ())):
        progress(f"{version}, lazy imports of {lazy}")
        start, _, problem = counted(python, "no", lazy)
        whole, modules, _ = (0, "", "") if problem else counted(python, "yes", lazy)
        name = {"nobody": "no"}.get(lazy, f"of {lazy}")
        if problem:
            rows.append((version, name, problem, "", ""))
        else:
            rows.append((version, name, millions(start), millions(whole - start), modules))
    progress("")
    return rows


def counted(python: str, ask: str, lazy: str) -> tuple[int, str, str]:
    """Instructions, modules and, in place of both, the error that ended it."""
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    environ = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(EXAMPLE))),
        "PYTHONHASHSEED": "0",
        "AWS_REGION": "eu-central-1",
        "DB_HOST": "db.example",
        "DB_USER": "app",
    }
    command = [python, "-c", STARTED, ask, lazy]
    # Bytecode is written before anything is counted.
    for each in (command, [*tool, *command]):
        done = subprocess.run(each, env=environ, capture_output=True, text=True, check=False)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    modules = re.search(r"modules (\d+)", done.stdout)
    if done.returncode or found is None or modules is None:
        errors = re.findall(r"^(\w*(?:Error|Exception)): ", done.stderr, re.MULTILINE)
        return 0, "", f"ends with {errors[0]}" if errors else "ends"
    return int(found[1].replace(",", "")), modules[1], ""


def millions(count: int) -> str:
    return f"{count / 1e6:,.0f}"


if __name__ == "__main__":
    main()
