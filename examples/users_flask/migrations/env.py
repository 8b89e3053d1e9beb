"""Alembic's entry. The connection comes from `sunup dev`: signed in and awake."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
