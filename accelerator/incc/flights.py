"""Contributions under way: how many there may be, which of them are lost, and when to look (RFC 6298, RFC 8985)."""

from __future__ import annotations

from accelerator.incc.timing import RoundTrip, Window
from accelerator.incc.work import Work


class Flight:
    """A chunk whose contribution has been built."""

    __slots__ = ("cookie", "done", "key", "number", "order", "packet", "repeats", "sent_at", "work")

    def __init__(self, number: int, packet: bytes, key: bytes, work: Work | None) -> None:
        self.number = number
        self.packet = packet
        self.key = key
        self.work = work  # None: begins a generation
        self.sent_at = 0.0
        self.order = 0
        self.cookie = 0  # of the last repeat
        self.repeats = 0
        self.done = False


class Flights:
    """What has been sent and not been answered.

    Attributes:
        under_way: by the chunk's number, in the order in which they were sent.
        trip, window: how long a result takes, and how many chunks may be under way.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        """`shortest`, `longest`: seconds, bounds of the time after which a contribution is repeated."""
        self.under_way: dict[int, Flight] = {}
        self.trip = RoundTrip(shortest, longest)
        self.window = Window(1)
        self.forget()

    def forget(self) -> None:
        """Nothing has been sent."""
        self.under_way.clear()
        self._order = 0  # of the packet that was sent last; of all of them, each time that they are sent
        self._newest = 0  # the latest of the packets that have been answered
        self._newest_took = 0.0  # how long that took
        self._reduced_at = 0.0  # when the window was last reduced
        self._timed_from = 0.0  # an answer or a time-out restarts the time of all others (RFC 6298 sections 5.3, 5.6)

    def sent(self, flight: Flight, now: float) -> None:
        """It is under way, as the last one."""
        self._order += 1
        flight.sent_at, flight.order = now, self._order
        self.under_way[flight.number] = flight

    def sent_again(self, flight: Flight, now: float) -> None:
        """As `sent`, of one that is under way already."""
        del self.under_way[flight.number]
        flight.repeats += 1
        self.sent(flight, now)

    def answered(self, flight: Flight, cookie: int, now: float) -> None:
        """Its result has come. `cookie`: what that says of which repeat it answers."""
        self.under_way.pop(flight.number, None)
        self._timed_from = now
        self.window.result()
        if not flight.repeats or cookie == flight.cookie:  # else it answers what was sent before
            took = now - flight.sent_at
            if flight.order > self._newest:
                self._newest, self._newest_took = flight.order, took
            self.trip.sample(took, len(self.under_way) + 1)

    def deadline(self) -> float:
        """When one that is under way has to be repeated at the earliest; there has to be one."""
        first = next(iter(self.under_way.values()))
        deadline = max(first.sent_at, self._timed_from) + self.trip.timeout
        if first.order < self._newest:
            deadline = min(deadline, first.sent_at + (self._newest_took + self.trip.reordering()))
        return deadline

    def to_repeat(self, now: float) -> tuple[list[Flight], int]:
        """Those that later ones have overtaken; when time is up, the oldest ones, to find out: so many of them.

        Whoever asks repeats them: the window and the time-out change as if it were done.
        """
        trip = self.trip
        patience = self._newest_took + trip.reordering()
        again: list[Flight] = []
        probes = 0
        for flight in self.under_way.values():
            if flight.order < self._newest and flight.sent_at + patience <= now:
                again.append(flight)
            elif max(flight.sent_at, self._timed_from) + trip.timeout <= now and probes < trip.probes:
                again.append(flight)
                probes += 1
            else:
                break
        early = len(again) - probes
        if early and again[early - 1].sent_at >= self._reduced_at:
            self.window.lost()
            self._reduced_at = now
        if probes:
            trip.back_off()
            self._timed_from = now
        return again, probes
