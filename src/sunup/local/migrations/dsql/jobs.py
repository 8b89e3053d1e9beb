"""The jobs in which Aurora DSQL builds indexes and checks constraints, waited for.

Asked again and again instead of `CALL sys.wait_for_job`: so it can be told how long it takes, and
no answer is waited for on a connection that may end meanwhile. Aurora DSQL User Guide,
"Asynchronous indexes".
"""

import time
from collections.abc import Callable

from sunup.local.errors import CommandError

from .conflicts import retried
from .pieces import Piece
from .tables import Connection

# Seconds between two questions.
_PAUSE = 1.0

# Seconds after which the catalogue says what a job that has ended has done.
_LAGS = 60.0

_JOB = "select status, details from sys.jobs where job_id = %s"
_BUILDS = (
    "select status, details from sys.jobs where job_type = 'INDEX_BUILD'"
    " and (object_name = %s or object_name like %s) order by start_time desc limit 1"
)
_VALID = """
    select i.indisvalid from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    where c.relname = %s and pg_catalog.pg_table_is_visible(c.oid)
"""


def wait(connection: Connection, job: str, piece: Piece, tell: Callable[[str], None]) -> None:
    """Wait for the job of a statement. Raises `CommandError` with what it says if it failed."""
    began = time.monotonic()
    what = f"the index {piece.index}" if piece.index else " ".join(piece.words[:8])
    remove = f"drop index {piece.index}; and run" if piece.index else "run"
    while True:
        row = retried(lambda: connection.execute(_JOB, (job,)).fetchone())
        # Ended jobs vanish after 30 minutes; who asks every second has seen them.
        if row is None or row[0] == "completed":
            return
        if row[0] in ("failed", "cancelled"):
            raise CommandError(
                f"Aurora DSQL could not finish {what}: {row[1] or 'it does not say why'}",
                f"Remove what it stumbles over, then: {remove} the command again.",
            )
        tell(f"Aurora DSQL works on {what} ({row[0]}, {time.monotonic() - began:.0f} s)")
        time.sleep(_PAUSE)


def wait_for_index(connection: Connection, index: str, tell: Callable[[str], None]) -> None:
    """Wait until an index can be used, whoever began it. Raises `CommandError` if it cannot be."""
    began = time.monotonic()
    while True:
        valid = retried(lambda: connection.execute(_VALID, (index,)).fetchone())
        # In a schema that is not searched, it cannot be looked at by its name.
        if valid is None or valid[0]:
            return
        row = retried(lambda: connection.execute(_BUILDS, (index, f"%.{index}")).fetchone())
        # One of an index of the same name, that was dropped, may be completed.
        late = row is not None and row[0] == "completed" and time.monotonic() - began > _LAGS
        if row is None or late or row[0] not in ("submitted", "processing", "completed"):
            detail = f": {row[1]}" if row is not None and row[1] else ""
            raise CommandError(
                f"the index {index} is not valid, and nothing builds it{detail}",
                f"Remove what it stumbles over, then: drop index {index}; and run the command "
                "again.",
            )
        tell(f"Aurora DSQL builds the index {index} ({time.monotonic() - began:.0f} s)")
        time.sleep(_PAUSE)
