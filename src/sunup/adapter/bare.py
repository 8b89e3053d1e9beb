"""Tells a framework's bare "500 Internal Server Error" from an answer that the app gave itself.

Frameworks turn an exception that nobody handled into such a page. Only there may sunup speak in the
app's place; any other answer is the app's own.
"""

import re

# The pages' words, without tags, style and punctuation.
_PAGES = re.compile(
    rb"internal server error"  # Starlette, FastAPI
    rb"|server error 500 server error 500"  # Django
    rb"|500 internal server error internal server error the server encountered an internal error "
    rb"and was unable to complete your request either the server is overloaded or there is an "
    rb"error in the application"  # Flask, Quart
    rb"|status code 500 detail internal server error"  # Litestar
    rb"|title 500 internal server error"  # Falcon
    rb"|error 500 internal server error error 500 internal server error sorry the requested url "
    rb".* caused an error internal server error"  # Bottle
)
_MARKUP = re.compile(rb"<style.*?</style>|<[^>]*>|&#039;", re.DOTALL)
_NO_WORD = re.compile(rb"[^a-z0-9]+")
_LONGEST = 4096


def is_bare(status: int, body: bytes) -> bool:
    """Whether this answer is a framework's own page for an exception that the app let through."""
    if status != 500 or len(body) > _LONGEST:
        return False
    words = _NO_WORD.sub(b" ", _MARKUP.sub(b" ", body.lower())).strip()
    return _PAGES.fullmatch(words) is not None
