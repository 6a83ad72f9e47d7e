"""Map-Requests that ask what was asked before, recognized by their octets.

An ITR asks again for the same EID in the same words but for the nonce, and for the checksum that covers it. The
answer is the same as long as no EID was registered or withdrawn since, and the mapping itself is what it was; so the
octets of the answer can be sent again around another nonce. Everything else is left to `requests`, which decides;
the two are interchangeable, and a test compares them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from controller.lisp import Datagram, Eid, Endpoint, IPAddress
from controller.lisp.constants import MessageType
from controller.mapping.content import Content
from controller.mapping.machine import Event, Send
from controller.mapping.registry import Mapping, Registry

# An ECM without flags, and how long the headers before the message in it are: its first word, IP and UDP.
_ECM: Final = int(MessageType.ECM) << 4
_REQUEST: Final = int(MessageType.MAP_REQUEST)
_IP_OFFSET: Final = 4
_PLAIN_IPV4: Final = 0x45  # version 4, a header without options
_BEHIND_IPV4: Final = 4 + 20 + 8
_BEHIND_IPV6: Final = 4 + 40 + 8
_NONCE_END: Final = 12


class ReplySlot:
    """When the last Map-Reply about one EID went to one RLOC, in seconds; `forgotten` by the limiter or not.

    `queued`: the last one when it got its place in the limiter's queue.
    """

    __slots__ = ("forgotten", "last", "queued")

    def __init__(self, last: float) -> None:
        self.last = self.queued = last
        self.forgotten = False


class ReplyLimiter:
    """At most one Map-Reply per interval to each RLOC about each EID (RFC 9301 §5.4).

    Remembers at most `size` pairs; under more load than that the oldest is forgotten.
    """

    def __init__(self, interval: float, size: int) -> None:
        self.interval = interval
        self._size = size
        self._slots: OrderedDict[tuple[IPAddress, Eid], ReplySlot] = OrderedDict()

    def admit(self, rloc: IPAddress, eid: Eid, now: float) -> ReplySlot | None:
        """The slot of that pair, if a reply may be sent now; it counts as sent."""
        slot = self._slots.get((rloc, eid))
        if slot is None:
            slot = self._slots[rloc, eid] = ReplySlot(now)
        elif now < slot.last + self.interval:
            return None
        else:
            slot.last = now
        while len(self._slots) > self._size:
            self._forget_one()
        return slot

    def _forget_one(self) -> None:
        while True:
            pair, slot = next(iter(self._slots.items()))
            if slot.last == slot.queued:
                break
            slot.queued = slot.last  # it was used since: it gets its place only when it matters
            self._slots.move_to_end(pair)
        del self._slots[pair]
        slot.forgotten = True


class Basis(NamedTuple):
    """What an answer rests on: the mapping, None if there is none, as it is in the registry now."""

    population: int
    mapping: Mapping | None
    content: Content | None

    @classmethod
    def now(cls, registry: Registry, mapping: Mapping | None) -> Basis:
        """The present basis of an answer from `mapping`."""
        return cls(registry.population, mapping, mapping.content if mapping is not None else None)


class _Known(NamedTuple):
    """A Map-Request and its answer: the octets around the nonce, and whereto they go.

    `complement`: nonce and UDP checksum of a right message add up to it, modulo 65535. `source`: where it came from.
    """

    basis: Basis
    complement: int
    source: Endpoint
    slot: ReplySlot
    first: bytes
    records: bytes
    destination: Endpoint
    event: Event


class InquiryTable:
    """The Map-Requests to recognize; beyond `size` the oldest is forgotten."""

    def __init__(self, endpoint: Endpoint, registry: Registry, interval: float, size: int) -> None:
        self._endpoint = endpoint
        self._registry = registry
        self._interval = interval
        self._size = size
        self._known: dict[bytes, _Known] = {}

    def answer(self, datagram: Datagram, now: float) -> tuple[Event, Send] | None:
        """Answer a datagram if it is a Map-Request that was answered before and may be again; else None."""
        source, _, payload = datagram
        at = _message_offset(payload)
        if at is None:
            return None
        fixed = _without_nonce(payload, at)
        known = self._known.get(fixed)
        if known is None:
            return None
        (population, mapping, content), complement, known_source, slot, first, records, destination, event = known
        if (
            population != self._registry.population
            or (mapping is not None and mapping.content is not content)
            or slot.forgotten
        ):
            del self._known[fixed]
            return None
        if source is not known_source and (
            source.address != known_source.address or not (at or source == known_source)
        ):
            return None
        nonce = payload[at + 4 : at + 12]
        if at and (_variable_sum(payload, at, nonce) - complement) % 0xFFFF:
            return None
        if now < slot.last + self._interval:
            return None
        slot.last = now
        return event, Send(Datagram(self._endpoint, destination, first + nonce + records))

    def learn(self, datagram: Datagram, basis: Basis, slot: ReplySlot, event: Event, answer: Send) -> None:
        """Remember a Map-Request, all of whose answer rests on `basis`, and this answer."""
        payload, reply = datagram.payload, answer.datagram
        at = _message_offset(payload)
        if at is None or not self._size:
            return
        nonce = payload[at + 4 : at + 12]
        complement = _variable_sum(payload, at, nonce) if at else 0
        while len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        first, records = reply.payload[:4], reply.payload[12:]
        known = _Known(basis, complement, datagram.source, slot, first, records, reply.destination, event)
        self._known[_without_nonce(payload, at)] = known


def _message_offset(payload: bytes) -> int | None:
    """Where the Map-Request begins, if it is one, bare or in an ECM as they usually are."""
    length = len(payload)
    if length <= _NONCE_END:
        return None
    first = payload[0]
    if first >> 4 == _REQUEST:
        return 0
    if first != _ECM or length <= _BEHIND_IPV6 + _NONCE_END:
        return None
    version = payload[_IP_OFFSET]
    at = _BEHIND_IPV4 if version == _PLAIN_IPV4 else _BEHIND_IPV6 if version >> 4 == 6 else None
    return at if at is not None and payload[at - 2 : at] != b"\0\0" else None  # no checksum is a wrong one


def _without_nonce(payload: bytes, at: int) -> bytes:
    """The octets that do not differ from one request to the next: without nonce and UDP checksum."""
    if at:
        return payload[: at - 2] + payload[at : at + 4] + payload[at + 12 :]
    return payload[:4] + payload[12:]


def _variable_sum(payload: bytes, at: int, nonce: bytes) -> int:
    """Nonce and UDP checksum added up: 2**16 is congruent to 1 modulo 65535, so any 16-bit words are."""
    return int.from_bytes(nonce, "big") + int.from_bytes(payload[at - 2 : at], "big")
