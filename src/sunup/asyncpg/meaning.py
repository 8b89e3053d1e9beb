"""What asyncpg's exceptions mean, where they have no SQLSTATE: those of Python's TLS, and two."""

from sunup.connecting.meaning import Meaning
from sunup.failures import DatabaseUnreachable, TLSFailed

MEANING = Meaning(
    "asyncpg",
    texts=(
        (r"UNEXPECTED_EOF|EOF occurred", DatabaseUnreachable),
        (r"certificate|\[SSL|rejected SSL upgrade|ssl context", TLSFailed),
    ),
    # It refuses to send a statement after the server's farewell, or while another is under way.
    unsent=("InternalClientError", "InterfaceError"),
    # After a farewell that was read before its end. It has no base class.
    broken=("InternalClientError",),
)
