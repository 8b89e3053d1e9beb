"""The database of this app. A module of its own, so that connecting starts before the rest is
imported: see lambda_function.py.
"""

from sunup.psycopg import Database

db = Database()
