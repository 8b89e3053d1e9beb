"""What an SQL statement of a migration does to code that does not know it.

Known to be harmless is what adds; all else is named, also what nobody can judge from its text, such
as the body of DO: a rollback that asks once too often is better than one that breaks.
"""

import re
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Data, sessions and rights that are given: no code relies on their absence.
_HARMLESS = _words(
    "select values with insert update delete merge copy set reset show comment analyze vacuum "
    "reindex cluster refresh grant lock begin start commit end savepoint release checkpoint notify "
    "explain import security"
)
_ADDED = _words(
    "table sequence view schema extension type domain collation statistics role user group "
    "function procedure aggregate operator cast publication server foreign text access "
    "conversion language transform"
)
_MODIFIERS = _words("global local temp temporary unlogged materialized recursive default")
_TABLE_ACTIONS = _words("owner validate cluster replica reset attach set")
_CONSTRAINTS = _words("constraint check unique primary foreign exclude not")
_DEFAULTS = _words("default generated serial bigserial smallserial serial4 serial8 serial2")


class Text:
    """The words of one statement, read from the left; names are as they were written."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def take(self, *words: str) -> bool:
        """Whether these words come next; then they are read."""
        if [each.lower() for each in self.words[: len(words)]] != list(words):
            return False
        del self.words[: len(words)]
        return True

    def next(self) -> str:
        """The next word, in small letters; not read."""
        return self.words[0].lower() if self.words else ""

    def skip(self, words: frozenset[str]) -> None:
        """Read all of these that come next."""
        while self.next() in words:
            del self.words[0]

    def name(self) -> str:
        """An object's name, with its schema where one is said."""
        for each in (("concurrently",), ("if", "exists"), ("if", "not", "exists"), ("only",)):
            self.take(*each)
        found = self.words[:1]
        del self.words[:1]
        while self.next() == "." and len(self.words) > 1:
            found += self.words[:2]
            del self.words[:2]
        return "".join(found)

    def has(self, *words: str) -> bool:
        """Whether the words are somewhere in the rest, beside one another."""
        rest = [each.lower() for each in self.words]
        return any(rest[at : at + len(words)] == list(words) for at in range(len(rest)))

    def parts(self) -> Iterator["Text"]:
        """What is between the commas that stand in no parentheses."""
        depth, part = 0, list[str]()
        for word in self.words:
            depth += (word == "(") - (word == ")")
            if word == "," and depth == 0:
                yield Text(part)
                part = []
            else:
                part.append(word)
        yield Text(part)


def breaks(sql: str) -> Iterator[str]:
    """What in these statements of one migration may break older code, in words.

    Raises `ValueError` for what has no end, such as a string.
    """
    made: set[str] = set()
    for text in _statements(sql):
        reason = _judged(text, made)
        if reason is not None:
            yield reason


def ends_transaction(sql: str) -> bool:
    """Whether one of the statements is COMMIT."""
    if not re.search(r"\b(?:commit|end)\b", sql, re.IGNORECASE):
        return False
    try:
        return any(text.next() in ("commit", "end") for text in _statements(sql))
    except ValueError:
        return False


def _statements(sql: str) -> Iterator[Text]:
    from sqlglot import TokenType, tokenize  # 0.1 s
    from sqlglot.errors import TokenError

    texts = {each for each in TokenType if each.name.endswith("STRING")}
    try:
        tokens = tokenize(sql, read="postgres")
    except TokenError as error:
        raise ValueError(str(error)) from None
    words: list[str] = []
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            if words:
                yield Text(words)
            words = []
        elif token.token_type in texts:
            words.append("'...'")
        else:
            words += (
                [token.text] if token.token_type == TokenType.IDENTIFIER else (token.text.split())
            )
    if words:
        yield Text(words)


def _judged(text: Text, made: set[str]) -> str | None:
    first = text.next()
    if first in _HARMLESS:
        return None
    said = " ".join(text.words[:2]).upper().removesuffix(" '...'")
    if text.take("create"):
        return _creates(text, made)
    if text.take("alter", "table"):
        return _alters_table(text, made)
    if text.take("alter"):
        return _alters(text, said)
    if text.take("drop"):
        return _drops(text, made)
    return f"executes {said}, which sunup cannot judge"


