"""Bringing a package to Lambda, and proving that it answers."""

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions

from sunup.local.aws import explained
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


class Function:
    """A function that exists. `client` is botocore's for Lambda."""

    def __init__(self, client: Any, name: str, alias: str | None) -> None:
        self._lambda = client
        self._name = name
        self._alias = alias

    def update_code(self, package: Path) -> bool:
        """Put a package live; false when it is live already. Raises `CommandError`."""
        content = package.read_bytes()
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        with explained(f"update the code of {self._name}"), self._waited_for():
            live = self._lambda.get_function_configuration(
                FunctionName=self._name, **({"Qualifier": self._alias} if self._alias else {})
            )
            if live["CodeSha256"] == digest:
                return False
            self._lambda.update_function_code(FunctionName=self._name, ZipFile=content)
            self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._name)
            if self._alias is not None:
                version = self._lambda.publish_version(FunctionName=self._name)["Version"]
                self._lambda.get_waiter("published_version_active").wait(
                    FunctionName=self._name, Qualifier=version
                )
                self._lambda.update_alias(
                    FunctionName=self._name, Name=self._alias, FunctionVersion=version
                )
        return True

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        try:
            yield
        except botocore.exceptions.WaiterError as error:
            raise CommandError(
                f"the new code of {self._name} did not become active: {error}",
                "The old code may still be live; sunup logs may say more.",
            ) from None


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
                raise CommandError(f"{url} does not answer: {error}") from None
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


class Memory:
    """What the last deployment was made of, kept beside Terraform's own working files."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".terraform" / "sunup.json"

    def fingerprint(self) -> str | None:
        """The infrastructure's fingerprint at the last deployment that succeeded."""
        try:
            value = json.loads(self._path.read_text(encoding="utf-8"))["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, str) else None

    def remember(self, fingerprint: str) -> None:
        """Note a deployment that succeeded."""
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")

    def forget(self) -> None:
        """Before anything is changed: a failure must not look like a success."""
        self._path.unlink(missing_ok=True)
