"""The statements that Aurora DSQL refuses, with its SQLSTATEs and words: as of 2026-10.

The first row that fits. A pattern is the beginning of a statement: words, `a|b` for either, `...`
for anything between. Sources: EMU, answers of a live cluster recorded 2026-09-15 to 18
(Dreamescaper/dsql-emulator, test/conformance/golden); DSQLUG, the Aurora DSQL User Guide, which
gives no words: those are then made up on EMU's pattern; LINT, awslabs' dsql-lint 0.2.22.
"""

from dataclasses import dataclass
from functools import cache

from .messages import Failure

_NOT_SUPPORTED = "0A000"
_LOCKING = "locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported"


@dataclass(frozen=True)
class Row:
    """A refused statement, its answer, and where that is from."""

    pattern: str
    words: str
    source: str
    state: str = _NOT_SUPPORTED


ROWS = (
    # Transactions.
    Row("SAVEPOINT", "unsupported transaction statement: SAVEPOINT", "EMU transaction"),
    Row(
        "ROLLBACK TO", "unsupported transaction statement: ROLLBACK TO", "EMU transaction"
    ),
    Row("ROLLBACK WORK|TRANSACTION TO", "unsupported transaction statement: ROLLBACK TO", "EMU"),
    Row("RELEASE", "unsupported transaction statement: RELEASE", "DSQLUG"),
    Row("PREPARE TRANSACTION", "unsupported transaction statement: PREPARE", "DSQLUG"),
    Row("COMMIT|ROLLBACK PREPARED", "unsupported transaction statement: PREPARED", "DSQLUG"),
    Row(
        "BEGIN|START|SET ... ISOLATION LEVEL SERIALIZABLE",
        "Unsupported isolation level: SERIALIZABLE",
        "EMU isolation",
    ),
    Row(
        "BEGIN|START ... ISOLATION LEVEL READ COMMITTED",
        "Unsupported isolation level: READ COMMITTED",
        "EMU isolation, by pattern",
    ),
    Row(
        "BEGIN|START ... ISOLATION LEVEL READ UNCOMMITTED",
        "Unsupported isolation level: READ UNCOMMITTED",
        "EMU isolation, by pattern",
    ),
    # Sessions.
    Row("LISTEN", "unsupported statement: Listen", "EMU unsupported"),
    Row("NOTIFY", "unsupported statement: Notify", "EMU unsupported"),
    Row("UNLISTEN", "unsupported statement: Unlisten", "EMU unsupported"),
    Row("LOCK", "unsupported statement: Lock", "DSQLUG"),
    Row("DECLARE", "unsupported statement: DeclareCursor", "DSQLUG"),
    Row("FETCH|MOVE", "unsupported statement: Fetch", "DSQLUG"),
    Row("CLOSE", "unsupported statement: ClosePortal", "DSQLUG"),
    Row("PREPARE", "unsupported statement: Prepare", "LINT"),
    Row("EXECUTE", "unsupported statement: Execute", "LINT"),
    Row("DISCARD", "unsupported statement: Discard", "LINT"),
    Row("DO", "unsupported statement: Do", "DSQLUG"),
    Row("LOAD", "unsupported statement: Load", "DSQLUG"),
    Row("CHECKPOINT", "unsupported statement: CheckPoint", "DSQLUG"),
    Row("CLUSTER", "unsupported statement: Cluster", "DSQLUG"),
    Row("REINDEX", "unsupported statement: Reindex", "DSQLUG"),
    Row("VACUUM", "unsupported VACUUM statement", "EMU unsupported"),
    Row("MERGE", "unsupported statement: Merge", "DSQLUG"),
    Row("TRUNCATE", "unsupported statement: Truncate", "EMU unsupported"),
    Row("SECURITY LABEL", "unsupported statement: SecLabel", "DSQLUG"),
    Row("IMPORT FOREIGN", "unsupported statement: ImportForeignSchema", "DSQLUG"),
    Row("REASSIGN OWNED", "unsupported statement: ReassignOwned", "DSQLUG"),
    # Objects.
    Row("CREATE EXTENSION", "unsupported statement: CreateExtension", "EMU unsupported"),
    Row("CREATE CONSTRAINT TRIGGER", "CREATE TRIGGER not supported", "EMU unsupported"),
    Row("CREATE OR REPLACE TRIGGER", "CREATE TRIGGER not supported", "EMU unsupported"),
    Row("CREATE TRIGGER", "CREATE TRIGGER not supported", "EMU unsupported"),
    Row("CREATE EVENT TRIGGER", "unsupported statement: CreateEventTrig", "DSQLUG"),
    Row("CREATE DATABASE", "unsupported statement: Createdb", "EMU unsupported"),
    Row("DROP DATABASE", "unsupported statement: Dropdb", "DSQLUG"),
    Row("ALTER DATABASE", "unsupported statement: AlterDatabase", "DSQLUG"),
    Row("CREATE TABLESPACE", "unsupported statement: CreateTableSpace", "EMU unsupported"),
    Row("CREATE FOREIGN TABLE", "unsupported statement: CreateForeignTable", "EMU unsupported"),
    Row("CREATE FOREIGN DATA", "unsupported statement: CreateFdw", "DSQLUG"),
    Row("CREATE SERVER", "unsupported statement: CreateForeignServer", "DSQLUG"),
    Row(
        "CREATE GLOBAL|LOCAL TEMP|TEMPORARY TABLE",
        "TEMPORARY or TEMP table not supported for CREATE TABLE",
        "EMU unsupported",
    ),
    Row(
        "CREATE TEMP|TEMPORARY TABLE",
        "TEMPORARY or TEMP table not supported for CREATE TABLE",
        "EMU unsupported",
    ),
    Row(
        "CREATE UNLOGGED TABLE",
        "UNLOGGED table not supported for CREATE TABLE",
        "EMU unsupported",
    ),
    Row("CREATE MATERIALIZED VIEW", "unsupported statement: CreateTableAs", "EMU unsupported"),
    Row("REFRESH MATERIALIZED", "unsupported statement: RefreshMatView", "DSQLUG"),
    Row("CREATE TYPE ... AS ENUM", "CREATE TYPE not supported", "EMU unsupported"),
    Row("CREATE TYPE ... AS RANGE", "unsupported statement: CreateRange", "EMU unsupported"),
    Row("CREATE TYPE ... AS (", "unsupported statement: CompositeType", "EMU unsupported"),
    Row("CREATE TYPE", "CREATE TYPE not supported", "EMU unsupported"),
    Row("ALTER TYPE ... RENAME TO", "unsupported object in RENAME statement", "EMU enum"),
    Row("ALTER TYPE", "ALTER TYPE not supported", "EMU enum"),
    Row("DROP TYPE", "unsupported object in DROP statement", "EMU enum"),
    Row("DROP EXTENSION|TRIGGER|RULE|POLICY", "unsupported object in DROP statement", "EMU enum"),
    Row("CREATE POLICY", "unsupported statement: CreatePolicy", "DSQLUG"),
    Row("ALTER POLICY", "unsupported statement: AlterPolicy", "DSQLUG"),
    Row("CREATE RULE", "unsupported statement: Rule", "DSQLUG"),
    Row("CREATE OR REPLACE RULE", "unsupported statement: Rule", "DSQLUG"),
    Row("CREATE PUBLICATION", "unsupported statement: CreatePublication", "DSQLUG"),
    Row("CREATE SUBSCRIPTION", "unsupported statement: CreateSubscription", "DSQLUG"),
    Row("CREATE STATISTICS", "unsupported statement: CreateStats", "DSQLUG"),
    Row("CREATE COLLATION", "unsupported statement: Define", "DSQLUG"),
    Row("CREATE AGGREGATE|OPERATOR", "unsupported statement: Define", "DSQLUG"),
    Row("CREATE CAST", "unsupported statement: CreateCast", "DSQLUG"),
    Row("CREATE LANGUAGE", "unsupported statement: CreatePLang", "DSQLUG"),
    Row("CREATE PROCEDURE", "CREATE PROCEDURE not supported", "DSQLUG"),
    Row("CREATE OR REPLACE PROCEDURE", "CREATE PROCEDURE not supported", "DSQLUG"),
    Row("ALTER SYSTEM", "unsupported statement: AlterSystem", "EMU unsupported"),
    Row("ALTER ROLE|USER ... SET", "unsupported statement: AlterRoleSet", "LINT"),
    Row("ALTER ROLE|USER ... RESET", "unsupported statement: AlterRoleSet", "LINT"),
    Row("GRANT USAGE ON SCHEMA PUBLIC", "GRANT on schema public not supported", "PLUG"),
    # Tables.
    Row(
        "ALTER TABLE ... ALTER ... TYPE",
        "unsupported ALTER TABLE ALTER COLUMN ... SET DATA TYPE statement",
        "EMU alters",
    ),
    Row(
        "ALTER TABLE ... SET NOT NULL",
        "unsupported ALTER TABLE ALTER COLUMN ... SET NOT NULL statement",
        "LINT, by EMU's pattern",
    ),
    Row(
        "ALTER TABLE ... ENABLE|DISABLE|FORCE ROW",
        "unsupported ALTER TABLE ROW LEVEL SECURITY statement",
        "DSQLUG",
    ),
    Row(
        "ALTER TABLE ... ENABLE|DISABLE TRIGGER",
        "unsupported ALTER TABLE TRIGGER statement",
        "DSQLUG",
    ),
    Row("ALTER TABLE ... SET UNLOGGED|LOGGED", "unsupported ALTER TABLE statement", "DSQLUG"),
    Row("CREATE TABLE ... INHERITS", "INHERITS not supported for CREATE TABLE", "DSQLUG"),
    Row("CREATE TABLE ... PARTITION BY", "PARTITION BY not supported for CREATE TABLE", "DSQLUG"),
    Row("CREATE TABLE ... TABLESPACE", "TABLESPACE not supported for CREATE TABLE", "DSQLUG"),
    # Rows.
    Row("SELECT|WITH|( ... FOR NO KEY UPDATE", _LOCKING, "EMU occ"),
    Row("SELECT|WITH|( ... FOR SHARE", _LOCKING, "EMU occ"),
    Row("SELECT|WITH|( ... TABLESAMPLE", "TABLESAMPLE clause not supported", "EMU queries"),
    Row("COPY ... FROM '", "COPY from a file not supported", "DSQLUG"),
    Row("COPY ... FROM PROGRAM", "COPY from a program not supported", "DSQLUG"),
    Row("COPY ... TO '", "COPY to a file not supported", "DSQLUG"),
    Row("COPY ... TO PROGRAM", "COPY to a program not supported", "DSQLUG"),
)  # fmt: skip


