"""How fast new connections may come: a token bucket (Aurora DSQL User Guide, quotas)."""

import time


class Rate:
    """`burst` deep, filled at `rate` a second."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._filled = float(burst), time.monotonic()

    def take(self) -> bool:
        """Whether one more may come now."""
        now = time.monotonic()
        self._left = min(float(self._burst), self._left + (now - self._filled) * self._rate)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
