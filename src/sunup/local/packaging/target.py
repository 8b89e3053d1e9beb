"""What a package is made for: a Lambda runtime and a processor."""

import platform
import sys
from dataclasses import dataclass
from typing import Literal, get_args

from sunup.local.errors import CommandError

Arch = Literal["arm64", "x86_64"]

# glibc of each managed runtime: python3.11 is on Amazon Linux 2, the later ones are on Amazon
# Linux 2023 (Lambda Developer Guide, "Lambda runtimes").
_GLIBC_MINOR = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}
# Those that uv can be told (uv pip install --help): on Amazon Linux 2 the oldest.
_UV_GLIBC_MINORS = (17, 28, 31, 34)

# e_machine in an ELF header (elf.h): EM_AARCH64, EM_X86_64.
_ELF_MACHINES: dict[Arch, int] = {"arm64": 183, "x86_64": 62}
_MACHINES: dict[Arch, str] = {"arm64": "aarch64", "x86_64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """`python` is major.minor, such as 3.13."""

    python: str
    arch: Arch

    def __str__(self) -> str:
        """As a person says it."""
        return f"Python {self.python} on {self.arch}"

    @property
    def runtime(self) -> str:
        """Lambda's name for the runtime."""
        return f"python{self.python}"

    @property
    def machine(self) -> str:
        """Linux's name for the processor."""
        return _MACHINES[self.arch]

    @property
    def elf_machine(self) -> int:
        """The number that native modules have in their header."""
        return _ELF_MACHINES[self.arch]

    @property
    def uv_platform(self) -> str:
        """Uv's name for it: wheels for this glibc and older ones (PEP 600)."""
        known = [minor for minor in _UV_GLIBC_MINORS if minor <= _GLIBC_MINOR[self.python]]
        return f"{self.machine}-manylinux_2_{max(known)}"

    @property
    def glibc(self) -> str:
        """The newest glibc that a wheel may ask for."""
        return f"2.{_GLIBC_MINOR[self.python]}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment markers of the runtime (PEP 508), of its newest patch release."""
        full = f"{self.python}.99"
        return {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @property
    def runs_here(self) -> bool:
        """Whether this machine can execute what is made for the target."""
        return sys.platform == "linux" and platform.machine() == self.machine


def choose(python: str | None, arch: str | None) -> Target:
    """The target that was asked for; else the running Python and arm64. Raises `CommandError`."""
    python = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = python.removeprefix("python")
    arch = arch or "arm64"
    if python not in _GLIBC_MINOR:
        raise CommandError(
            f"sunup does not support the Lambda runtime python{python}",
            f"Use --python {' or '.join(_GLIBC_MINOR)}.",
        )
    for known in get_args(Arch):
        if arch == known:
            return Target(python, known)
    raise CommandError(f"Lambda has no architecture {arch!r}", "Use arm64 or x86_64.")
