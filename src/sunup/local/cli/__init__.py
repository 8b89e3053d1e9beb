"""The `sunup` command: one module for each subcommand."""

import sys


def main() -> None:
    """Run the command line. Errors are one or two lines and a non-zero exit, never a traceback."""
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
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))
