"""The database of this app. A module of its own, so that connecting starts before FastAPI and
SQLAlchemy are imported: see lambda_function.py.
"""

from sunup.asyncpg import Database

db = Database()
