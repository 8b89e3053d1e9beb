"""Why `_X_AMZN_TRACE_ID` has to be there before anything connects: processes that crash without it.

Each process has thousands of variables, so that the C library's search takes long, and threads that
do nothing but search. Then the variable is set, as Lambda's runtime client does at each invocation.
glibc 2.41 and newer keep what they replace: nothing crashes there.

python benchmarks/environment.py [PROCESSES]
"""

import os
import platform
import signal
import subprocess
import sys

from terminal import machine, progress, rounds_wanted

PROCESS = """
import ctypes, os, ssl, threading, time
library = ctypes.CDLL(None)

def search():
    while True:
        library.getenv(b"NOT_THERE")

for _ in range(3):
    threading.Thread(target=search, daemon=True).start()
time.sleep(0.02)
os.environ["_X_AMZN_TRACE_ID"] = "Root=1-5759e988-bd862e3fe1be46a994272793"
others = [os.urandom(17_000) for _ in range(3000)]  # what comes to be where the list was
time.sleep(0.01)
os._exit(0)
"""


def main() -> None:
    count = rounds_wanted("Processes that crash while their environment moves.", 60)
    print(f"{machine()}, {' '.join(platform.libc_ver())}")
    for there in (False, True):
        # It grows by two places: with one variable more or less it may stay by chance.
        crashed = [crashes(variables, count, there=there) for variables in (2000, 2001)]
        words = "there before" if there else "new"
        print(f"{words:<13} {max(crashed):3} of {count} processes end with a segmentation fault")


def crashes(variables: int, count: int, *, there: bool) -> int:
    environ = {"PATH": os.defpath, **{f"V{number}": "x" for number in range(variables)}}
    if there:
        environ["_X_AMZN_TRACE_ID"] = ""
    found = 0
    for number in range(count):
        progress(f"process {number + 1} of {count}")
        done = subprocess.run(
            [sys.executable, "-c", PROCESS], env=environ, capture_output=True, check=False
        )
        found += done.returncode == -signal.SIGSEGV
    progress("")
    return found


if __name__ == "__main__":
    main()
