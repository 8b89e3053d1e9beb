"""The entry point on Lambda: `lambda_function.handler`. Locally it is `sunup dev`."""

from database import db

from sunup import Handler

# The database connects while app.py is imported; then the app is asked once, so that what a first
# request does once is done at INIT's full processor.
handler = Handler("app:app", database=db, prime="/users?limit=1", log_stream_header=True)
