"""INIT asks the app for a path, so that what a first request does only once is already done."""

import logging
from collections.abc import Callable

from sunup import deadline, request

from . import alarm, answers
from .http import Call
from .protocols import Runner

# Of INIT's 10 s, how many priming may use. A sleeping database takes longer: it wakes meanwhile.
LIMIT = 1.0

logger = logging.getLogger("sunup.request")


def ask(path: str, run: Runner, end: Callable[[request.Request], None]) -> None:
    """Ask the app for a path. What it answers, or raises, is noted in the log only.

    `end` ends the request whole.
    """
    path, _, query = path.partition("?")
    headers = [("host", "localhost"), ("user-agent", "sunup-prime")]
    call = Call("GET", path, query, headers, server=("localhost", 443))
    current = request.Request(method="GET", path=path)
    token = request.begin(current, alone=True)
    try:
        with deadline.within(LIMIT):
            alarm.arm(LIMIT + alarm.BLOCKED, run.callers)
            try:
                status = run(call).status
            finally:
                alarm.disarm()
                end(current)
        if 400 <= status < 500:  # what is more, is nearly always a database that sleeps
            logger.info("priming with %s was answered %d", path, status)
    except answers.ENDS_THE_PROCESS:
        raise
    except BaseException as error:
        # A database that sleeps, nearly always: the request will wait for it.
        logger.info("priming with %s ended with %s", path, type(error).__name__)
    finally:
        request.end(token)
