"""What a statement may do, judged by its text: change data, end a transaction, alter the session.

A judgement errs on one side only. What is judged to be a read changes nothing; what cannot be
judged, such as a function of the app, counts as a change.
"""

import re
from enum import IntEnum
from itertools import pairwise


class Change(IntEnum):
    """Whether a statement changes data."""

    NOTHING = 0
    # It only selects, but calls a function that is not known to be harmless.
    PERHAPS = 1
    YES = 2


class Effect:
    """What is known of one statement, or of several in one string."""

    __slots__ = (
        "begins",
        "begins_only",
        "change",
        "commits",
        "ends",
        "local",
        "replaces",
        "rolls_back",
        "session",
        "several",
    )

    def __init__(self, text: str) -> None:
        self.change = Change.NOTHING
        self.begins = self.commits = False
        # Begins or ends a transaction, not only a savepoint.
        self.ends = False
        # Alters what a later statement of the transaction sees.
        self.local = False
        # Alters what a later statement of the session sees, beyond its transaction; and in a way
        # that nothing but a new session puts right.
        self.session = self.replaces = False
        # Nothing but the end of a transaction that leaves no trace.
        self.rolls_back = True
        statements = _statements(text)
        self.several = statements is None or len(statements) > 1
        if statements is None:  # it is unclear where its parts end
            self.change = Change.YES
            self.commits = self.ends = self.session = self.replaces = True
            self.rolls_back = False
        for words in statements or ():
            self._add(words)
        # Of several that are sent together: each one begins a transaction.
        self.begins_only = self.begins

    @classmethod
    def together(cls, effects: "list[Effect]") -> "Effect":
        """The effect of statements that are sent together."""
        one = cls("")
        one.begins = any(effect.begins for effect in effects)
        one.begins_only = all(effect.begins_only for effect in effects)
        one.commits = any(effect.commits for effect in effects)
        one.ends = any(effect.ends for effect in effects)
        one.local = any(effect.local for effect in effects)
        one.rolls_back = all(effect.rolls_back for effect in effects)
        one.session = any(effect.session for effect in effects)
        one.replaces = any(effect.replaces for effect in effects)
        one.several = any(effect.several for effect in effects)
        one.change = max((effect.change for effect in effects), default=Change.NOTHING)
        return one

    def _add(self, words: list[str]) -> None:
        first, second = words[0], words[1] if len(words) > 1 else ""
        names = set(words)
        self.begins |= first in ("begin", "start")
        self.commits |= (
            first in ("commit", "end", "call", "do")
            or words[:2] == ["prepare", "transaction"]
            or "concurrently" in names  # in its own transactions
        )
        self.rolls_back &= first in ("rollback", "abort") and "to" not in names
        self.ends |= (
            first in ("begin", "start", "commit", "end", "abort")
            or (first == "rollback" and "to" not in names)
            or words[:2] == ["prepare", "transaction"]
        )
        local = first == "set" and second in ("local", "transaction", "constraints")
        self.local |= first == "set" and second == "local"
        self.session |= (first in _SESSION and not local) or any(
            name.endswith(("set_config", "advisory_lock", "advisory_lock_shared"))
            or name in ("temp", "temporary")
            or name.startswith("pg_temp")
            for name in names
        )
        self.replaces |= first in ("prepare", "deallocate", "discard", "load")
        if first in _HARMLESS and second != "prepared":
            return
        reads = first in _READING or (first == "copy" and (second == "(" or "from" not in names))
        if not reads or not _WRITING.isdisjoint(words[1:]):
            self.change = Change.YES
            return
        for name, following in pairwise(words):
            if following == "(" and _is_call(name):
                self.change = max(self.change, Change.PERHAPS)


def _is_call(name: str) -> bool:
    """Whether a name before a parenthesis may be a function that changes something."""
    named = name[0].isalnum() or name[0] in '_"'
    return named and name.removeprefix("pg_catalog.") not in _HARMLESS_CALLS


def effect_of(text: str) -> Effect:
    """The effect of a statement; the same texts recur, so judgements are kept."""
    return _known.get(text) or _keep(text, Effect(text))


