"""The `sunup` command: one module for each subcommand."""

import signal
import sys


def main() -> None:
    """Run the command line. Errors are one or two lines and a non-zero exit, never a traceback."""
    # Not an exception, which comes out of an import as anything: nothing is to be undone yet.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if sys.argv[1:] == ["--version"]:
            from sunup import __version__

            print(f"sunup {__version__}")  # noqa: T201  # at once: no command is needed
            return
        from .commands import run
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "sunup":
            raise
        print(  # noqa: T201
            f"sunup: the command line needs {error.name}. Install it: pip install 'sunup[dev]'",
            file=sys.stderr,
        )
        sys.exit(1)
    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
