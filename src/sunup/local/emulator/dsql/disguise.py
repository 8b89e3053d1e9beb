"""What the server behind says, as Aurora DSQL says it."""

from .messages import Message, fields

# EMU (`refusals`), environment.
_VERSION = b"server_version\x0016.15\0"

# Of an error: not where in which function of ours it was raised.
_TOLD = "SVCMDHPpqstcdn"


def disguised(message: Message) -> Message:
    """The version is DSQL's; where our own judges are, is not said."""
    if message.kind == b"S" and message.body.startswith(b"server_version\0"):
        return Message(b"S", _VERSION)
    if message.kind == b"E":
        said = fields(message)
        kept = {name: text for name, text in said.items() if name in _TOLD}
        body = b"".join(f"{name}{text}\0".encode() for name, text in kept.items()) + b"\0"
        return Message(b"E", body)
    return message
