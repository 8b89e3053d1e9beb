"""The statements of a receipt, each sent in the same round trip as BEGIN or COMMIT.

Values go in as hexadecimal digits and numbers, so that nothing has to be quoted, whatever the
server's settings. The table is found by the session's search_path.
"""

import json

from sunup.connecting.session import SAVEPOINT

TABLE = "sunup_receipts"

# What a migration does; `sunup migrate receipts` writes the same for Alembic.
CREATE = f"""
create table {TABLE} (
    key bytea primary key,
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

# The last one returns a row where the claim is this run's: not one that somebody's COMMIT has left
# without an answer.
_CLAIM = """
select set_config('sunup.lock_timeout', current_setting('lock_timeout'), true),
 set_config('sunup.role', current_setting('role'), true),
 set_config('sunup.search_path', current_setting('search_path'), true);
set local lock_timeout = {wait};
delete from {table} where key = {key} and created_at < now() - interval '{keep} seconds'{but};
insert into {table} (key, fingerprint, headers) values ({key}, {fingerprint}, '{named}')
 on conflict (key) do nothing;
select set_config('lock_timeout', current_setting('sunup.lock_timeout'), true);
{savepoint};
select from {table} where key = {key} and status is null and headers = '{named}'
"""

_STORE = """
update {table} set status = {status}, headers = convert_from({headers}, 'UTF8'), body = {body}
 where key = {key}
"""

# As long as nobody claims the key it is there, for who has lost the answer to COMMIT.
_RELEASE = """
update {table} set status = {status}, headers = convert_from({headers}, 'UTF8'),
 created_at = 'epoch' where key = {key}
"""

_REMOVE_EXPIRED = """
delete from {table} where key in (
 select key from {table} where created_at < now() - interval '{keep} seconds'
 order by created_at limit {batch} for update skip locked)
"""

# Its key is what follows.
READ = "select fingerprint, status, headers, body from sunup_receipts where key = "


def claim(
    key: bytes, fingerprint: bytes, run: str, *, wait: float, keep: int, earlier: str = ""
) -> str:
    """Claim a key, waiting for another's claim for up to `wait` seconds (SQLSTATE 55P03 then).

    `run` names this run of the work, in hexadecimal digits. The receipt of an `earlier` one is met
    even where it has been released.
    """
    return _CLAIM.format(
        table=TABLE,
        key=literal(key),
        fingerprint=literal(fingerprint),
        named=json.dumps({"run": run, "headers": []}),
        wait=max(1, int(wait * 1000)),
        keep=keep,
        but=f" and position('{earlier}' in headers) = 0" if earlier else "",
        savepoint=SAVEPOINT,
    )


def store(key: bytes, status: int, headers: str, body: bytes | None) -> str:
    """Keep an answer; no `body`: it was too large to be kept."""
    return _STORE.format(
        table=TABLE,
        key=literal(key),
        status=status,
        headers=literal(headers.encode("ascii")),
        body="null" if body is None else literal(body),
    )


def release(key: bytes, status: int, headers: str) -> str:
    """Give a key back: whoever claims it next gets it."""
    return _RELEASE.format(
        table=TABLE, key=literal(key), status=status, headers=literal(headers.encode("ascii"))
    )


def remove_expired(keep: int) -> str:
    """Remove a batch of expired rows, but for those that somebody else just removes or claims."""
    return _REMOVE_EXPIRED.format(table=TABLE, keep=keep, batch=BATCH)


def literal(value: bytes) -> str:
    """Bytes in a statement."""
    return f"decode('{value.hex()}', 'hex')"
