"""What a client is told about its key: problem details (RFC 9457)."""

import json

from sunup.adapter.http import Answer

from .header import NAME


def _problem(status: int, code: str, title: str, detail: str = "") -> Answer:
    content = {"title": title, "status": status, "code": code}
    if detail:
        content["detail"] = detail
    body = json.dumps(content).encode()
    headers = [("content-type", "application/problem+json"), ("content-length", str(len(body)))]
    return Answer(status, headers, body)


def bad_key(reason: str) -> Answer:
    """400: the header is no key."""
    return _problem(400, "idempotency_key_invalid", "The Idempotency-Key is not valid", reason)


def missing() -> Answer:
    """400: the route asks for a key."""
    detail = "send a new random one, such as a UUID, and the same one when you repeat the request"
    title = "This operation needs an Idempotency-Key"
    return _problem(400, "idempotency_key_missing", title, detail)


def too_large(limit: int) -> Answer:
    """413: the request cannot be compared with a later one."""
    detail = f"with an {NAME.title()} a request may have {limit} bytes"
    return _problem(413, "request_too_large", "The request is too large", detail)


def without_length() -> Answer:
    """411: the server does not say where the body ends."""
    return _problem(
        411, "length_required", "With an Idempotency-Key a request has a Content-Length"
    )


def cut_off() -> Answer:
    """400: the client has gone in the middle of its request."""
    return _problem(400, "request_cut_off", "The request's body is shorter than its Content-Length")


def of_another_request() -> Answer:
    """422: the key belongs to another request."""
    detail = "a key is for one request, repeated as it was; send a new key with a new one"
    title = "The Idempotency-Key was used for another request"
    return _problem(422, "idempotency_key_reused", title, detail)


def still_running() -> Answer:
    """409: the first request with this key is not done."""
    title = "The first request with this Idempotency-Key is not done yet"
    answer = _problem(409, "idempotency_key_in_use", title)
    answer.headers.append(("retry-after", "1"))
    return answer


def without_answer(status: int | None) -> Answer:
    """The receipt says that the request was executed; its answer was not kept."""
    title = "The request was executed; its answer was not kept"
    if status is None:
        return _problem(200, "answer_not_kept", title, "how it was answered is not known")
    return _problem(status, "answer_not_kept", title, "it was too large")
