"""The entry point on Lambda: `lambda_function.handler`. Locally it is `sunup dev`."""

from database import db

from sunup import Handler

# The database connects while app.py is imported; then one harmless request, all of it in INIT.
handler = Handler("app:app", database=db, prime="/users?limit=1", log_stream_header=True)
