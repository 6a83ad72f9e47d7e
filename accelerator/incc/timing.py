"""When to repeat a packet: the retransmission time-out of RFC 6298, and how many packets may be under way."""

from __future__ import annotations

# Seconds. The lower bound is above what a busy machine keeps a process waiting; packets that later ones have overtaken
# are repeated long before. The upper bound counts while members wait for one that computes; then repeats are useless.
FIRST_TIMEOUT = 0.1
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.02, 1.0
_GAIN, _VARIANCE_GAIN = 1 / 8, 1 / 4  # RFC 6298 section 2.3
# Packets that are repeated at once when time is up: one, and twice as many each time that nothing answers.
_MOST_PROBES = 8


class RoundTrip:
    """Estimates how long a result takes. Only answers of which is known to what are samples (Karn's algorithm).

    Attributes:
        smoothed, variation: seconds; None before the first sample.
        timeout: seconds after which to repeat, with the back-off.
        probes: how many packets to repeat then.
    """

    def __init__(self, shortest: float = SHORTEST_TIMEOUT, longest: float = LONGEST_TIMEOUT) -> None:
        self.smoothed: float | None = None
        self.variation = 0.0
        self.least: float | None = None
        self.timeout = max(FIRST_TIMEOUT, shortest)
        self.probes = 1
        self._shortest, self._longest = shortest, longest
        self._patience = 1
        self._patient_until = 0.0

    def sample(self, seconds: float, under_way: int = 1) -> None:
        """A packet's result has come; ends a back-off.

        `under_way`: chunks that were under way, each of which is a sample. The gains of RFC 6298 are for one sample in
        a round trip; with as many as chunks in a window the estimate would forget within a part of one (RFC 7323,
        appendix G).
        """
        smoothed = self.smoothed
        if smoothed is None or self.least is None:
            self.smoothed = smoothed = self.least = seconds
            self.variation = seconds / 2
        else:
            self.variation += _VARIANCE_GAIN / under_way * (abs(smoothed - seconds) - self.variation)
            self.smoothed = smoothed = smoothed + _GAIN / under_way * (seconds - smoothed)
            if seconds < self.least:
                self.least = seconds
        timeout = smoothed + 4 * self.variation
        self.timeout = min(max(timeout, self._shortest), self._longest)
        self.probes = 1

    def back_off(self) -> None:
        """Something was repeated because its time was up."""
        self.timeout = min(2 * self.timeout, self._longest)
        self.probes = min(2 * self.probes, _MOST_PROBES)

    def needless(self, now: float) -> None:
        """A packet was repeated that was only late. Reordering may take longer then (RFC 8985 section 6.2)."""
        if now >= self._patient_until:
            self._patience += 1
            self._patient_until = now + (self.smoothed or 0.0)

    def reordering(self) -> float:
        """Seconds by which a packet may be late without being lost (as RACK-TLP, RFC 8985 section 6.2)."""
        smoothed = self.smoothed or 0.0
        return max(min(self._patience * smoothed / 4, smoothed), self.variation)


class Window:
    """How many chunks may be under way: at most as many as the queues on the way hold, fewer after losses."""

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
        """Packets were lost: what is under way was too much."""
        self._threshold = self.size = max(self.size // 2, self._smallest)
        self._credit = 0
