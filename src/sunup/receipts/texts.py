"""The statements of a receipt.

The claim goes in the same round trip as BEGIN, so it has no parameters: its values are digests, in
hexadecimal digits, which need no quotes whatever the server's settings. The table is found by the
session's search_path.
"""

from typing import Any, NamedTuple

from sunup.connecting.session import SAVEPOINT
from sunup.engines import Engine

TABLE = "sunup_receipts"

# What a migration does; `sunup migrate receipts` writes the same for Alembic. The key is in
# hexadecimal digits: Aurora DSQL has no index of bytea (its User Guide, "Supported data types").
CREATE = f"""
create table {TABLE} (
    key text primary key,
    fingerprint bytea not null,
    created_at timestamptz not null default now(),
    status smallint,
    headers text,
    body bytea
);
create index ix_{TABLE}_created_at on {TABLE} (created_at)
"""
DROP = f"drop table {TABLE}"

# Expired rows that one request removes at most.
BATCH = 1000

# Nothing of the table is read: in a serializable transaction, what others insert beside it would be
# a conflict. The last statement returns a row where the claim was inserted.
_CLAIM = """
select set_config('sunup.lock_timeout', current_setting('lock_timeout'), true),
 set_config('sunup.role', current_setting('role'), true),
 set_config('sunup.search_path', current_setting('search_path'), true);
set local lock_timeout = {wait};
set local idle_in_transaction_session_timeout = {idle};
{first}insert into {table} (key, fingerprint) values ({key}, {fingerprint})
 on conflict (key) do nothing returning set_config('sunup.claimed', '{run}', true);
select set_config('lock_timeout', current_setting('sunup.lock_timeout'), true);
{savepoint};
select where current_setting('sunup.claimed', true) = '{run}'
"""

# On Aurora DSQL nobody waits, and nothing can be set: of two that claim one key, the COMMIT of the
# second fails.
_CLAIM_OPTIMISTIC = """
{first}insert into {table} (key, fingerprint) values ({key}, {fingerprint})
 on conflict (key) do nothing returning 1
"""
_CLAIM_ANEW = """
rollback; begin; {first}insert into {table} (key, fingerprint) values ({key}, {fingerprint})
"""

_DELETE_EXPIRED = """
delete from {table} where key = {key} and created_at < now() - interval '{keep} seconds';
"""

_REMOVE_EXPIRED = """
set local lock_timeout = 100;
delete from {table} where key in (
 select key from {table} where created_at < now() - interval '{keep} seconds'
 order by created_at limit {batch} for update skip locked)
"""


_REMOVE_EXPIRED_OPTIMISTIC = """
delete from {table} where key in (
 select key from {table} where created_at < now() - interval '{keep} seconds' limit {batch})
"""

# Nothing but COMMIT follows in its transaction.
BY_INDEX = "set local enable_seqscan = off"

_READ = (
    "select fingerprint, status, headers, body, created_at < now() - interval '{keep} seconds'"
    " from sunup_receipts where key = $1"
)
_STORE = "update sunup_receipts set status = $1, headers = $2, body = $3 where key = $4"
_RELEASE = (
    "update sunup_receipts set status = $1, headers = $2, created_at = 'epoch' where key = $3"
)


class Statement(NamedTuple):
    """A statement with parameters, `$1` and so on: a server's log has no parameters."""

    text: str
    values: tuple[Any, ...]


def read(key: bytes, keep: int) -> Statement:
    """A receipt, and whether it has expired."""
    return Statement(_READ.format(keep=keep), (key.hex(),))


class ClaimText:
    """How a key is claimed.

    `wait` is how long another's claim is waited for (SQLSTATE 55P03 then), `idle` how long the app
    may do something else between two statements, both in seconds. `run` names this run of the work,
    in hexadecimal digits. `expired`: a receipt that was seen to have expired is removed first.
    """

    def __init__(
        self,
        key: bytes,
        fingerprint: bytes,
        run: str,
        *,
        wait: float,
        idle: float,
        keep: int,
        expired: bool = False,
    ) -> None:
        first = _DELETE_EXPIRED.format(table=TABLE, key=_quoted(key), keep=keep) if expired else ""
        self._values = {
            "table": TABLE,
            "key": _quoted(key),
            "fingerprint": literal(fingerprint),
            "run": run,
            "wait": max(1, int(wait * 1000)),
            "idle": max(1, int(idle * 1000)),
            "first": first,
            "savepoint": SAVEPOINT,
        }

    def text(self, engine: Engine) -> str:
        """The statements; the last one returns a row where the key was claimed."""
        text = _CLAIM_OPTIMISTIC if engine.optimistic else _CLAIM
        return text.format(**self._values)

    def restart(self, engine: Engine) -> str:
        """Without savepoints: begin anew. A unique violation, where it was claimed meanwhile."""
        if not engine.optimistic:
            return ""
        return _CLAIM_ANEW.format(**self._values).strip()


def store(key: bytes, status: int, headers: str, body: bytes | None) -> Statement:
    """Keep an answer; no `body`: it was too large to be kept."""
    return Statement(_STORE, (status, headers, body, key.hex()))


def release(key: bytes, status: int, headers: str) -> Statement:
    """Give a key back: whoever claims it next gets it.

    Until then it is there, for who has lost the answer to COMMIT.
    """
    return Statement(_RELEASE, (status, headers, key.hex()))


def remove_expired(keep: int, engine: Engine) -> str:
    """Remove a batch of expired rows, but for those that somebody else just removes or claims."""
    text = _REMOVE_EXPIRED_OPTIMISTIC if engine.optimistic else _REMOVE_EXPIRED
    return text.format(table=TABLE, keep=keep, batch=BATCH)


def literal(value: bytes) -> str:
    """Bytes in a statement."""
    return f"decode('{value.hex()}', 'hex')"


def _quoted(key: bytes) -> str:
    return f"'{key.hex()}'"
