"""A Django project of one app: notes, with Django's own session middleware and an async view."""
