"""One request to the deployed API, to prove that it answers."""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from sunup.local.errors import CommandError

# A cold start in front of a database that slept for a day.
_ANSWER_TIMEOUT = 40.0
_LONGEST_PROOF = 120.0


@dataclass(frozen=True)
class Answer:
    """What a request got; `seconds` for the last attempt."""

    url: str
    status: int
    seconds: float
    attempts: int
    body: str


def prove(api_url: str, path: str, tell: Callable[[str], None] = lambda _: None) -> Answer:
    """Ask the API once; again while it says that the database wakes up. Raises `CommandError`."""
    url = api_url.rstrip("/") + (path if path.startswith("/") else f"/{path}")
    began = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        tell(f"GET {url}" + (f" (attempt {attempts})" if attempts > 1 else ""))
        at = time.monotonic()
        try:
            status, retry_after, body = _get(url)
        except OSError as error:
            # A new API's name takes a moment to be known.
            if time.monotonic() - began > _LONGEST_PROOF:
                raise CommandError(
                    f"{url} does not answer: {error}",
                    "The release is live. See sunup logs, or go back with sunup rollback.",
                ) from None
            time.sleep(3)
            continue
        answer = Answer(url, status, time.monotonic() - at, attempts, body)
        waking = status == 503 and retry_after is not None
        if not waking or time.monotonic() - began > _LONGEST_PROOF:
            return answer
        time.sleep(min(retry_after or 1, 10))


def _get(url: str) -> tuple[int, int | None, str]:
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=_ANSWER_TIMEOUT)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", target, headers={"User-Agent": "sunup deploy"})
        response = connection.getresponse()
        retry_after = response.getheader("Retry-After", "")
        body = response.read(2000).decode(errors="replace")
        return response.status, int(retry_after) if retry_after.isdecimal() else None, body
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
