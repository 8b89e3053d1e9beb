"""A transaction of Django's that is run again where others were first: as `Database.run`."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, transaction

from sunup import request
from sunup.connecting.retrying import Retries
from sunup.deadline import DeadlineExceeded

T = TypeVar("T")


def run_transaction(work: Callable[[], T], using: str | None = None) -> T:
    """Run `work()` in `atomic(durable=True)`, and all of it again where others were first.

    That is where the server has refused the transaction for what others did at the same time
    (SQLSTATE 40001, 40P01). So `work` must do nothing but what the transaction undoes; what it
    gives to `transaction.on_commit` is called once, and not run again. Until the request's
    deadline, 60 s without one. Raises what `work` raises, and `TransactionConflict` when there is
    no time left.
    """
    joined = request.run_here() is not None
    wrapper: Any = connections[using or "default"]
    retries = Retries(time.time(), request.doubts())
    while True:
        session, before = None, 0
        try:
            with transaction.atomic(using=using, durable=not joined):
                result = work()
                if wrapper.connection is not None:
                    session = wrapper.connection.session
                    session.check_not_aborted()
                    before = session.commits
        except (Exception, DeadlineExceeded) as error:
            committed = session is not None and session.commits != before
            pause = None
            if not (joined or committed):
                pause = retries.pause_after(error, sent=session is not None)
            if pause is None:
                raise
        else:
            retries.ended_well()
            return result
        time.sleep(pause)
