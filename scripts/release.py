"""Prepares a release: the version, the changelog, the sdist and the wheel; commits nothing.

python scripts/release.py 1.2.3

What it made is read, committed and tagged by a person; the tag lets .github/workflows/release.yml
publish it, with attestations of where it was built.
"""

import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSION = ROOT / "src" / "sunup" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG.md"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", arguments[0]):
        sys.exit("Name the version: make release VERSION=1.2.3")
    version = arguments[0]
    if git("status", "--porcelain"):
        sys.exit("The tree has changes: commit or stash them first.")
    if git("tag", "--list", f"v{version}"):
        sys.exit(f"There is a tag v{version} already.")
    source, changelog = VERSION.read_text(), CHANGELOG.read_text()
    VERSION.write_text(with_version(source, version))
    CHANGELOG.write_text(with_release(changelog, version, datetime.now(UTC).date()))
    try:
        run(sys.executable, "scripts/try_distribution.py")
        run(sys.executable, "-m", "hatchling", "build", "-d", "dist")
    except subprocess.CalledProcessError:
        VERSION.write_text(source)
        CHANGELOG.write_text(changelog)
        sys.exit("The distributions do not work: version and changelog are as they were.")
    print(f"\nRead it, then:  git commit -am 'Release {version}' && git tag -a v{version}")


def with_version(source: str, version: str) -> str:
    """The module with the version in it."""
    pattern, line = r'^__version__ = "[^"]+"', f'__version__ = "{version}"'
    changed, count = re.subn(pattern, line, source, flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"{VERSION} has no __version__.")
    return changed


def with_release(changelog: str, version: str, day: date) -> str:
    """The changelog with what was unreleased under the version."""
    head = "## [Unreleased]\n"
    if changelog.count(head) != 1:
        sys.exit(f"{CHANGELOG} has no [Unreleased].")
    return changelog.replace(head, f"{head}\n## [{version}] - {day.isoformat()}\n")


def git(*arguments: str) -> str:
    """What git says."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def run(*command: str) -> None:
    """Run a command at the root."""
    subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1:])
