"""Runs uv, which resolves and fetches for the target whatever this machine is.

It reads requirements files with all that pip's may have (`-r`, `-c`, indexes, markers, hashes),
and the `[tool.uv]` of the app's own folder.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from sunup.local.errors import CommandError

from .target import Target

# A distribution, with its extras and markers, and its version, in uv's words.
_NO_WHEEL = re.compile(
    r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\]|\{[^}]*\})*(?:[=><]=?(\S+))? has no (?:usable )?wheels"
)
_NO_WHEEL_IN_LOCK = re.compile(r"Package `([^`]+)`()[^`]* marked as `--no-build`")
_ON_AMAZON_LINUX_2 = "3.11"

# What is at a path or a URL, and has to be built: to be installed, or to know what it needs.
_SOURCE = re.compile(
    r"(?:disabled, but attempted to build `|build `(?=[\w.-]+ @ [^`]*`\s+cause: Building source "
    r"distributions for `[\w.-]+` is disabled))([\w.-]+)"
)
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")

# Enough for a project whose parts lie in folders of their own.
_MOST_LOCAL = 50


def program() -> str:
    """Uv: the one that was installed with sunup, else on PATH. Raises `CommandError`."""
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise CommandError("uv is not installed", "Install it: pip install 'sunup[deploy]'")
    return found


def export(folder: Path, output: Path) -> None:
    """Write what the folder's uv.lock pins as a pylock.toml. Raises `CommandError`.

    Not as a requirements file, which cannot say from which index a distribution is.
    """
    command = ["export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-editable"]
    command += ["--format=pylock.toml", f"--output-file={output}", "--quiet"]
    result = _run(command, folder)
    if result.returncode:
        raise CommandError(f"uv.lock: {_reason(result.stderr)}", "Lock again: uv lock")


def compile_pins(folder: Path, arguments: Sequence[str]) -> None:
    """`uv pip compile` in the app's folder. Raises `CommandError`."""
    result = _run(["pip", "compile", "--quiet", "--python", sys.executable, *arguments], folder)
    if result.returncode:
        raise _failure(result.stderr, None)


def install(
    arguments: Sequence[str],
    target: Target,
    into: Path,
    folder: Path,
    sources: Sequence[str] = (),
    index: str | None = None,
) -> tuple[str, ...]:
    """Install wheels for the target; returns the names of what was built here from source.

    That is local folders and repositories only: never what comes from an index. `sources` are
    those of them that are known before. `folder` is the app's, from which relative paths are
    seen. `index` is that of the requirements file: as with pip none of the environment's comes
    before it. Raises `CommandError`.
    """
    command = ["pip", "install", "--quiet", "--python", sys.executable, "--target", str(into)]
    command += ["--python-platform", target.uv_platform, "--python-version"]
    # The newest patch release, which Lambda has: markers may ask for it.
    command += [target.environment["python_full_version"]]
    command += ["--link-mode=copy", "--no-editable", "--only-binary", ":all:"]
    built = list(sources)
    for _ in range(_MOST_LOCAL):
        allowed = [part for name in built for part in ("--no-binary", name)]
        result = _run([*command, *allowed, *arguments], folder, index)
        if not result.returncode:
            return tuple(built)
        wanted = _SOURCE.search(result.stderr)
        if wanted is None or wanted[1] in built:
            break
        built.append(wanted[1])
    raise _failure(result.stderr, target)


def _run(
    arguments: Sequence[str], folder: Path, index: str | None = None
) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    if index is not None:
        for name in _INDEXES:
            # The same one may be there with a password.
            same = [each for each in environ.pop(name, "").split() if _place(each) == _place(index)]
            environ.update({name: " ".join(same)} if same else {})
    # This machine's certificates, as pip takes them: a company's proxy has its own authority.
    for name in ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"):  # the second is its name in older versions
        environ.setdefault(name, "true")
    return subprocess.run(  # noqa: S603
        [program(), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        # Its messages are read: wrapped, they would be others.
        env={**environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", "COLUMNS": "10000"},
    )


def _place(index: str) -> str:
    """An index without its name and its password, as UV_INDEX may have them."""
    return re.sub(r"^(?:[\w.-]+=)?([a-z+]+://)(?:[^/@]*@)?", r"\1", index).rstrip("/")


def _failure(output: str, target: Target | None) -> CommandError:
    said = " ".join(output.split())
    missing = _NO_WHEEL.search(said) or _NO_WHEEL_IN_LOCK.search(said)
    if missing and target is not None:
        older = target.python == _ON_AMAZON_LINUX_2
        return CommandError(
            f"{missing[1]}{f' {missing[2]}' if missing[2] else ''} has no wheel for {target} "
            f"(glibc {target.glibc})",
            "Newer Lambda runtimes accept newer wheels: pass --python 3.13."
            if older
            else (
                "Choose another version or another target, or build the wheel and set "
                "UV_FIND_LINKS to its folder."
            ),
        )
    unhashed = re.search(r"no trusted hash was provided for: (\S+)", said)
    if unhashed:
        return CommandError(
            f"{unhashed[1]} is needed, but has no hash: if one requirement has a hash, all must "
            "have one",
            "Pin them again: sunup pin.",
        )
    if "Hash mismatch for" in said:
        named = re.findall(r"Hash mismatch for `([^`]+)`", said)
        return CommandError(
            f"the index has another file for {', '.join(dict.fromkeys(named))} than the one that "
            "was pinned",
            "The file or the index changed after it was pinned. If you trust the new file, pin "
            "again: sunup pin.",
        )
    unknown = re.search(r"Because (\S+) was not found in the package registry", said)
    if unknown:
        return CommandError(
            f"no package index has {unknown[1]}",
            "Check its name, or add its index in requirements.txt (--extra-index-url ...) or in "
            "[tool.uv].",
        )
    of_index = "Git operation failed" not in said
    if of_index and re.search(
        r"error sending request|dns error|Could not connect|tcp connect error", said
    ):
        place = re.search(r"https?://[^/\s)]+", said)
        what = "what a requirement names" if " @ http" in said else "the package index"
        return CommandError(
            f"{what} cannot be reached{f': {place[0]}' if place else ''}",
            "Is this machine offline, or behind a proxy (HTTPS_PROXY)?",
        )
    unsolved = target is not None and "No solution found" in said
    return CommandError(f"uv: {_reason(output)}", "Pin again: sunup pin." if unsolved else "")


def _reason(output: str) -> str:
    """What uv could not do, and why, on one line, without passwords and temporary places."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    causes = [line.partition(":")[2].strip() for line in lines if line.startswith("cause:")]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("error:")]
    # Of git, or of a build.
    theirs = [line for line in lines if re.match(r"fatal: |\w*(Error|Exception): ", line)]
    said = [*errors[:1], *(theirs[-1:] or causes[:1])] or lines[-1:] or ["it failed"]
    text = re.sub(r" @ file:[^`]*", "", ": ".join(said))
    return re.sub(r"://[^/@\s]*@", "://", text)
