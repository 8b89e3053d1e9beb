"""Migrations on Aurora DSQL, where each statement is a transaction of its own.

docs/decisions/0020-migrations-on-dsql.md says what differs from an Aurora cluster, and why.
"""

# Where the role that migrates lacks a right.
OWNER = (
    "If it lacks privileges: only admin may create in the schema public; set DB_MIGRATION_USER to "
    "admin."
)
