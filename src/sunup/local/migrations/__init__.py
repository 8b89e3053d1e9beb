"""An app's Alembic migrations: run, remembered, written."""
