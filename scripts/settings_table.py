"""Writes the table in docs/settings.md, from `sunup.settings.VARIABLES`.

python scripts/settings_table.py
"""

import re
from pathlib import Path

from sunup.settings import VARIABLES, Settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def table() -> str:
    """The table in Markdown."""
    defaults = Settings()
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for each in VARIABLES:
        value = getattr(defaults, each.field)
        plain = f"{value:g}" if isinstance(value, float) else str(value or "")
        default = each.default or (f"`{plain}`" if plain else "")
        lines.append(f"| `{each.name}` | {default} | {each.meaning} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The page with the table as it should be."""
    return re.sub(r"\| variable \| default .*?\n(?=\n)", lambda _: table(), text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