def refused(words: tuple[str, ...]) -> Failure | None:
    """Why a statement of these words is refused by its form."""
    for row, pattern in _compiled():
        if words and _fits(pattern, words):
            return Failure(row.state, row.words)
    return None


@cache
def _compiled() -> list[tuple[Row, list[tuple[str, ...]]]]:
    return [(row, [tuple(part.split("|")) for part in row.pattern.split(" ")]) for row in ROWS]


def _fits(pattern: list[tuple[str, ...]], words: tuple[str, ...]) -> bool:
    """Whether the words begin as the pattern says."""
    at, gap = 0, False
    parts: list[list[tuple[str, ...]]] = [[]]
    for each in pattern:
        if each == ("...",):
            parts.append([])
        else:
            parts[-1].append(each)
    for part in parts:
        found = _find(part, words, at, anywhere=gap)
        if found is None:
            return False
        at, gap = found + len(part), True
    return True


def _find(
    part: list[tuple[str, ...]], words: tuple[str, ...], at: int, *, anywhere: bool
) -> int | None:
    last = len(words) - len(part)
    for start in range(at, (last if anywhere else min(at, last)) + 1):
        if all(_is(words[start + n], each) for n, each in enumerate(part)):
            return start
    return None


def _is(word: str, wanted: tuple[str, ...]) -> bool:
    # `'` is any text.
    return word in wanted or (word[:1] == "'" and "'" in wanted)
