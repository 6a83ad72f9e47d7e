"""RLOC-probing: which locators of the map-cache answer (RFC 9301 §7.1; wire reference 2.11).

One probe speaks for an RLOC, not for each EID behind it: what fails is a router or the way to it. The mapping
in a probe's answer is not believed; mappings come from the mapping system, authenticated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.lisp import (
    CONTROL_PORT,
    Datagram,
    Eid,
    Endpoint,
    IPAddress,
    MapReply,
    MapRequest,
    RequestRecord,
    encode,
)
from controller.mapping.machine import Event, NonceSource, Send, TimerQueue, dropped
from controller.xtr.config import XtrConfig
from controller.xtr.entries import Kind
from controller.xtr.outputs import MapCacheChange, Output, RlocReachability


@dataclass(frozen=True, slots=True)
class RlocHealth:
    """What is known of an RLOC that the map-cache uses.

    `answers`: to probes, the last of which took `round_trip` seconds (None: not answered yet). `routed`: the
    underlay has a way to it. `eids`: how many EIDs have it in their RLOC-set.
    """

    rloc: IPAddress
    answers: bool
    routed: bool
    round_trip: float | None
    eids: int


@dataclass(slots=True)
class _Probed:
    """An RLOC: the EIDs behind it, and the probes of this round. `sent`: nonce and time, oldest first."""

    source: IPAddress
    sent: deque[tuple[int, float]]
    eids: dict[Eid, None] = field(default_factory=dict)
    tries: int = 0
    answers: bool = True
    round_trip: float | None = None


class Prober:
    """Knows which RLOCs are reachable; without `config.probing` only from what the underlay says."""

    def __init__(self, config: XtrConfig, nonces: NonceSource) -> None:
        self._probing = config.probing
        self._nonces = nonces
        self._sources = {rloc.version: rloc for rloc in reversed(config.rlocs)}
        self._mapping_systems = frozenset(link.address for link in config.links)
        self._probed: dict[IPAddress, _Probed] = {}
        self._rlocs_of: dict[Eid, tuple[IPAddress, ...]] = {}
        self._by_nonce: dict[int, IPAddress] = {}
        self._unrouted: set[IPAddress] = set()
        self._timers: TimerQueue[IPAddress] = TimerQueue()

    def watch(self, outputs: list[Output], now: float) -> list[Output]:
        """Take notice of the map-cache changes among outputs; returns them with what follows from them."""
        if self._probing is None:
            return outputs
        found: list[Output] = []
        for output in outputs:
            if isinstance(output, MapCacheChange):
                found += self._follow(output, now)
        return outputs + found if found else outputs

    def routed(self, rlocs: Iterable[IPAddress], routed: bool) -> list[Output]:
        """The underlay has, or has no more, a way to these RLOCs."""
        outputs: list[Output] = []
        for rloc in rlocs:
            if routed == (rloc not in self._unrouted):
                continue
            before = self.reachable(rloc)
            (self._unrouted.discard if routed else self._unrouted.add)(rloc)
            outputs += self._compare(rloc, before, "route")
        return outputs

    def reachable(self, rloc: IPAddress) -> bool:
        """Whether packets can go to an RLOC, as far as is known."""
        probed = self._probed.get(rloc)
        return rloc not in self._unrouted and (probed is None or probed.answers)

    def answered(self, datagram: Datagram, message: MapReply, now: float) -> list[Output]:
        """Take a Map-Reply with the P bit; its nonce tells which RLOC it speaks for."""
        if not message.records or not all(record.authoritative for record in message.records):
            return [dropped(datagram, "not-authoritative", message="map-reply", field="A", value=0)]
        rloc = self._by_nonce.get(message.nonce)
        if rloc is None:
            return [dropped(datagram, "unknown-nonce", message="map-reply", field="nonce", value=message.nonce)]
        assert self._probing is not None  # else there are no nonces
        probed = self._probed[rloc]
        before = self.reachable(rloc)
        probed.round_trip = now - next(sent for nonce, sent in probed.sent if nonce == message.nonce)
        probed.answers, probed.tries = True, 0
        self._forget_nonces(probed)
        self._timers.set(rloc, now + self._jittered(self._probing.interval))
        return self._compare(rloc, before, "probe")

    def tick(self, now: float) -> list[Output]:
        """Send the probes that are due, and give up RLOCs that answered none."""
        outputs: list[Output] = []
        for rloc in self._timers.pop_due(now):
            probing, probed = self._probing, self._probed[rloc]
            assert probing is not None
            if probed.answers and probed.tries >= probing.tries:
                before = self.reachable(rloc)
                probed.answers, probed.tries = False, 0
                self._timers.set(rloc, now + self._jittered(probing.down_interval))
                outputs += self._compare(rloc, before, "probe")
                continue
            outputs.append(self._probe(rloc, probed, now))
            probed.tries += 1
            pause = probing.timeout if probed.answers else self._jittered(probing.down_interval)
            self._timers.set(rloc, now + pause)
        return outputs

    def next_deadline(self) -> float | None:
        """When the next probe goes out, or the answer to one is late."""
        return self._timers.next_deadline()

    def health(self) -> list[RlocHealth]:
        """All RLOCs that are probed or have no route, in the order of their addresses."""
        known = sorted({*self._probed, *self._unrouted}, key=lambda rloc: (rloc.version, int(rloc)))
        return [self._health(rloc) for rloc in known]

    def _health(self, rloc: IPAddress) -> RlocHealth:
        probed, routed = self._probed.get(rloc), rloc not in self._unrouted
        if probed is None:
            return RlocHealth(rloc, True, routed, None, 0)
        return RlocHealth(rloc, probed.answers, routed, probed.round_trip, len(probed.eids))

    def _follow(self, change: MapCacheChange, now: float) -> list[Output]:
        eid, entry = change.eid, change.entry
        after: tuple[IPAddress, ...] = ()
        if entry is not None and entry.kind is Kind.FORWARD:
            after = tuple(locator.rloc for locator in entry.locators if self._may_be_probed(locator.rloc))
        before = self._rlocs_of.pop(eid, ())
        if after:
            self._rlocs_of[eid] = after
        for rloc in after:
            self._begin(rloc, now).eids[eid] = None
        outputs: list[Output] = []
        for rloc in before:
            if rloc not in after:
                probed = self._probed[rloc]
                del probed.eids[eid]
                if not probed.eids:
                    outputs += self._end(rloc, probed)
        return outputs

    def _may_be_probed(self, rloc: IPAddress) -> bool:
        """No probe goes to a mapping system (requirement PR-REQ-3), or to where no own RLOC can send one."""
        return rloc.version in self._sources and rloc not in self._mapping_systems

    def _begin(self, rloc: IPAddress, now: float) -> _Probed:
        probing, probed = self._probing, self._probed.get(rloc)
        assert probing is not None
        if probed is None:
            probed = self._probed[rloc] = _Probed(self._sources[rloc.version], deque())
            self._timers.set(rloc, now + probing.interval * self._fraction())
        return probed

    def _end(self, rloc: IPAddress, probed: _Probed) -> list[Output]:
        """No EID uses the RLOC any more; when one does again, it gets the benefit of the doubt."""
        before = self.reachable(rloc)
        self._forget_nonces(probed)
        self._timers.cancel(rloc)
        del self._probed[rloc]
        return self._compare(rloc, before, "unused")

    def _probe(self, rloc: IPAddress, probed: _Probed, now: float) -> Send:
        assert self._probing is not None
        nonce = self._nonces.unpredictable()
        probed.sent.append((nonce, now))
        self._by_nonce[nonce] = rloc
        while len(probed.sent) > self._probing.tries:
            self._by_nonce.pop(probed.sent.popleft()[0], None)
        record = RequestRecord.for_eid(next(iter(probed.eids)))
        request = MapRequest(nonce, (probed.source,), (record,), probe=True)
        source, destination = Endpoint(probed.source, CONTROL_PORT), Endpoint(rloc, CONTROL_PORT)
        return Send(Datagram(source, destination, encode(request)))

    def _forget_nonces(self, probed: _Probed) -> None:
        for nonce, _ in probed.sent:
            self._by_nonce.pop(nonce, None)
        probed.sent.clear()

    def _compare(self, rloc: IPAddress, before: bool, reason: str) -> list[Output]:
        after = self.reachable(rloc)
        if after == before:
            return []
        event = Event("rloc-reachable" if after else "rloc-unreachable", {"rloc": str(rloc), "by": reason})
        return [event, RlocReachability(rloc, after)]

    def _fraction(self) -> float:
        return self._nonces.unpredictable() / 2**64

    def _jittered(self, seconds: float) -> float:
        assert self._probing is not None
        return seconds * (1 + self._probing.jitter * (2 * self._fraction() - 1))
