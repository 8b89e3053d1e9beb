"""What a command says when it cannot do its work."""


class CommandError(Exception):
    """A failure for the user: what is wrong, and on a second line what to do."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure

    @property
    def sentences(self) -> str:
        """Both on one line, for a log."""
        return f"{self.what}. {self.cure}" if self.cure else self.what
