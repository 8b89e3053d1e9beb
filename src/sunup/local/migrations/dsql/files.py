"""Whose the tables are that say what is applied; as far as Aurora DSQL tells."""

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sunup.failures import sqlstate_of
from sunup.local.migrations import files

# feature_not_supported, undefined function, object and table: what its catalogue does not have.
_NOT_THERE = {"0A000", "42883", "42704", "42P01"}


def protect(connection: Connection, table: str, schema: str | None) -> None:
    """As `files.protect`, where the server can say who else may write.

    Rights are given one by one there, to named roles: none has them by default.
    """
    driver = connection.connection.driver_connection
    if driver is None or driver.closed:
        return
    try:
        files.protect(connection, table, schema)
    except DBAPIError as error:
        if sqlstate_of(error.orig or error) not in _NOT_THERE:
            raise
