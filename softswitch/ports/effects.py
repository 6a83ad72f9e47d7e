"""What a link does to packets on their way, one direction at a time: a pure scheduler, in which time is an argument.

A packet that is sent passes these stations in this order:

1. It is lost with the probability `loss`; otherwise it is sent twice with the probability `duplicate`.
2. It waits for the transmitter, which sends `rate` bits a second. A packet that finds `queue` packets there (the one
   being sent included) overflows.
3. It is under way for `delay`, give or take at most `jitter`, without overtaking what was sent before. With the
   probability `reorder` it skips the delay, and so overtakes what is under way (as in Linux's netem).

The receiver never gets more than `rate` either, unless packets overtake. Every packet draws the same numbers from the
generator, whatever the effects: the same seed and the same packets at the same times have the same fate, and a higher
loss loses the same packets and some more.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from softswitch.ports.base import PortError

DEFAULT_QUEUE: Final = 1000
MAX_DELAY_NS: Final = 60_000_000_000
MAX_RATE: Final = 10**13  # bits per second
_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of one direction of a link. PortError, naming field and value, if they make no sense.

    Attributes:
        delay: nanoseconds, at most a minute.
        jitter: nanoseconds around the delay, at most the delay; evenly distributed.
        loss, duplicate, reorder: probabilities, 0 to 1.
        rate: bits per second of frames as they are seen here (without preamble and checksum); 0 for no limit.
        queue: packets at the transmitter, at least 1; of no importance without rate.
        seed: of the generator. Each direction of a link has numbers of its own from it.
    """

    delay: int = 0
    jitter: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate: int = 0
    queue: int = DEFAULT_QUEUE
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("delay", 0, MAX_DELAY_NS),
            ("jitter", 0, self.delay),
            ("loss", 0, 1),
            ("duplicate", 0, 1),
            ("reorder", 0, 1),
            ("rate", 0, MAX_RATE),
        ):
            value = getattr(self, name)
            if not low <= value <= high:  # also false for what is not a number
                bound = "the delay" if name == "jitter" else high
                raise PortError(f"{name} {value} is not in {low}..{bound}")
        if self.queue < 1:
            raise PortError(f"queue {self.queue} is not positive")
        if self.reorder and not self.delay:
            raise PortError(f"reorder {self.reorder} needs a delay: a packet overtakes those that are under way")

    @property
    def any(self) -> bool:
        """Whether there is any effect at all."""
        return bool(self.delay or self.loss or self.duplicate or self.rate)


NO_EFFECTS: Final = Effects()


@dataclass(slots=True)
class ChannelCounters:
    """Packets, since the channel was made.

    offered + duplicated = delivered + lost + overflowed + cut + those that are still in the channel.

    Attributes:
        offered: sent into the channel.
        duplicated: copies that were added.
        lost: dropped by chance.
        overflowed: dropped at the full queue of the transmitter.
        reordered: that overtook another packet.
        delivered: that left at the other end.
        cut: that were under way when the link went down.
    """

    offered: int = 0
    duplicated: int = 0
    lost: int = 0
    overflowed: int = 0
    reordered: int = 0
    delivered: int = 0
    cut: int = 0


class Channel:
    """One direction of a link. Times are nanoseconds of any clock that does not run backwards.

    name: of the direction; together with the seed it makes the channel's random numbers
    """

    def __init__(self, effects: Effects, name: str = "") -> None:
        self.effects = effects
        self.counters = ChannelCounters()
        self._random = random.Random(f"{effects.seed}/{name}").random
        self._under_way: list[tuple[int, int, bytes]] = []  # a heap of (arrival, number, packet)
        self._number = 0
        # Kept in nanoseconds times rate, or rounding would change the rate by as much as a packet is short.
        self._scale = effects.rate or 1
        self._departures: deque[int] = deque()  # of the packets at the transmitter
        self._free_at = 0  # when the transmitter is done
        self._last_arrival = 0  # of the packets that keep their order
        self._latest = 0  # arrival of any packet, in nanoseconds

    def __len__(self) -> int:
        """The packets in the channel."""
        return len(self._under_way)

    @property
    def deadline(self) -> int | None:
        """When the next packet leaves, None if there is none."""
        return self._under_way[0][0] if self._under_way else None

    @property
    def latest(self) -> int:
        """When the last of the packets sent so far arrives."""
        return self._latest

    def offer(self, packet: bytes, now: int) -> None:
        """Sends a packet."""
        self.counters.offered += 1
        draw = self._random
        loss, duplicate, reorder, first, second = draw(), draw(), draw(), draw(), draw()
        if loss < self.effects.loss:
            self.counters.lost += 1
            return
        overtakes = reorder < self.effects.reorder
        self._transmit(packet, now, first, overtakes)
        if duplicate < self.effects.duplicate:
            self.counters.duplicated += 1
            self._transmit(packet, now, second, overtakes)

    def due(self, now: int) -> list[bytes]:
        """The packets that have arrived, in their order; they are in the channel no more."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(heapq.heappop(self._under_way)[2])
        self.counters.delivered += len(arrived)
        return arrived

    def cut(self) -> None:
        """The link goes down: what is under way is lost."""
        self.counters.cut += len(self._under_way)
        self._under_way.clear()
        self._departures.clear()
        self._free_at = self._last_arrival = self._latest = 0

    def _transmit(self, packet: bytes, now: int, chance: float, overtakes: bool) -> None:
        effects, scale = self.effects, self._scale
        airtime = 0
        if effects.rate:
            airtime = len(packet) * 8 * _NS_PER_S
            waiting = self._departures
            while waiting and waiting[0] <= now * scale:
                waiting.popleft()
            if len(waiting) >= effects.queue:
                self.counters.overflowed += 1
                return
        departure = self._free_at = max(self._free_at, now * scale) + airtime
        if effects.rate:
            self._departures.append(departure)
        if overtakes:
            arrival = -(-departure // scale)
            self.counters.reordered += arrival < self._latest
        else:
            delay = effects.delay + round((2 * chance - 1) * effects.jitter)
            self._last_arrival = max(departure + delay * scale, self._last_arrival + airtime)
            arrival = -(-self._last_arrival // scale)
        self._latest = max(self._latest, arrival)
        self._number += 1
        heapq.heappush(self._under_way, (arrival, self._number, packet))
