"""What psycopg's exceptions mean. libpq gives a failed attempt to connect no SQLSTATE, only words.

(psycopg 3.3: `sqlstate` is None.)
"""

from sunup.connecting.meaning import Meaning
from sunup.failures import (
    AccessRefused,
    DatabaseFull,
    DatabaseMissing,
    DatabaseResuming,
    DatabaseUnreachable,
    PasswordRefused,
    TLSFailed,
    TokenRefused,
)

MEANING = Meaning(
    "psycopg",
    texts=(
        (r"[PI]AM authentication failed", TokenRefused),
        (r"password authentication failed", PasswordRefused),
        (r"too many clients|connection slots are reserved|too many connections", DatabaseFull),
        (r"the database system is|timeout expired", DatabaseResuming),
        (r"database \".*\" does not exist", DatabaseMissing),
        (r"EOF detected|unexpected eof", DatabaseUnreachable),
        (r"certificate|SSL error|does not support SSL", TLSFailed),
        (
            r"pg_hba\.conf|role \".*\" (does not exist|is not permitted)|permission denied",
            AccessRefused,
        ),
    ),
)
