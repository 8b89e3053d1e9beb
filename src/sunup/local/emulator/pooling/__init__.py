"""Sessions of the real PostgreSQL that clients use in turn, a transaction at a time."""
