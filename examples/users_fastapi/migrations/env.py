"""Alembic's entry. The connection comes from `sunup migrate`: signed in and awake."""

from alembic import context
from models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
