"""What the benchmarks share at the terminal: the machine's line, progress, checked numbers."""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path


def machine() -> str:
    """Processor, cores, system, Python and the day: what stands beside each figure."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    system, python = platform.system(), platform.python_version()
    today = datetime.now(UTC).date()
    return f"{model}, {os.cpu_count()} cores, {system}, Python {python}, {today}"


def positive(text: str) -> int:
    """For argparse: a whole number from 1 on."""
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")


def folder(text: str) -> Path:
    """For argparse: a folder, made where there is none; asked before minutes are spent."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return path


def rounds_wanted(description: str, default: int) -> int:
    """How often to measure, of a benchmark that asks for nothing else."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("rounds", type=positive, nargs="?", default=default)
    return int(parser.parse_args().rounds)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
