"""Which answers are kept, how, and how they come back."""

import json

from sunup.adapter.http import Answer, Headers

from . import problems, texts
from .claims import Claim

REPLAYED = "idempotent-replayed"

# Refusals of who calls, or when: nobody could repeat the request if they were kept. What the app
# did for them, such as to count the attempt, stays.
_NOT_KEPT = frozenset((401, 403, 407, 408, 421, 423, 425, 429))

# Headers of the moment, or of the connection.
_LEFT_OUT = frozenset(("date", "connection", "keep-alive", "transfer-encoding"))


def is_final(answer: Answer) -> bool:
    """Whether what the app did for this answer is to stay: 5xx means that it failed."""
    return 200 <= answer.status < 500


def stored(claim: Claim, answer: Answer, largest: int, run: str) -> texts.Statement:
    """What is sent with the COMMIT for an answer; `run` names this run of the work."""
    if answer.status in _NOT_KEPT:
        named = json.dumps({"run": run, "headers": []})
        return texts.release(claim.key, answer.status, named)
    headers = [pair for pair in answer.headers if pair[0] not in _LEFT_OUT]
    # Lone surrogates, for bytes that are not UTF-8, are escaped.
    text = json.dumps({"run": run, "headers": headers})
    body = answer.body if len(answer.body) <= largest else None
    return texts.store(claim.key, answer.status, text, body)


def fence(claim: Claim, run: str) -> texts.Statement:
    """What takes a key's place for good, and whoever claims it next gets it."""
    return texts.release(claim.key, 0, json.dumps({"run": run, "headers": []}))


def run_of(headers: str | None) -> str | None:
    """Which run of the work a receipt is of."""
    return None if headers is None else json.loads(headers)["run"]


def replayed(status: int | None, headers: str | None, body: bytes | None) -> Answer:
    """A receipt's answer."""
    if status is None or headers is None or body is None:
        answer = problems.without_answer(status)
        if headers is not None:
            answer.headers += [
                pair for pair in _pairs(headers) if not pair[0].startswith("content-")
            ]
    else:
        answer = Answer(status, _pairs(headers), bytes(body))
    answer.headers.append((REPLAYED, "true"))
    return answer


def _pairs(headers: str) -> Headers:
    return [(name, value) for name, value in json.loads(headers)["headers"]]
