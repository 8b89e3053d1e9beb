"""What Lambda tells a process about its own life: snapshots and their restores, and its end.

Lambda Developer Guide, "Lambda SnapStart runtime hooks for Python" and "Understanding the Lambda
execution environment lifecycle".
"""

import os
import signal
import threading
from collections.abc import Callable

from sunup.settings import on_lambda

# Of the 2 s that Lambda gives runtime and extensions together (500 ms to an internal extension).
SHUTDOWN_LIMIT = 0.4


def on_snapshot(before: Callable[[], None], after: Callable[[], None]) -> None:
    """With SnapStart, call `before` ahead of the snapshot and `after` at each restore from it.

    The hooks' library, snapshot_restore_py, is part of Lambda's runtimes from Python 3.12 on.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    try:
        import snapshot_restore_py
    except ImportError:
        return
    snapshot_restore_py.register_before_snapshot(before)
    snapshot_restore_py.register_after_restore(after)


def reseed() -> None:
    """Make `random` differ between processes that were restored from one snapshot.

    Otherwise their pauses between attempts to connect would be the same. OpenSSL and the kernel
    see to their own randomness (Lambda Developer Guide, "Handling uniqueness with SnapStart").
    """
    import random

    random.seed()


def on_shutdown(close: Callable[[], None]) -> None:
    """Call `close` and end the process at SIGTERM, which Lambda sends where there is an extension.

    The runtimes from Python 3.12 on wait for events in a thread, so that a signal is seen.
    """
    main = threading.current_thread() is threading.main_thread()
    if not on_lambda() or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def end(*_: object) -> None:
        try:
            close()
        finally:
            # The runtime's waiting thread would keep an orderly exit waiting too.
            os._exit(0)

    signal.signal(signal.SIGTERM, end)
