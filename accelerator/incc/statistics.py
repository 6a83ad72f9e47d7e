"""What a member has sent and received."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """Counted since the member joined; packets, unless said otherwise.

    Attributes:
        sent: contributions, `repeated` ones included. Of those, `timeouts` because the time was up, `early` because
            later ones had been answered.
        results: that were waited for. Not waited for: `duplicates` of those, `old` ones of another generation,
            `foreign` ones of another group or rank; `refused`: not readable, or with a field that cannot be.
        octets_sent, octets_received: of whole packets.
        data: octets of packets' values that completed chunks carried, in either direction.
        busy: seconds during which any collective was under way.
        collectives: that were completed.
        generations: how often the group was formed.
        round_trip, round_trip_variation, round_trip_least: seconds; None before the first sample.
        window: chunks that may be under way now.
    """

    sent: int = 0
    repeated: int = 0
    timeouts: int = 0
    early: int = 0
    results: int = 0
    duplicates: int = 0
    old: int = 0
    foreign: int = 0
    refused: int = 0
    octets_sent: int = 0
    octets_received: int = 0
    data: int = 0
    busy: float = 0.0
    collectives: int = 0
    generations: int = 0
    round_trip: float | None = None
    round_trip_variation: float = 0.0
    round_trip_least: float | None = None
    window: int = 0

    @property
    def goodput(self) -> float:
        """Octets of data a second, while collectives were under way."""
        return self.data / self.busy if self.busy else 0.0
