"""The emulated Aurora DSQL: a front that reads each message, before a PostgreSQL of our own."""

from .cluster import Dsql

__all__ = ["Dsql"]
