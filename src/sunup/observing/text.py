"""The text of a statement without what may be somebody's data."""

import re
from functools import lru_cache

_LONGEST = 2000

# What is written into a statement instead of being a parameter: texts, bits, numbers, and what a
# comment says. A quoted name stays.
_PARTS = re.compile(
    r"""(?P<name>"(?:[^"]|"")*"|\$\d+|%\(\w+\)s|%s)"""
    r"""|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<text>\b[Ee]'(?:[^'\\]|''|\\.)*(?:'|\Z)"""
    r"""|(?:\b[BbXxNn]|\b[Uu]&)?'(?:[^']|'')*(?:'|\Z)"""
    r"""|\$(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z)|\$\$.*?(?:\$\$|\Z))"""
    r"""|(?P<number>(?<![\w.])(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"""
    r"""|\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?|\.\d+)(?![\w.]))""",
    re.DOTALL,
)


@lru_cache(maxsize=256)
def without_literals(text: str) -> str:
    """The statement on one line, each literal as `?`, comments left out."""
    plain = _PARTS.sub(_instead, text[: 4 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST]


def _instead(found: re.Match[str]) -> str:
    if found["name"] is not None:
        return found[0]
    return " " if found["comment"] is not None else "?"
