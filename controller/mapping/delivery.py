"""Unsolicited Map-Notifies on their way: repeated until acknowledged, or given up (RFC 9301 §5.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.lisp import Datagram, Eid, Endpoint
from controller.mapping.machine import Send, TimerQueue
from controller.mapping.store import XtrKey


class ChannelKey(NamedTuple):
    """One stream of Map-Notifies to an xTR, with nonces of its own.

    `subscription` is the EID-prefix subscribed to; None is the stream of member notifications (choice C18).
    """

    xtr: XtrKey
    subscription: Eid | None


class FlightKey(NamedTuple):
    """What an acknowledgement has to agree with: whereto, which nonce, and the EIDs of the records."""

    destination: Endpoint
    nonce: int
    eids: frozenset[Eid]


@dataclass(slots=True, eq=False)
class Flight:
    """A Map-Notify that was sent `sent` times and is not acknowledged; `others`: where it can be sent instead."""

    channel: ChannelKey
    key: FlightKey
    payload: bytes
    others: tuple[Endpoint, ...] = ()
    sent: int = 0


@dataclass(slots=True)
class Channel:
    """What an xTR does not know yet: `waiting` was not sent, `flights` not acknowledged.

    No EID is in two places, so what is sent last about an EID is also the last word on it.
    """

    key: ChannelKey
    waiting: dict[Eid, None] = field(default_factory=dict)
    flights: dict[FlightKey, Flight] = field(default_factory=dict)
    carrier: dict[Eid, Flight] = field(default_factory=dict)


class Delivery:
    """All channels and the retransmission timers of their flights.

    `delays`: seconds after each transmission until the next; after the last repetition the last of them is
    waited once more.
    """

    def __init__(self, source: Endpoint, delays: tuple[float, ...]) -> None:
        self._source = source
        self._delays = delays
        self._channels: dict[ChannelKey, Channel] = {}
        self._flights: dict[FlightKey, Flight] = {}
        self._timers: TimerQueue[FlightKey] = TimerQueue()

    def channel(self, key: ChannelKey) -> Channel:
        """The channel with that key, made if there is none."""
        return self._channels.setdefault(key, Channel(key))

    def open_channel(self, key: ChannelKey) -> Channel | None:
        """The channel with that key if it has something to tell."""
        return self._channels.get(key)

    def channels(self) -> Iterator[Channel]:
        """All channels that have something to tell."""
        return iter(self._channels.values())

    def launch(
        self, channel: Channel, key: FlightKey, payload: bytes, now: float, others: tuple[Endpoint, ...] = ()
    ) -> Send:
        """Send a Map-Notify for the first time; `others`: where to send it when nobody answers."""
        flight = Flight(channel.key, key, payload, others)
        channel.flights[key] = self._flights[key] = flight
        for eid in key.eids:
            channel.waiting.pop(eid, None)
            channel.carrier[eid] = flight
        return self._transmit(flight, now)

    def redirect(self, flight: Flight, now: float) -> Send:
        """Begin anew with the next of the other places that a Map-Notify can be sent to."""
        channel = self._channels[flight.channel]
        self.land(flight)
        self._channels[flight.channel] = channel
        key = flight.key._replace(destination=flight.others[0])
        return self.launch(channel, key, flight.payload, now, flight.others[1:])

    def land(self, flight: Flight) -> None:
        """Forget a flight: acknowledged, overtaken by news or given up."""
        channel = self._channels[flight.channel]
        self._timers.cancel(flight.key)
        del self._flights[flight.key], channel.flights[flight.key]
        for eid in flight.key.eids:
            del channel.carrier[eid]
        self.forget_idle(channel)

    def forget_idle(self, channel: Channel) -> None:
        """Drop a channel that has nothing to tell."""
        if not channel.waiting and not channel.flights:
            self._channels.pop(channel.key, None)

    def find(self, key: FlightKey) -> Flight | None:
        """The flight that an acknowledgement belongs to."""
        return self._flights.get(key)

    def close(self, key: ChannelKey) -> set[Eid]:
        """Stop everything on a channel; returns the EIDs that its xTR had still to be told of."""
        channel = self._channels.get(key)
        if channel is None:
            return set()
        untold = {*channel.waiting, *channel.carrier}
        channel.waiting.clear()
        for flight in list(channel.flights.values()):
            self.land(flight)
        self._channels.pop(key, None)
        return untold

    def due(self, now: float) -> Iterator[tuple[Flight, Send | None]]:
        """Yield each flight whose acknowledgement is late, with its repetition; None when it has had them all."""
        for key in self._timers.pop_due(now):
            flight = self._flights[key]
            yield flight, self._transmit(flight, now) if flight.sent <= len(self._delays) else None

    def next_deadline(self) -> float | None:
        """When the next acknowledgement is late."""
        return self._timers.next_deadline()

    def _transmit(self, flight: Flight, now: float) -> Send:
        self._timers.set(flight.key, now + self._delays[min(flight.sent, len(self._delays) - 1)])
        flight.sent += 1
        return Send(Datagram(self._source, flight.key.destination, flight.payload))
