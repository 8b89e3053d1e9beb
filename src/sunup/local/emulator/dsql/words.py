"""SQL as words: what sqlglot's tokenizer makes of a text, cut into statements.

Only words are looked at, never a parsed tree: what a text means is the server's to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

_TEXTS = {
    TokenType.STRING,
    TokenType.HEREDOC_STRING,
    TokenType.BYTE_STRING,
    TokenType.UNICODE_STRING,
    TokenType.NATIONAL_STRING,
    TokenType.RAW_STRING,
}


class _Tokenizer(Postgres.Tokenizer):
    # Else the rest of a SHOW or a GRANT is one word.
    COMMANDS: ClassVar[set[TokenType]] = set()


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword or name in upper case, `"Name"`, `'text'` or a sign; its place in the statement."""

    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """What PostgreSQL calls it as an identifier, or the value of a string."""
        if self.text[:1] in ('"', "'"):
            return self.text[1:-1]
        return self.text.lower()


def statements(text: str) -> list[tuple[str, tuple[Word, ...]]]:
    """Each statement's text and words; a text that is no SQL is one statement without words."""
    try:
        tokens = _Tokenizer(dialect=_DIALECT).tokenize(text)
    except TokenError:
        return [(text, ())]
    found, words, begin = [], list[Word](), 0
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            if words:
                found.append((text[begin : token.start], tuple(words)))
            words, begin = [], token.end + 1
        else:
            words += _words(token, begin)
    if words:
        found.append((text[begin:], tuple(words)))
    return found


def _words(token: Token, begin: int) -> Iterator[Word]:
    start, end = token.start - begin, token.end - begin
    if token.token_type == TokenType.IDENTIFIER:
        yield Word(f'"{token.text}"', start, end)
    elif token.token_type in _TEXTS:
        yield Word(f"'{token.text}'", start, end)
    else:
        # Some are several words: ORDER BY.
        for part in token.text.upper().split():
            yield Word(part, start, end)


_DIALECT = Postgres()
