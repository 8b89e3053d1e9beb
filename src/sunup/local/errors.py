"""What a command says when it cannot do its work."""


class CommandError(Exception):
    """A failure for the user: what is wrong, and on a second line what to do."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