def _creates(text: Text, made: set[str]) -> str | None:
    replaces = text.take("or", "replace")
    text.skip(_MODIFIERS)
    if text.take("table"):
        if not text.has("if", "not", "exists"):
            made.add(text.name())
        return None
    if text.take("unique", "index"):
        name = _index_table(text)
        return None if name in made else f"adds a unique index to {name}"
    if text.next() in ("function", "procedure") and replaces:
        kind = text.words.pop(0).lower()
        return f"may replace the {kind} {text.name()}"
    if text.next() in ("trigger", "constraint", "rule", "policy"):
        kind = text.words[0].lower()
        while text.words and not text.take("on"):
            del text.words[0]
        name = text.name()
        return None if name in made else f"adds a {kind} to {name}"
    if text.next() in _ADDED | {"index"}:
        return None
    return f"executes CREATE {text.next().upper()}, which sunup cannot judge"


def _index_table(text: Text) -> str:
    while text.words and not text.take("on"):
        del text.words[0]
    return text.name()


def _alters_table(text: Text, made: set[str]) -> str | None:
    table = text.name()
    text.take("*")
    if table in made:
        return None
    reasons = (_action(table, part) for part in text.parts())
    return next((each for each in reasons if each is not None), None)


def _action(table: str, part: Text) -> str | None:
    said = " ".join(part.words[:2]).upper()
    if part.take("add"):
        return _adds(table, part)
    if part.take("drop", "constraint"):
        name = part.name()
        loosens = name.endswith(("_fkey", "_check")) or name.startswith(("fk_", "ck_"))
        return None if loosens else f"drops the constraint {name}, which ON CONFLICT may need"
    if part.take("drop"):
        part.take("column")
        return f"drops the column {table}.{part.name()}"
    if part.take("alter"):
        part.take("column")
        return _alters_column(f"{table}.{part.name()}", part)
    if part.take("rename"):
        if part.take("to"):
            return f"renames the table {table}"
        if part.take("constraint"):
            return f"renames the constraint {part.name()}"
        part.take("column")
        return f"renames the column {table}.{part.name()}"
    if part.next() in _TABLE_ACTIONS and not part.has("set", "schema"):
        return None
    return f"executes ALTER TABLE {table} {said}, which sunup cannot judge"


def _adds(table: str, part: Text) -> str | None:
    if part.next() in _CONSTRAINTS:
        return f"adds a constraint to {table}"
    part.take("column")
    column = part.name()
    required = part.has("not", "null") or part.has("primary", "key")
    if required and not any(each.lower() in _DEFAULTS for each in part.words):
        return f"adds the column {table}.{column} that is NOT NULL and has no default"
    return None


def _alters_column(column: str, part: Text) -> str | None:
    if part.take("set", "not", "null"):
        return f"makes the column {column} NOT NULL"
    if part.take("type") or part.take("set", "data", "type"):
        return f"changes the type of the column {column}"
    if part.take("drop", "not", "null") or part.next() in ("set", "reset", "restart"):
        return None
    if part.take("drop"):
        return f"drops the {part.next()} of the column {column}"
    return f"executes ALTER COLUMN {column} {part.next().upper()}, which sunup cannot judge"


def _alters(text: Text, said: str) -> str | None:
    kind = text.next()
    harmless = (
        (kind == "type" and text.has("add", "value"))
        or (kind == "default" and not text.has("revoke"))
        or (kind == "sequence" and not text.has("rename") and not text.has("set", "schema"))
        or kind in ("index", "extension", "role", "user", "database", "system", "statistics")
    )
    if harmless:
        return None
    del text.words[:1]
    return f"executes {said} {text.name()}, which sunup cannot judge"


def _drops(text: Text, made: set[str]) -> str | None:
    text.take("materialized")
    kind = text.words.pop(0).lower() if text.words else ""
    name = text.name()
    if kind == "index":
        return f"drops the index {name}, which ON CONFLICT may need"
    return None if name in made else f"drops the {kind} {name}"
