"""From a Lambda event to an ASGI or WSGI app, and back."""
