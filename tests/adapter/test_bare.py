import pytest

from sunup.adapter.bare import is_bare

FLASK = (
    b"<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n"
    b"<h1>Internal Server Error</h1>\n<p>The server encountered an internal error and was unable to "
    b"complete your request. Either the server is overloaded or there is an error in the "
    b"application.</p>\n"
)
DJANGO = (
    b'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Server Error (500)</title>\n</head>\n'
    b"<body>\n  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n"
)
BOTTLE = (
    b'\n    <!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n    <html>\n        <head>\n'
    b"            <title>Error: 500 Internal Server Error</title>\n            <style "
    b'type="text/css">\n  html {background-color: #eee;}\n </style>\n        </head>\n        <body>'
    b"\n            <h1>Error: 500 Internal Server Error</h1>\n            <p>Sorry, the requested "
    b"URL <tt>&#039;http://x/&#039;</tt>\n               caused an error:</p>\n            "
    b"<pre>Internal Server Error</pre>\n        </body>\n    </html>\n"
)


# Recorded 2026-11-24: Starlette 1.10, Flask 3.1 (Quart 0.20 is alike), Django 5.2, Litestar 2.24,
# Falcon 4.3, Bottle 0.13, each with a view that raises ValueError.
@pytest.mark.parametrize(
    "page",
    [
        b"Internal Server Error",
        FLASK,
        DJANGO,
        BOTTLE,
        b'{"status_code":500,"detail":"Internal Server Error"}',
        b'{"title": "500 Internal Server Error"}',
    ],
)
def test_the_pages_of_frameworks_are_bare(page: bytes) -> None:
    assert is_bare(500, page)
    assert not is_bare(502, page)


@pytest.mark.parametrize(
    "page",
    [b"", b"out of stock", b'{"detail": "Internal Server Error", "order": 7}', FLASK * 20],
)
def test_what_says_anything_else_is_the_app_s_own(page: bytes) -> None:
    assert not is_bare(500, page)
