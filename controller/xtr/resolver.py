"""Map-Requests under way: their pace, their nonces, and the packets that wait for them (RFC 9301 §5.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from controller.lisp import (
    CONTROL_PORT,
    NO_ADDRESS,
    Address,
    Ecm,
    Eid,
    MapRequest,
    RequestRecord,
    XtrIdentity,
    encode,
    with_metadata,
)
from controller.mapping.machine import Event, Send, TimerQueue
from controller.xtr.config import MappingSystemLink, XtrConfig
from controller.xtr.etr import SILENT_AFTER
from controller.xtr.links import Links
from controller.xtr.nonces import NonceKeeper
from controller.xtr.subscriptions import Subscriptions


class RequestKey(NamedTuple):
    """One thing asked of one mapping system."""

    link: str
    eid: Eid


@dataclass(slots=True)
class Request:
    """A Map-Request that is not answered.

    `nonces`: of all its transmissions, an answer to any of them counts. `doubtful`: the one that a
    publication may have too. `lasting`: never given up. `sure`: must not have a doubtful one. `ends`: it
    takes a subscription back. `paused`: waits after too many tries. `wanted`: a packet asked for it during
    the pause.
    """

    key: RequestKey
    lasting: bool = False
    sure: bool = False
    ends: bool = False
    nonces: set[int] = field(default_factory=set)
    doubtful: int | None = None
    tries: int = 0
    paused: bool = False
    wanted: bool = False
    packets: deque[bytes] = field(default_factory=deque)


class Resolver:
    """All requests under way."""

    def __init__(self, config: XtrConfig, links: Links, subscriptions: Subscriptions, nonces: NonceKeeper) -> None:
        self._config = config
        self._links = links
        self._subscriptions = subscriptions
        self._nonces = nonces
        self._identity = XtrIdentity(config.xtr_id, config.site_id)
        metadata = config.metadata
        self._itr_rlocs: tuple[Address, ...] = (
            config.rlocs
            if metadata is None
            else tuple(with_metadata(rloc, metadata, config.oui) for rloc in config.rlocs)
        )
        self._requests: dict[RequestKey, Request] = {}
        self._by_nonce: dict[int, Request] = {}
        self._late: dict[int, tuple[Request, float]] = {}
        self._sent_at: dict[RequestKey, float] = {}
        self._timers: TimerQueue[RequestKey] = TimerQueue()
        self._queued = 0
        self.silent: set[str] = set()
        """Links that have left several Map-Requests for one EID unanswered, since this was last emptied."""

    def get(self, link: str, eid: Eid) -> Request | None:
        """The request for exactly `eid` that is under way."""
        return self._requests.get(RequestKey(link, eid))

    def all(self) -> list[Request]:
        """All requests under way, in the order of their EIDs."""
        return [self._requests[key] for key in sorted(self._requests)]

    def due(self, request: Request) -> float | None:
        """When a request goes out again."""
        return self._timers.due(request.key)

    def answered_by(self, nonce: int, link: str | None = None) -> Request | None:
        """The request that an answer with that nonce belongs to, of one link or of any."""
        request = self._by_nonce.get(nonce)
        return request if request is not None and link in (None, request.key.link) else None

    def late(self, nonce: int, link: str) -> Request | None:
        """The request, finished not long ago, that a confirmation with that nonce belongs to.

        It was answered otherwise meanwhile, or by a repetition: the mapping system took the subscription even so.
        """
        found = self._late.get(nonce)
        return found[0] if found is not None and link == found[0].key.link else None

    def ask(
        self,
        link: MappingSystemLink,
        eid: Eid,
        now: float,
        *,
        lasting: bool = False,
        sure: bool = False,
        packet: bytes | None = None,
    ) -> list[Send | Event]:
        """Ask for `eid`, or join the request that is under way; `packet` waits for the answer.

        `sure`: the confirmation must not be open to being taken for a publication.
        """
        key = RequestKey(link.name, eid)
        request = self._requests.get(key)
        if request is not None and not request.ends:
            request.lasting |= lasting
            request.wanted = True
            return self._enqueue(request, packet)
        request = self._begin(key, Request(key, lasting=lasting, sure=sure), now)
        dropped = self._enqueue(request, packet)
        return [*dropped, *self._pace(request, now)]

    def unsubscribe(self, link: MappingSystemLink, eid: Eid, now: float) -> list[Send | Event]:
        """Take the subscription for `eid` back."""
        key = RequestKey(link.name, eid)
        return self._pace(self._begin(key, Request(key, ends=True), now), now)

    def finish(self, request: Request, now: float) -> tuple[bytes, ...]:
        """The request is answered or pointless: end it, and return the packets that waited."""
        packets = tuple(request.packets)
        self._clear(request, now)
        if self._requests.get(request.key) is request:
            del self._requests[request.key]
            self._timers.cancel(request.key)
        return packets

    def hand_over(self, link: str, other: MappingSystemLink, now: float) -> list[Send | Event]:
        """Ask another node of a mapping system for everything that packets wait for."""
        outputs: list[Send | Event] = []
        for request in [one for one in self._requests.values() if one.key.link == link and not one.lasting]:
            if request.ends:
                continue
            packets = self.finish(request, now)
            outputs += self.ask(other, request.key.eid, now)
            for packet in packets:
                outputs += self.ask(other, request.key.eid, now, packet=packet)
        return outputs

    def postpone(self, request: Request, now: float, until: float) -> None:
        """Ask again only then: a lasting request was refused."""
        self._clear(request, now)
        request.paused, request.wanted = True, False
        self._timers.set(request.key, until)

    def waiting_inside(self, eid: Eid) -> Iterator[Request]:
        """Requests for EIDs that `eid` covers, with packets or not."""
        return (request for request in list(self._requests.values()) if eid.covers(request.key.eid))

    def tick(self, now: float) -> list[Send | Event]:
        """Send again what has no answer."""
        outputs: list[Send | Event] = []
        for key in self._timers.pop_due(now):
            request = self._requests[key]
            if request.tries >= SILENT_AFTER and not request.paused:
                self.silent.add(key.link)
            if request.paused:
                outputs += self._resume(request, now)
            elif request.tries >= self._config.request_tries:
                outputs += self._pause(request, now)
            else:
                outputs.append(self._send(request, now))
        self._forget_past(now)
        return outputs

    def next_deadline(self) -> float | None:
        """When the next request goes out again."""
        return self._timers.next_deadline()

    def _begin(self, key: RequestKey, request: Request, now: float) -> Request:
        held = self._requests.get(key)
        if held is not None:
            self.finish(held, now)
        self._requests[key] = request
        return request

    def _pace(self, request: Request, now: float) -> list[Send | Event]:
        """Send now, or as soon as the last request for the same EID is long enough ago."""
        earliest = self._sent_at.get(request.key, now - self._config.request_interval) + self._config.request_interval
        if earliest <= now:
            return [self._send(request, now)]
        self._timers.set(request.key, earliest)
        return []

    def _send(self, request: Request, now: float) -> Send:
        link = self._links.named(request.key.link)
        subscribe = self._config.subscribe_on_miss or request.lasting or request.ends
        subscribe = subscribe and link.profile.subscriptions
        nonce = self._subscription_nonce(request, now) if subscribe else self._nonces.unpredictable()
        request.nonces.add(nonce)
        self._by_nonce[nonce] = request
        request.tries += 1
        self._sent_at.pop(request.key, None)
        self._sent_at[request.key] = now
        self._timers.set(request.key, now + self._config.request_interval)
        return self._links.send(link, self._encode(request, link, nonce, subscribe))

    def _subscription_nonce(self, request: Request, now: float) -> int:
        """One more than the last for a renewal; begun anew at the clock for anything else, and when repeated.

        A repetition with one more again would meet the publications that the mapping system sends meanwhile.
        """
        link, eid = request.key
        if not (request.tries or request.sure or request.ends):
            successor = self._subscriptions.successor(link, eid)
            if successor is not None:
                request.doubtful = successor
                return successor
        return self._subscriptions.fresh_nonce(link, eid, now)

    def _encode(self, request: Request, link: MappingSystemLink, nonce: int, subscribe: bool) -> bytes:
        """The Map-Request in its envelope (RFC 9301 §5.8; for a subscription RFC 9437 §4)."""
        eid = request.key.eid
        rlocs: tuple[Address, ...] = (NO_ADDRESS,) if request.ends else self._itr_rlocs
        record = RequestRecord.for_eid(eid, subscribe=subscribe)
        inner = MapRequest(nonce, rlocs, (record,), xtr=self._identity if subscribe else None)
        source = self._links.source(link)
        destination = link.address
        if isinstance(eid.target, (IPv4Network, IPv6Network)) and eid.target.version == source.version:
            destination = eid.target.network_address
        return encode(Ecm(source, destination, CONTROL_PORT, CONTROL_PORT, link.profile.encode_request(inner)))

    def _pause(self, request: Request, now: float) -> list[Send | Event]:
        dropped = len(request.packets)
        self._clear(request, now)
        request.paused, request.wanted = True, False
        self._timers.set(request.key, now + self._config.request_pause)
        fields = {"eid": str(request.key.eid), "link": request.key.link, "packets": dropped}
        return [Event("map-request-unanswered", fields)]

    def _resume(self, request: Request, now: float) -> list[Send | Event]:
        if not (request.lasting or request.ends or request.wanted):
            self.finish(request, now)
            return []
        request.paused, request.wanted, request.tries, request.doubtful = False, False, 0, None
        return [self._send(request, now)]

    def _enqueue(self, request: Request, packet: bytes | None) -> list[Send | Event]:
        """Keep a packet; the oldest of the same EID makes room, and nobody else's."""
        config = self._config
        if packet is None:
            return []
        request.packets.append(packet)
        self._queued += 1
        dropped = 0
        while request.packets and (len(request.packets) > config.queue_per_eid or self._queued > config.queue_total):
            request.packets.popleft()
            self._queued -= 1
            dropped += 1
        return [Event("packet-dropped", {"eid": str(request.key.eid), "reason": "queue-full"})] * dropped

    def _clear(self, request: Request, now: float) -> None:
        """Stop waiting for an answer; for some time a confirmation may come even so."""
        self._late.update((nonce, (request, now + self._config.request_pause)) for nonce in request.nonces)
        for nonce in request.nonces:
            if self._by_nonce.get(nonce) is request:
                del self._by_nonce[nonce]
        request.nonces.clear()
        self._queued -= len(request.packets)
        request.packets.clear()

    def _forget_past(self, now: float) -> None:
        for nonce in list(self._late):  # oldest first
            if self._late[nonce][1] > now:
                break
            del self._late[nonce]
        horizon = now - self._config.request_interval
        for key in list(self._sent_at):  # oldest first
            if self._sent_at[key] > horizon:
                break
            del self._sent_at[key]
