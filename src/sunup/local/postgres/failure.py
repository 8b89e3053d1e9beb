"""What is told when a PostgreSQL of our own cannot be had."""

from sunup.failures import DatabaseUnavailable


class PostgresFailed(DatabaseUnavailable):
    """The embedded PostgreSQL did not start."""

    code = "postgres_failed"
    message = "The embedded PostgreSQL cannot be used"
    cure = "The log beside its data may say more."

    def __init__(self, detail: str = "", cure: str | None = None) -> None:
        super().__init__(detail)
        if cure is not None:
            self.cure = cure  # type: ignore[misc]  # this one's
