"""When to repeat a packet: the retransmission time-out of RFC 6298, and how many packets may be under way."""

from __future__ import annotations

# Seconds. The upper bound counts while members wait for one that computes; then repeats are useless.
FIRST_TIMEOUT = 0.1
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.005, 1.0
_GAIN, _VARIANCE_GAIN = 1 / 8, 1 / 4  # RFC 6298 section 2.3


class RoundTrip:
    """Estimates how long a result takes. Only chunks that were sent once are samples (Karn's algorithm).

    Attributes:
        smoothed, variation: seconds; None before the first sample.
        timeout: seconds after which to repeat, with the back-off.
    """

    def __init__(self, shortest: float = SHORTEST_TIMEOUT, longest: float = LONGEST_TIMEOUT) -> None:
        self.smoothed: float | None = None
        self.variation = 0.0
        self.least: float | None = None
        self.timeout = max(FIRST_TIMEOUT, shortest)
        self._shortest, self._longest = shortest, longest

    def sample(self, seconds: float) -> None:
        """A chunk that was sent once has got its result; ends a back-off."""
        smoothed = self.smoothed
        if smoothed is None or self.least is None:
            self.smoothed = smoothed = self.least = seconds
            self.variation = seconds / 2
        else:
            self.variation += _VARIANCE_GAIN * (abs(smoothed - seconds) - self.variation)
            self.smoothed = smoothed = smoothed + _GAIN * (seconds - smoothed)
            if seconds < self.least:
                self.least = seconds
        timeout = smoothed + 4 * self.variation
        self.timeout = min(max(timeout, self._shortest), self._longest)

    def back_off(self) -> None:
        """Something was repeated because its time was up."""
        self.timeout = min(2 * self.timeout, self._longest)

    def reordering(self) -> float:
        """Seconds by which a packet may be late without being lost (as RACK-TLP, RFC 8985 section 6.2)."""
        return max((self.smoothed or 0.0) / 4, self.variation)


class Window:
    """How many chunks may be under way: at most as many as the queues on the way hold, fewer after time-outs."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.size = largest
        self._smallest = min(largest, 4)
        self._threshold = largest
        self._credit = 0

    def result(self) -> None:
        """A result came: grows by one for each below the threshold, above it by one for each window of them."""
        if self.size < self._threshold:
            self.size += 1
        elif self.size < self.largest:
            self._credit += 1
            if self._credit >= self.size:
                self._credit = 0
                self.size += 1

    def lost(self) -> None:
        """A time-out: what is under way was too much."""
        self._threshold = self.size = max(self.size // 2, self._smallest)
        self._credit = 0
