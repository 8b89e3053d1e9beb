"""The entry point on Lambda: `lambda_function.handler`. Locally it is `sunup dev`."""

import os

from sunup import Handler, parameters
from sunup.integrations.django import database

# SECRET_KEY, where Terraform's `parameters` names it.
parameters.load()

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# The database connects while Django is imported; then the app is asked once, all of it in INIT.
handler = Handler(
    "config.wsgi:application", database=database(), prime="/users?limit=1", log_stream_header=True
)