def effect_of_all(texts: list[str]) -> Effect:
    """The effect of statements that are sent together."""
    if len(texts) == 1:
        return effect_of(texts[0])
    key = tuple(texts)
    return _known.get(key) or _keep(key, Effect.together([effect_of(text) for text in texts]))


def _keep(key: "str | tuple[str, ...]", effect: Effect) -> Effect:
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = effect
    return effect


def _statements(text: str) -> list[list[str]] | None:
    """The words, parentheses and operators of each statement, without literals and comments.

    None where it cannot be told what is a literal and what is not.
    """
    found: list[list[str]] = [[]]
    for match in _TOKEN.finditer(text):
        kind, part = match.lastgroup, match[0]
        if kind == "name":
            found[-1].append(_plain_name(part))
        elif kind == "odd" or part == '"' or (kind == "comment" and "/*" in part[2:]):
            return None
        elif kind == "text" and "\\'" in part and part[0] not in "eE":
            return None  # standard_conforming_strings may be off
        elif part == ";":
            found.append([])
        elif kind == "other":
            found[-1].append(part)
    return [words for words in found if words]


def _plain_name(written: str) -> str:
    """A name as PostgreSQL reads it: in lower case where it is not quoted, without spaces."""
    if '"' not in written:
        return "".join(written.lower().split())
    parts = _PART.findall(written)
    return ".".join(
        part[1:-1].replace('""', '"') if part[0] == '"' else part.lower() for part in parts
    )


_known: dict[str | tuple[str, ...], Effect] = {}
_MOST_KNOWN = 500

# PostgreSQL, "Lexical Structure". What is odd leaves open where a literal, a name or a comment
# ends: comments nest, and escapes in names (U&"...") are not read.
_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')"
    r"|(?P<quoted>(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag))"
    r"|(?P<number>\$?\d[\w.]*)"
    r"|(?P<odd>[uU]&[\"']|/\*|[$\\'])"
    rf"|(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*)"
    r"|(?P<other>\S)",
    re.DOTALL,
)
_PART = re.compile(_NAME)

_SESSION = frozenset(
    ("set", "reset", "listen", "unlisten", "declare", "discard", "load", "prepare", "do", "call")
)
_READING = frozenset(("select", "with", "values", "table", "explain", "declare", "("))

_harmless = """begin start commit end rollback abort savepoint release set reset show listen
    unlisten fetch move close discard deallocate"""
_HARMLESS = frozenset(_harmless.split())

_writing = """insert update delete merge truncate create drop alter call do copy into grant revoke
    lock execute refresh"""
_WRITING = frozenset(_writing.split())

# Words that stand before a parenthesis and are not functions, then PostgreSQL's own functions
# that change nothing.
_harmless_calls = """
    all and any array as between by case copy cube distinct else except exists filter from group
    grouping having ilike in intersect is join lateral like limit materialized not offset on or
    order over partition recursive rollup row select sets some then union using values when where
    with within

    abs age array_agg array_length array_to_json avg bool_and bool_or cardinality cast ceil
    char_length clock_timestamp coalesce concat concat_ws count cume_dist current_database
    current_schema current_setting date_part date_trunc dense_rank encode extract first_value
    floor format gen_random_uuid generate_series greatest initcap json_agg json_build_array
    json_build_object json_object_agg jsonb_agg jsonb_array_elements jsonb_build_array
    jsonb_build_object jsonb_object_agg jsonb_path_query jsonb_set lag last_value lead least left
    length lower lpad ltrim make_date make_interval max md5 min mod now ntile nullif numeric
    octet_length overlay pg_advisory_unlock_all pg_backend_pid pg_catalog.version
    pg_is_in_recovery pg_sleep pg_typeof plainto_tsquery position power random rank regexp_match
    regexp_replace repeat replace right round row_number row_to_json rpad rtrim similarity
    split_part sqrt string_agg string_to_array substr substring sum to_char to_date to_json
    to_jsonb to_number to_timestamp to_tsquery to_tsvector trim trunc ts_rank unnest upper varchar
    version websearch_to_tsquery width_bucket"""
_HARMLESS_CALLS = frozenset(_harmless_calls.split())
