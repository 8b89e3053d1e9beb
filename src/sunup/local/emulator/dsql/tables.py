"""What Aurora DSQL refuses in the definition of a table, an index, a sequence or a function.

Words as recorded from a live cluster: EMU (`refusals`), groups alters, backlog, index, supported.
Types are judged by the server (`preparing`), which knows them.
"""

from itertools import pairwise

from .messages import Failure

_CACHE = "please define CACHE greater than or equal to 65536 or equal to 1"
_SMALLEST_CACHE = 65_536

# What follows a column's type, when it is a constraint. STORAGE and COLLATE are none.
_CONSTRAINTS = {
    "CONSTRAINT", "DEFAULT", "NOT", "CHECK", "UNIQUE", "PRIMARY", "REFERENCES", "GENERATED",
}  # fmt: skip
_SERIALS = {"SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL2", "SERIAL4", "SERIAL8"}
_SMALL = {
    "INTEGER": "integer", "INT": "integer", "INT4": "integer",
    "SMALLINT": "smallint", "INT2": "smallint",
}  # fmt: skip

Words = tuple[str, ...]


def refused(words: Words) -> Failure | None:
    """Why a statement about an object is refused by what it says of it."""
    if words[:2] == ("CREATE", "TABLE"):
        return _table(words)
    if words[:2] == ("ALTER", "TABLE"):
        return _alter(words)
    if words[:2] == ("CREATE", "SEQUENCE"):
        if not _has_cache(words):
            return _unsupported(
                f"CREATE SEQUENCE is not supported without an explicit cache size. {_CACHE}"
            )
    elif words[:1] == ("CREATE",) and "INDEX" in words[1:3]:
        return _index(words)
    elif words[:1] == ("CREATE",) and "FUNCTION" in words[1:4]:
        return _function(words)
    return None


def _table(words: Words) -> Failure | None:
    elements = _elements(words)
    if (not elements and "AS" in words) or _after_elements(words, "AS"):
        return _unsupported("unsupported statement: CreateTableAs")
    for element in elements:
        failure = _serial(element) or _identity(element)
        if failure is not None:
            return failure
    return None


def _serial(column: Words) -> Failure | None:
    if len(column) > 1 and column[1] in _SERIALS:
        return Failure("42704", f'type "{column[1].lower()}" does not exist')
    return None


def _identity(column: Words) -> Failure | None:
    if "IDENTITY" not in column or "GENERATED" not in column:
        return None
    if len(column) > 1 and column[1] in _SMALL:
        words = f"datatype {_SMALL[column[1]]} not supported, identity column type must be bigint"
        return _unsupported(words)
    if not _has_cache(column):
        return _unsupported(
            f"identity column is not supported without an explicit cache size. {_CACHE}"
        )
    return None


def _has_cache(words: Words) -> bool:
    if "CACHE" not in words[:-1]:
        return False
    number = words[words.index("CACHE") + 1]
    return number.isdecimal() and (int(number) == 1 or int(number) >= _SMALLEST_CACHE)


def _alter(words: Words) -> Failure | None:
    for action in _actions(words):
        failure = _action(action)
        if failure is not None:
            return failure
    return None


def _action(action: Words) -> Failure | None:
    if action[:1] == ("ADD",):
        return _added(action[1:])
    if action[:1] == ("VALIDATE",):
        return _unsupported("unsupported ALTER TABLE VALIDATE CONSTRAINT statement")
    return None


def _added(rest: Words) -> Failure | None:
    if rest[:1] and rest[0] in ("CONSTRAINT", "CHECK", "FOREIGN", "PRIMARY", "UNIQUE", "EXCLUDE"):
        if _has(rest, "USING", "INDEX") and "UNIQUE" in rest:
            return None
        if _has(rest, "NOT", "VALID") and ("CHECK" in rest or "FOREIGN" in rest):
            return None
        return _unsupported("unsupported ALTER TABLE ADD CONSTRAINT statement")
    column = rest[1:] if rest[:1] == ("COLUMN",) else rest
    column = column[3:] if column[:3] == ("IF", "NOT", "EXISTS") else column
    failure = _serial(column)
    if failure is not None:
        return failure
    if _CONSTRAINTS & set(column[1:]):
        return _unsupported("ALTER TABLE ADD COLUMN with constraint not supported")
    return None


def _index(words: Words) -> Failure | None:
    place = words.index("INDEX")
    if words[place + 1 : place + 2] != ("ASYNC",):
        return _unsupported("unsupported mode. please use CREATE INDEX ASYNC.")
    name = place + (5 if words[place + 2 : place + 5] == ("IF", "NOT", "EXISTS") else 2)
    if words[name + 1 : name + 2] == (".",):
        return Failure("42601", 'syntax error at or near "."')
    for element in _elements(words):
        if element[-1] in ("ASC", "DESC"):
            return _unsupported(f"{element[-1]} not supported for CREATE INDEX")
    return None


def _function(words: Words) -> Failure | None:
    for word, after in pairwise(words):
        if word == "LANGUAGE" and after.strip("'\"").lower() != "sql":
            language = after.strip("'\"").lower()
            return _unsupported(f"CREATE FUNCTION with language {language} not supported")
    return None


def _actions(words: Words) -> list[Words]:
    """The parts of an ALTER TABLE, from their verbs on."""
    verbs = {"ADD", "ALTER", "DROP", "VALIDATE", "RENAME", "SET", "OWNER", "RESET"}
    begin = next((n for n, word in enumerate(words) if n > 2 and word in verbs), len(words))
    return _divided(words[begin:])


def _elements(words: Words) -> list[Words]:
    """What stands in the first parentheses, divided at its commas."""
    if "(" not in words:
        return []
    begin = words.index("(")
    return _divided(words[begin + 1 : _closing(words, begin)])


def _after_elements(words: Words, wanted: str) -> bool:
    return "(" in words and wanted in words[_closing(words, words.index("(")) :]


def _closing(words: Words, begin: int) -> int:
    depth = 0
    for n in range(begin, len(words)):
        depth += (words[n] == "(") - (words[n] == ")")
        if not depth:
            return n
    return len(words)


def _divided(words: Words) -> list[Words]:
    found, depth, begin = [], 0, 0
    for n, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if word == "," and not depth:
            found.append(words[begin:n])
            begin = n + 1
    found.append(words[begin:])
    return [each for each in found if each]


def _has(words: Words, *pair: str) -> bool:
    return any(words[n : n + len(pair)] == pair for n in range(len(words)))


def _unsupported(words: str) -> Failure:
    return Failure("0A000", words)
