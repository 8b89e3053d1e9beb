"""The database of this app. A module of its own, so that connecting starts before the rest is
imported: see lambda_function.py.
"""

from sunup.asyncpg import Database

db = Database()
