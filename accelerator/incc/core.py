"""A member's side of the protocol (docs/incc.md): packets and `now` in, packets and the next deadline out. No I/O.

Every octet of the results' first half is known before they come, so a result is found by looking its header up in a
dictionary; only what is not in there is read field by field, and then it is a repeat, an old one, or a report of
trouble. Contributions are built many at a time, as far ahead as their values are known.

Chunks are numbered through the life of the group. The first two of each generation, which have no numbers, carry how
many chunks a member has completed, and the smallest number tells where all go on. Results are taken in any order, but
a member is never more than `slots` chunks ahead of the first that it lacks: so no two members are further apart than
that, and the last 2 * slots contributions are all that anybody can need again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from accelerator.ethernet import PacketError
from accelerator.incc.carriers import Carrier
from accelerator.incc.errors import CollectiveTimeoutError, GroupError, MemberLostError, MismatchError
from accelerator.incc.flights import Flight, Flights
from accelerator.incc.header import EVERYBODY, HEADER, KEY_OCTETS, Flags, InccPacket, Kind, Operation, decode_incc
from accelerator.incc.packets import PacketBuilder, Place
from accelerator.incc.statistics import Statistics
from accelerator.incc.timing import LONGEST_TIMEOUT, SHORTEST_TIMEOUT, Window
from accelerator.incc.work import Prepared, Work

# Chunks that are prepared at once, and that a switch's queue holds where nobody says otherwise (bmv2's).
_PREPARED_AT_ONCE = 512
DEFAULT_QUEUE = 64
# The two EMPTY chunks that begin a generation.
_SYNC_CHUNKS = 2
_SYNC_SIGNATURE = 0x5359
# Completed chunks are counted modulo this; the second count is half of it off, so that one of the two is not near 0.
_COUNT = 1 << 31
_SCALE_AT, _COOKIE_AT = 16, 20  # octets from the header's begin
_LENGTH_OF_KEY = KEY_OCTETS


@dataclass(frozen=True, slots=True)
class Settings:
    """How a member sends. Times are seconds.

    Attributes:
        window: chunks under way at most; None: as many as the group's slots, but no more than `queue`.
        queue: packets that the shortest queue on the way holds.
        timeout: without any progress for so long the group fails; None: never.
        shortest_timeout, longest_timeout: bounds of the time after which a contribution is repeated.
    """

    window: int | None = None
    queue: int = DEFAULT_QUEUE
    timeout: float | None = None
    shortest_timeout: float = SHORTEST_TIMEOUT
    longest_timeout: float = LONGEST_TIMEOUT

    def __post_init__(self) -> None:
        """Raises ValueError naming the field."""
        for name in ("window", "queue", "timeout", "shortest_timeout", "longest_timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} = {value}: must be positive")
        if self.longest_timeout < self.shortest_timeout:
            raise ValueError(f"longest_timeout = {self.longest_timeout}: less than the shortest")


class Core:
    """One member of one group.

    Attributes:
        statistics: see there. error: why the group cannot go on, None while it can.
        finished: works that are done, failed ones too, oldest first; whoever uses them takes them out.
    """

    # What is set anew when the group begins from nothing: see _forget.
    _low: int
    _sent: int
    _base: int | None
    _counts: list[int]

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.statistics = Statistics()
        self.error: GroupError | None = None
        self.finished: deque[Work] = deque()
        self._flights = Flights(self.settings.shortest_timeout, self.settings.longest_timeout)
        self._builder: PacketBuilder | None = None
        self._slots = 1
        self._works: deque[Work] = deque()  # not finished, in order
        self._unprepared: deque[Work] = deque()
        self._prepared = 0  # chunks of the first of those
        self._submitted = 0  # works
        self._end = 0  # number of the next chunk of the next work
        self._forget()

    # A group that is formed, formed anew, or at its end.

    def form(self, place: Place, carrier: Carrier, now: float, *, resume: bool = False) -> None:
        """The group has been formed.

        `resume`: by the same members, with the same ranks and values; what was under way goes on. Otherwise it fails
        with MemberLostError, and the group begins with the next collective.
        """
        resume = resume and self.error is None
        if self._builder is not None and not (resume and place.values == self._builder.place.values):
            self._fail_works(MemberLostError("the group was formed anew with other members"), now)
            self._forget()
            self._works.clear()
            self._unprepared.clear()
            self._prepared = self._submitted = self._end = 0
        self.error = None
        self._builder = PacketBuilder(place, carrier)
        self._slots = place.slots
        self._flights.window = Window(min(place.slots, self.settings.window or self.settings.queue))
        self._flights.under_way.clear()
        self._expected.clear()
        self._base = None
        self._counts = [0, 0]
        self._progress_at = now
        self.statistics.generations += 1
        self._synchronise()

    def fail(self, error: GroupError, now: float) -> None:
        """The group is at its end; all its collectives fail."""
        if self.error is None:
            self.error = error
            self._fail_works(error, now)
            self._flights.under_way.clear()
            self._expected.clear()
            self._ahead.clear()
            self._kept.clear()

    def submit(self, work: Work, now: float) -> None:
        """Queues a collective. Raises GroupError if the group cannot go on, or has not been formed."""
        if self.error is not None:
            raise self.error
        if self._builder is None:
            raise GroupError(f"{work.name}: the group has not been formed")
        work.start(self._end, self._submitted, self._builder.place.values)
        work.started = now
        self._submitted += 1
        self._end += work.chunks
        if not self._works:
            self._progress_at = self._busy_since = now
        self._works.append(work)
        self._unprepared.append(work)
        self._finish_works(now)

    @property
    def idle(self) -> bool:
        """Whether no collective is under way."""
        return not self._works

    # Packets.

    def receive(self, packets: Sequence[bytes], now: float) -> None:
        """Takes packets that have come; whatever they are, they do no harm."""
        builder = self._builder
        if builder is None or self.error is not None:
            return
        carrier, statistics = builder.carrier, self.statistics
        at, plain = carrier.offset, carrier.is_plain
        end, scale_at = at + _LENGTH_OF_KEY, at + _SCALE_AT
        expected, values_at, cookie_at = self._expected, at + HEADER.size, at + _COOKIE_AT
        # By the flags: with values, EMPTY. A result that is waited for has no others.
        lengths = [carrier.length(HEADER.size + octets) for octets in (4 * builder.place.values, 0)]
        for packet in packets:
            statistics.octets_received += len(packet)
            flight = expected.pop(packet[at:end], None)
            if flight is None:
                self._unexpected(packet, now)
                continue
            size = lengths[packet[at + 2]]
            if len(packet) > size:
                packet = packet[:size]  # the rest is padding of the link
            if len(packet) != size or not plain(packet):
                expected[flight.key] = flight
                self._unexpected(packet, now)
                continue
            scale = int.from_bytes(packet[scale_at : scale_at + 4], "big", signed=True)
            if flight.work is not None and not flight.done:
                flight.work.deliver(flight.number - flight.work.first, packet, values_at, scale)
            cookie = int.from_bytes(packet[cookie_at:values_at], "big") if flight.repeats else 0
            self._complete(flight, scale, cookie, now)
        self._finish_works(now)

    def poll_transmit(self, now: float) -> list[bytes]:
        """The packets to send now."""
        packets: list[bytes] = []
        if self._builder is None or self.error is not None:
            return packets
        if self._is_late(now):
            return packets
        self._repeat(packets, now)
        flights, expected, kept, ahead = self._flights, self._expected, self._kept, self._ahead
        under_way, window = flights.under_way, flights.window
        while len(under_way) < window.size:
            if not ahead and not self._prepare():
                break
            flight = ahead[0]
            if flight.number >= self._low + self._slots:
                break
            ahead.popleft()
            flight.repeats = 0
            flights.sent(flight, now)
            expected[flight.key] = flight
            if flight.work is not None:
                kept[flight.number] = flight
                self._sent = max(self._sent, flight.number + 1)
                kept.pop(flight.number - 2 * self._slots, None)
            packets.append(flight.packet)
        statistics = self.statistics
        statistics.sent += len(packets)
        statistics.octets_sent += sum(map(len, packets))
        return packets

    def next_deadline(self) -> float | None:
        """When `poll_transmit` has to be called at the latest; None while there is nothing to wait for."""
        if self.error is not None or not self._flights.under_way:
            return None
        deadline = self._flights.deadline()
        if self.settings.timeout is not None and self._works:
            deadline = min(deadline, self._progress_at + self.settings.timeout)
        return deadline

    def snapshot(self) -> Statistics:
        """The statistics as they are now."""
        trip = self._flights.trip
        return replace(
            self.statistics,
            round_trip=trip.smoothed,
            round_trip_variation=trip.variation,
            round_trip_least=trip.least,
            window=self._flights.window.size,
        )

    # What happens inside.

    def _forget(self) -> None:
        """Nothing has been sent or completed."""
        self._flights.forget()
        self._low = 0  # all chunks before this one are completed, in this generation or before it
        self._done: set[int] = set()  # those after it
        self._sent = 0  # all chunks before this one have been sent
        self._expected: dict[bytes, Flight] = {}  # by the first octets of their results
        self._ahead: deque[Flight] = deque()  # built, and to be sent next
        self._waiting: deque[Flight] = deque()  # built before it is agreed from where to go on
        self._kept: dict[int, Flight] = {}  # sent, the last 2 * slots
        self._base = None  # the chunk after those that begin the generation; None until it is agreed
        self._counts = [0, 0]
        self._progress_at = 0.0
        self._busy_since = 0.0

    def _synchronise(self) -> None:
        """Says how many chunks this member has completed."""
        assert self._builder is not None
        scales = np.array([-(self._low % _COUNT), -((self._low + _COUNT // 2) % _COUNT)], np.int32)
        everybody = np.full(_SYNC_CHUNKS, EVERYBODY, np.uint16)
        prepared = Prepared(_SYNC_CHUNKS, None, scales, everybody, np.zeros(_SYNC_CHUNKS, bool))
        packets, keys = self._builder.build(0, Operation.OR, _SYNC_SIGNATURE, prepared)
        # What was built before waits until it is known from where all go on. Numbers below zero are nobody's.
        unsent = [flight for flight in self._ahead if flight.work is not None and flight.number >= self._sent]
        self._waiting.extend(unsent)
        self._ahead = deque(
            Flight(self._low - _SYNC_CHUNKS + n, packets[n], keys[n], None) for n in range(_SYNC_CHUNKS)
        )

    def _agree(self, now: float) -> None:
        """All members go on from the smallest number of completed chunks."""
        first, second = (-count for count in self._counts)
        smallest = first if first >= 4 * self._slots else second - _COUNT // 2
        behind = (self._low - smallest) % _COUNT
        resumed = self._low - behind
        again = [self._kept.get(number) for number in range(resumed, self._sent)]
        if behind > self._slots or None in again:
            text = f"a member has completed {smallest} chunks, this one {self._low}: it has begun anew"
            self.fail(MemberLostError(text), now)
            return
        self._done = {number for number in self._done if number >= resumed}
        for number in range(resumed, self._low):
            self._kept[number].done = True
        for number in self._done:
            self._kept[number].done = True
        self._base, self._low = resumed, resumed
        self._done.clear()
        self._ahead = deque(flight for flight in again if flight is not None) + self._waiting
        self._waiting.clear()
        assert self._builder is not None
        for flight in self._ahead:
            flight.packet, flight.key = self._builder.move(self._wire(flight.number), flight.packet, flight.key)

    def _wire(self, number: int) -> int:
        """How a chunk is numbered in this generation."""
        assert self._base is not None
        return number - self._base + _SYNC_CHUNKS

    def _prepare(self) -> bool:
        """Builds packets for chunks whose values are known; False if there are none."""
        if self._base is None or self._builder is None:
            return False
        while self._unprepared:
            work = self._unprepared[0]
            first = self._prepared
            if first == work.chunks:
                self._unprepared.popleft()
                self._prepared = 0
                continue
            stop = min(work.ready(max(self._low - work.first, 0)), first + _PREPARED_AT_ONCE)
            if stop <= first:
                return False
            prepared = work.prepare(first, stop)
            number = work.first + first
            packets, keys = self._builder.build(self._wire(number), work.operation, work.signature, prepared)
            self._ahead.extend(
                map(Flight, range(number, number + prepared.count), packets, keys, [work] * prepared.count)
            )
            self._prepared += prepared.count
            return True
        return False

    def _complete(self, flight: Flight, scale: int, cookie: int, now: float) -> None:
        """The result of a chunk has come; it is expected no more."""
        self._flights.answered(flight, cookie, now)
        self._progress_at = now
        statistics = self.statistics
        statistics.results += 1
        work = flight.work
        if work is None:
            self._counts[flight.number - (self._low - _SYNC_CHUNKS)] = scale
            if not self._flights.under_way and not self._ahead:
                self._agree(now)
            return
        number = flight.number
        if number == self._low:
            self._low += 1
            while self._done and self._low in self._done:
                self._done.remove(self._low)
                self._low += 1
        else:
            self._done.add(number)
        if not flight.done:
            flight.done = True
            work.remaining -= 1
            statistics.data += self._builder.place.values * 4 if self._builder is not None else 0

    def _repeat(self, packets: list[bytes], now: float) -> None:
        """Contributions that are lost, or may be."""
        again, probes = self._flights.to_repeat(now)
        if not again:
            return
        builder = self._builder
        assert builder is not None
        for flight in again:
            self._flights.sent_again(flight, now)
            flight.cookie = builder.cookie(flight.order)
            flight.packet = builder.again(flight.packet, flight.cookie)
            packets.append(flight.packet)
        self.statistics.repeated += len(again)
        self.statistics.timeouts += probes
        self.statistics.early += len(again) - probes

    def _is_late(self, now: float) -> bool:
        limit = self.settings.timeout
        if limit is None or not self._works or now < self._progress_at + limit:
            return False
        work = self._works[0]
        lacking = f"chunk {max(self._low - work.first, 0)}" if self._base is not None else "the group to begin"
        text = f"{work.describe()}: no progress for {limit} s; {work.chunks - work.remaining} of {work.chunks} chunks "
        self.fail(CollectiveTimeoutError(f"{text}are done, waits for {lacking}"), now)
        return True

    def _finish_works(self, now: float) -> None:
        # In their order, so that whoever waits for one has the results of those before it.
        while self._works and not self._works[0].remaining and self._low >= self._works[0].first:
            work = self._works.popleft()
            if self._unprepared and self._unprepared[0] is work:
                self._unprepared.popleft()
                self._prepared = 0
            work.ended = now
            work.finish()
            self.statistics.collectives += 1
            self.finished.append(work)
            if not self._works:
                self.statistics.busy += now - self._busy_since

    def _fail_works(self, error: Exception, now: float) -> None:
        if self._works:
            self.statistics.busy += now - self._busy_since
        for work in self._works:
            work.error, work.ended = error, now
            work.finish()
            self.finished.append(work)
        self._works.clear()
        self._unprepared.clear()
        self._prepared = 0

    def _unexpected(self, packet: bytes, now: float) -> None:
        """What is no plain result that is waited for: read field by field."""
        assert self._builder is not None
        statistics, place = self.statistics, self._builder.place
        try:
            found = decode_incc(self._builder.carrier.open(packet), place.values)
        except PacketError:
            statistics.refused += 1
            return
        if found.kind != Kind.RESULT:
            statistics.refused += 1
        elif (found.group, found.rank) != (place.group, place.rank):
            statistics.foreign += 1
        elif found.generation != place.generation:
            statistics.old += 1
        else:
            self._read(found, now)

    def _read(self, found: InccPacket, now: float) -> None:
        """A result of this member that has flags, was not plain, or is not waited for."""
        for flight in self._flights.under_way.values():
            sent = flight.key
            slot, turn = int.from_bytes(sent[8:10], "big"), int.from_bytes(sent[10:12], "big")
            if (slot, turn) == (found.slot, found.round):
                break
        else:
            self.statistics.duplicates += 1
            if self._builder is not None and self._builder.is_own(found.cookie):
                self._flights.trip.needless(now)
            return
        work = flight.work
        place = f"chunk {flight.number - work.first} of {work.describe()}" if work else "the group's begin"
        if found.flags & Flags.MISMATCH or found.operation != sent[1]:
            text = f"{place}: the members do not call the same collective with the same parameters"
            self.fail(MismatchError(text), now)
            return
        if bool(found.flags & Flags.EMPTY) != bool(sent[2] & Flags.EMPTY):
            self.statistics.refused += 1
            return
        if found.flags & Flags.OVERFLOW and work is not None and not flight.done:
            work.saturated.append(flight.number - work.first)
        self._expected.pop(flight.key, None)
        if work is not None and not flight.done:
            work.deliver(flight.number - work.first, found.values, 0, found.scale)
        self._complete(flight, found.scale, found.cookie, now)
