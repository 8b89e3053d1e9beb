"""An app's answer as the result of the invocation: what cannot be sent is a 500, and logged."""

import base64
import json
import logging
import os
import sys
from typing import Any

from . import answers
from .event_parts import CONTROLS, TOKEN, Format
from .http import Answer, Headers, header_bytes

logger = logging.getLogger("sunup.request")

# What goes as text, where it is UTF-8 and not compressed; `+json` and `+xml` do, too.
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")

_NO_BODY = frozenset((204, 304))

# Bytes of JSON that one byte of a body or a header becomes at most (an escape).
_ESCAPED = 6

# A header's quotes and commas with a name that is known already, which needs no escape and has less
# than `_LONG` bytes; and the JSON around the body: in such bytes at least.
_QUOTED = 20
_AROUND = 50

# How the runtime client writes JSON (its marshaller's Encoder): as UTF-8 in managed runtimes from
# Python 3.12 on, with escapes in container images ("AWS_Lambda_Image").
_RUNTIME = os.environ.get("AWS_EXECUTION_ENV", "AWS_Lambda_python")
_ASCII_ONLY = sys.version_info < (3, 12) or not _RUNTIME.startswith("AWS_Lambda_python")


class Sender:
    """`text_types` go as text, too; of `excluded` headers none is sent."""

    def __init__(self, text_types: tuple[str, ...] = (), excluded: frozenset[str] = frozenset()):
        self._text_types = (*TEXT_TYPES, *text_types)
        self._excluded = excluded
        self._textual: dict[str, bool] = {}

    def send(self, form: Format, answer: Answer, method: str) -> dict[str, Any]:
        """The result for an event of this format: a 500 for an answer that cannot be sent."""
        try:
            return self._response(form, answer, method)
        except _Unsendable as error:
            logger.error("the response cannot be sent: %s", error)  # noqa: TRY400
        except Exception:
            # Whatever an app has made: the front must get an answer.
            logger.exception("the response cannot be sent")
        return self._response(form, answers.internal_error(), method)

    def can_send(self, form: Format, answer: Answer, method: str) -> bool:
        """Whether it is not a 500 that the client will get."""
        try:
            self._response(form, Answer(answer.status, list(answer.headers), answer.body), method)
        except Exception:
            return False
        return True

    def _response(self, form: Format, answer: Answer, method: str) -> dict[str, Any]:
        status, body, headers = answer.status, answer.body, answer.headers
        if type(status) is not int or not 200 <= status <= 599:
            raise _Unsendable(f"its status is {status!r}; it must be a number from 200 to 599")
        kind, length, hop_by_hop = "", len(body) + _AROUND, False
        for number, (name, value) in enumerate(headers):
            if name not in _VALID:
                length += _check(name)
                hop_by_hop = hop_by_hop or name in _HOP_BY_HOP
            if not (value.isascii() and value.isprintable()):
                headers[number] = (name, _plain(name, value))
            length += len(value) + _QUOTED
            if name == "content-type":
                kind = value
        if hop_by_hop:
            headers = answer.headers = [pair for pair in headers if pair[0] not in _HOP_BY_HOP]
        if self._excluded:
            headers = answer.headers = [pair for pair in headers if pair[0] not in self._excluded]
        if method == "HEAD" or status in _NO_BODY:
            body = b""
            if status == 204:  # it has no length, not even 0 (RFC 9110, 8.6)
                answer.headers = [pair for pair in headers if pair[0] != "content-length"]
        text, is_base64 = self._encoded(body, kind, headers) if body else ("", False)
        response = form.encode(answer, text, is_base64)
        if length * _ESCAPED > form.limit and (size := _size(response)) > form.limit:
            raise _Unsendable(
                f"it has {size:,} bytes ({len(body):,} of them the body), and at most "
                f"{form.limit:,} can be sent; they count as JSON or base64, headers included"
            )
        return response

    def _encoded(self, body: bytes, kind: str, headers: Headers) -> tuple[str, bool]:
        """The body as text where it is text, else in base64."""
        textual = self._textual.get(kind)
        if textual is None:
            plain = kind.partition(";")[0].strip().lower()
            textual = plain.startswith(self._text_types) or plain.endswith(("+json", "+xml"))
            if len(self._textual) < _MOST:
                self._textual[kind] = textual
        if textual and not [1 for name, _ in headers if name == "content-encoding"]:
            try:
                return body.decode("utf-8"), False
            except UnicodeDecodeError:
                pass
        return base64.b64encode(body).decode("ascii"), True


class _Unsendable(ValueError):
    """An answer that no front would pass on."""


# Of a connection that the app does not have (RFC 9110, 7.6.1): the front refuses or repeats them.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)

# Names of headers that are valid: the same ones recur, but an app can make new ones.
_VALID: set[str] = set()
_MOST = 200
_LONG = 100


def _check(name: str) -> int:
    """The length of a name that is new. Raises `_Unsendable`."""
    if not TOKEN.fullmatch(name):
        raise _Unsendable(f"it has a header with the invalid name {name!a}")
    if len(_VALID) < _MOST and len(name) < _LONG and name not in _HOP_BY_HOP:
        _VALID.add(name)
    return len(name)


def _plain(name: str, value: str) -> str:
    """Bytes that were not UTF-8 are taken as Latin-1, in which HTTP began."""
    if CONTROLS.search(value):
        raise _Unsendable(f"its header {name} has a control character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return header_bytes(value).decode("latin-1")
    return value


def _size(response: dict[str, Any]) -> int:
    """In bytes, as the runtime client sends it."""
    text = json.dumps(response, ensure_ascii=_ASCII_ONLY)
    if _ASCII_ONLY:
        return len(text)
    # simplejson before 4 escapes these two always: 6 bytes for 3. Which one runs, AWS chooses.
    return len(text.encode("utf-8")) + 3 * (text.count("\u2028") + text.count("\u2029"))
