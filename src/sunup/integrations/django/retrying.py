"""A transaction of Django's that is run again where others were first: as `Database.run`."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from sunup import request
from sunup.connecting.retrying import Retries

T = TypeVar("T")


def run_transaction(work: Callable[[], T], using: str | None = None) -> T:
    """Run `work()` in `atomic(durable=True)`, and all of it again where others were first.

    That is where the server has refused the transaction for what others did at the same time
    (SQLSTATE 40001, 40P01). So `work` must do nothing but what the transaction undoes; what it
    gives to `transaction.on_commit` is called once. Until the request's deadline, 60 s without
    one. Raises what `work` raises, and `TransactionConflict` when there is no time left.
    """
    if request.run_here() is not None:
        with transaction.atomic(using=using):
            return work()
    retries = Retries(time.time())
    while True:
        try:
            with transaction.atomic(using=using, durable=True):
                result = work()
        except Exception as error:
            pause = retries.pause_after(error, finished=True)
            if pause is None:
                raise
        else:
            return result
        time.sleep(pause)
