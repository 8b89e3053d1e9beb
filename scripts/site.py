"""Builds the site of docs/: python -m scripts.site [--output FOLDER]. A dead link is an error.

What is in docs/ reads well in a repository's browser, too. For the site a copy is made, in which
links to files elsewhere in the repository lead to pages with their content. The commands' page is
added, as Typer describes them.
"""

import argparse
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*?$", re.DOTALL | re.MULTILINE)
_LANGUAGES = {
    ".py": "python",
    ".toml": "toml",
    ".tf": "terraform",
    ".example": "ini",
    ".md": "markdown",
    ".mako": "mako",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", metavar="FOLDER")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="sunup-site-") as name:
        source = Path(name)
        prepare(source)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "sphinx", "--builder=html", "--fail-on-warning", "--keep-going",
             "--quiet", "--fresh-env", "--jobs=auto", source, output],
            check=False, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
    if done.returncode:
        sys.exit("The site has dead links, or other defects: they are above.")
    print(f"{output / 'index.html'}: {len(list(output.rglob('*.html')))} pages.")


def prepare(source: Path) -> None:
    """Write the pages from which Sphinx makes the site."""
    shutil.copytree(DOCS, source, dirs_exist_ok=True)
    (source / "commands.md").write_text(commands())
    decisions = source / "decisions" / "README.md"
    numbered = "```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"
    decisions.write_text(f"{decisions.read_text()}\n{numbered}")
    site = _Site(source)
    for page in sorted(source.rglob("*.md")):
        inside = page.relative_to(source)
        page.write_text(site.linked(page.read_text(), DOCS / inside, inside))
    site.page(ROOT / "CHANGELOG.md")
    (source / "repository" / "index.md").write_text(site.contents())


def commands() -> str:
    """The page of the commands, as Typer's own generator writes it."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "sunup.local.cli.commands", "utils", "docs",
         "--name", "sunup", "--title", "Commands"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    # Its text is escaped as HTML is, also in code.
    return html.unescape(done.stdout)


class _Site:
    """The pages that links lead to, beside those of docs/."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.made: dict[Path, str] = {}

    def linked(self, text: str, original: Path, inside: Path) -> str:
        """`text` with links that stay within the site. `inside` is where it stands there."""

        def replaced(found: re.Match[str]) -> str:
            target = (original.parent / found["path"]).resolve()
            if target.is_relative_to(DOCS):
                place = target.relative_to(DOCS)
            elif target.is_relative_to(ROOT) and target.exists():
                place = Path(self.page(target))
            else:
                return found[0]  # Sphinx says that it leads nowhere
            up = os.path.relpath(place, inside.parent)
            return up + (found["anchor"] or "")

        parts, last = [], 0
        for fence in _FENCE.finditer(text):
            parts += [_LINK.sub(replaced, text[last : fence.start()]), fence[0]]
            last = fence.end()
        return "".join([*parts, _LINK.sub(replaced, text[last:])])

    def page(self, target: Path) -> str:
        """Make the page of a file or folder of the repository; its path in the site."""
        name = target.relative_to(ROOT)
        inside = Path("repository", f"{name}.md" if name.suffix != ".md" else name)
        if target in self.made:
            return str(inside)
        self.made[target] = str(inside)
        (self.source / inside).parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            text = self._folder(target, name)
        elif target.suffix == ".md":
            text = target.read_text()
        else:
            text = f"# {name}\n\n{_code(target)}"
        origin = target / "README.md" if target.is_dir() else target
        (self.source / inside).write_text(self.linked(text, origin, inside))
        return str(inside)

    def _folder(self, target: Path, name: Path) -> str:
        """What its README says, then each file."""
        ignored = GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text().splitlines())
        files = [
            path.relative_to(target)
            for path in sorted(target.rglob("*"))
            if path.is_file() and not ignored.match_file(path.relative_to(ROOT))
        ]
        readme = target / "README.md"
        text = readme.read_text() if readme.is_file() else f"# {name}\n"
        shown = [
            path for path in files if path.name != "README.md" and (target / path).stat().st_size
        ]
        parts = [f"## `{path}`\n\n{_code(target / path)}" for path in shown]
        return "\n\n".join([text.rstrip(), *parts]) + "\n"

    def contents(self) -> str:
        """Names what lies outside of the table of contents."""
        pages = "\n".join(
            sorted(Path(page).relative_to("repository").as_posix() for page in self.made.values())
        )
        return f"---\norphan: true\n---\n\n# Files\n\n```{{toctree}}\n{pages}\n```\n"


def _code(path: Path) -> str:
    language = _LANGUAGES.get(path.suffix, "text")
    return f"````{language}\n{path.read_text().rstrip()}\n````"


if __name__ == "__main__":
    main()
