"""How the tests reach the emulated Aurora DSQL."""

import ssl
from typing import Any

import asyncpg
import psycopg

from sunup.connecting.credentials import Credentials
from sunup.connecting.iam import dsql_token
from sunup.local.emulator import Emulator


def password(aws: Emulator, user: str = "admin", **changes: Any) -> str:
    key = aws.iam.current
    given = {
        "host": "localhost",
        "user": user,
        "region": "eu-central-1",
        "credentials": Credentials(key.id, key.secret, key.session_token),
    }
    return dsql_token(**{**given, **changes})


def arguments(aws: Emulator, user: str = "admin", **changes: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        # One address: libpq tries the next one after a refusal, also where localhost is ::1, too.
        "hostaddr": "127.0.0.1",
        "port": aws.dsql.port,
        "user": user,
        "password": password(aws, user),
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": aws.environ["DB_SSLROOTCERT"],
        **changes,
    }


def connect(aws: Emulator, user: str = "admin", **changes: Any) -> psycopg.Connection[Any]:
    """A connection that commits each statement, unless told otherwise."""
    return psycopg.connect(**arguments(aws, user, **{"autocommit": True, **changes}))


async def connect_asyncpg(aws: Emulator, user: str = "admin") -> "asyncpg.Connection[Any]":
    return await asyncpg.connect(
        host="localhost",
        port=aws.dsql.port,
        user=user,
        password=password(aws, user),
        database="postgres",
        ssl=ssl.create_default_context(cafile=aws.environ["DB_SSLROOTCERT"]),
    )


def works(aws: Emulator) -> bool:
    """The request after: a plain session."""
    with connect(aws) as connection:
        return connection.execute("select 1").fetchone() == (1,)
