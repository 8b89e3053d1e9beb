"""What a sandbox's memory setting grants: memory, and a share of the processor.

Lambda Developer Guide, "Configure Lambda function memory": 1,769 MB are one processor, and the
share is proportional to the memory. INIT has the full processor whatever the memory (not
documented; see docs/emulator.md).
"""

import os
from contextlib import suppress
from pathlib import Path

import psutil

ONE_PROCESSOR_MB = 1769
_PERIOD_US = 20_000
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


class ProcessorShare:
    """A cgroup of one instance. Where cgroups cannot be written, `available` is false."""

    def __init__(self, name: str, memory: int) -> None:
        self._quota = max(1000, _PERIOD_US * memory // ONE_PROCESSOR_MB)
        self._unified = (_V2 / "cgroup.controllers").exists()
        root = _V2 if self._unified else _V1
        self._folder = root / f"sunup-{os.getpid()}-{name}"
        self.available = False
        with suppress(OSError):
            if not self._unified and not (root / "cpu.cfs_quota_us").exists():
                return
            self._folder.mkdir()
            self.available = True
            self.release()

    def add(self, pid: int) -> None:
        """Put a process, which has no children yet, into the group."""
        if self.available:
            try:
                (self._folder / "cgroup.procs").write_text(str(pid))
            except OSError:
                self.remove()

    def entered_by(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The command, put into the group before it begins: it may start others at once."""
        if not self.available:
            return command
        procs = str(self._folder / "cgroup.procs")
        return ("/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', procs, *command)

    def limit(self) -> None:
        """Grant the share of the memory setting."""
        self._write(self._quota)

    def release(self) -> None:
        """Grant the full processor."""
        self._write(None)

    def pids(self) -> list[int]:
        """The processes in the group: what was put there and all its children."""
        with suppress(OSError):
            if self.available:
                return [int(line) for line in (self._folder / "cgroup.procs").read_text().split()]
        return []

    def remove(self) -> None:
        """Remove the group, whose processes have ended."""
        if self.available:
            self.available = False
            with suppress(OSError):
                self._folder.rmdir()

    def _write(self, quota: int | None) -> None:
        if not self.available:
            return
        try:
            if self._unified:
                (self._folder / "cpu.max").write_text(f"{quota or 'max'} {_PERIOD_US}")
            else:
                (self._folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (self._folder / "cpu.cfs_quota_us").write_text(str(quota or -1))
        except OSError:
            self.remove()


def processor_share_available() -> bool:
    """Whether this process may write cgroups; root may, unless it is in a container.

    Also removes the groups that killed emulators have left.
    """
    for folder in [*_V1.glob("sunup-*"), *_V2.glob("sunup-*")]:
        number = folder.name.split("-")[1]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            with suppress(OSError):
                folder.rmdir()
    probe = ProcessorShare("probe", ONE_PROCESSOR_MB)
    available = probe.available
    probe.remove()
    return available


def peak_megabytes(pid: int) -> float:
    """The most memory that a process ever held, in MB; 0 when it has ended.

    As Linux keeps it (proc(5), VmHWM). Elsewhere what it holds now.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    with suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    return 0.0
