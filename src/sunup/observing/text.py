"""The text of a statement without what may be somebody's data."""

import re

_LONGEST = 2000
# What is looked at: beyond it a statement is cut.
_READ = 8000

# PostgreSQL, "Lexical Structure". A token begins where the one before has ended; each alternative
# takes what it can in one pass. Identifiers are taken whole, since they may have digits and `$`.
_TOKEN = re.compile(
    r"""(?P<escapes>[eE]'(?:[^'\\]|''|\\.)*'(?:(?:\s|--[^\n]*\n)*'(?:[^'\\]|''|\\.)*')*)"""
    r"""|(?P<text>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')"""
    r"""|(?P<quoted>"(?:[^"]|"")*")"""
    r"""|(?P<parameter>\$\d+(?![\w$])|%s|%\([^()'"$]*\)s)"""
    r"""|\$(?P<tag>(?:[^\W\d]\w*)?)\$"""
    r"""|(?P<opened>(?:[eEbBxXnN]|[uU]&)?'|["$]|%\([^()]*\)s)"""
    r"""|(?P<word>[^\W\d][\w$]*)"""
    r"""|(?P<number>\.?\d(?:[eE][+-]\d|[\w.])*)"""
    r"""|(?P<comment>--[^\n]*)"""
    r"""|(?P<block>/\*)"""
    r"""|(?P<space>\s+)""",
    re.DOTALL,
)
_IN_BLOCK = re.compile(r"/\*|\*/")

# Statements that have no literals are the same each time.
_plain: dict[str, str] = {}
_MOST_KEPT = 256


def without_literals(text: str) -> str:
    """The statement on one line, each literal as `?`, comments left out.

    Where a literal's end is in doubt (a backslash before it means another thing with
    `standard_conforming_strings` off), the rest is left out.
    """
    text = str(text)[:_READ]
    known = _plain.get(text)
    if known is not None:
        return known
    made = " ".join("".join(_parts(text)).split())[:_LONGEST]
    if made == " ".join(text.split()) and len(_plain) < _MOST_KEPT:
        _plain[text] = made
    return made


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at, end = 0, len(text)
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            parts.append(text[at])
            at += 1
            continue
        at = found.end()
        kind = found.lastgroup
        if kind in ("word", "quoted", "parameter"):
            parts.append(found[0])
        elif kind in ("escapes", "number"):
            parts.append("?")
        elif kind == "text":
            parts.append("?")
            if found[0].endswith("\\'"):
                break
        elif kind == "tag":
            parts.append("?")
            closed = text.find(f"${found['tag']}$", at)
            if closed < 0:
                break
            at = closed + len(found["tag"]) + 2
        elif kind == "opened":
            parts.append("?")
            break
        else:
            parts.append(" ")
            if kind == "block":
                at = _end_of_block(text, at)
    return parts


def _end_of_block(text: str, at: int) -> int:
    """Where a comment ends: they nest."""
    depth = 1
    for found in _IN_BLOCK.finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return len(text)
