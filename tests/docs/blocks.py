"""The code blocks of a page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")])

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PLACE = re.compile(r"# (?P<path>[\w./-]*\.\w+)(?P<rest>.*)\n")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> tuple[str, bool] | None:
        """The file that the first line names, and whether the block is to be added to it."""
        found = _PLACE.match(self.text)
        return (found["path"], "at its end" in found["rest"]) if found else None

    @property
    def commands(self) -> list[str]:
        """A shell's lines, without prompts, comments and what is printed."""
        text = self.text.replace("\\\n", " ")
        if self.language == "console":
            lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
        else:
            lines = text.splitlines()
        # A comment stands after two spaces, or begins the line.
        bare = [re.sub(r"(^|\s\s+)#\s.*$", "", line).strip() for line in lines]
        return [line for line in bare if line]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
    ]
