"""What an emulated Aurora is told."""

from dataclasses import dataclass
from typing import Literal

from sunup.local.capacity import connection_limit

# Where a connection hangs while the instance resumes.
HangAt = Literal["tcp", "tls", "auth"]


@dataclass(frozen=True)
class AuroraOptions:
    """Times are in seconds. The defaults are Aurora's own, as far as they are documented."""

    region: str = "eu-central-1"
    host: str = "localhost"
    pause_after: float = 300.0
    resume_seconds: float = 15.0
    deep_sleep_after: float = 86_400.0
    deep_resume_seconds: float = 35.0
    hang_at: HangAt = "auth"
    max_acu: float = 16.0
    max_connections: int | None = None

    @property
    def connection_limit(self) -> int:
        """`max_connections`, from the maximum ACU where it is not given."""
        return self.max_connections or connection_limit(self.max_acu)
