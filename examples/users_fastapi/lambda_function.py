"""The entry point on Lambda: `lambda_function.handler`. Locally it is `sunup dev`."""

from database import db

from sunup import Handler

# The database connects while app.py is imported.
handler = Handler("app:app", database=db, log_stream_header=True)
