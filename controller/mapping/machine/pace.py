"""How fast something may happen: a token bucket without a clock of its own."""

from __future__ import annotations


class Pace:
    """At most `burst` at once, and `rate` a second in the long run; both positive."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def admit(self, now: float) -> bool:
        """Whether one more may happen now; if so it counts."""
        self._refill(now)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def charge(self, now: float) -> None:
        """Count one that happens in any case: those that can wait make up for it, for up to one burst."""
        self._refill(now)
        self._left = max(self._left - 1.0, -self._burst)

    def waits(self, now: float) -> bool:
        """Whether none may happen now."""
        self._refill(now)
        return self._left < 1.0

    def ready_at(self) -> float | None:
        """When the next may happen, in seconds of the caller's clock; None if at the last look one might."""
        return None if self._left >= 1.0 else self._at + (1.0 - self._left) / self._rate

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._left = min(self._left + (now - self._at) * self._rate, self._burst)
            self._at = now
        # A deadline that was computed a rounding error too early must not come again and again.
        if 1.0 - 1e-9 < self._left < 1.0:
            self._left = 1.0
