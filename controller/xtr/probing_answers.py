"""The ETR's answers to RLOC-probes (RFC 9301 §7.1; wire reference 2.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from controller.lisp import (
    CONTROL_PORT,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    IPAddress,
    MapReply,
    MapRequest,
    RequestRecord,
    RlocRecord,
    encode,
)
from controller.lisp.lcaf import find_ip
from controller.mapping.machine import Event, Send, dropped
from controller.xtr.config import XtrConfig
from controller.xtr.etr import Etr, LocalMapping
from controller.xtr.map_cache import MapCache
from controller.xtr.outputs import Output

_UNKNOWN_TTL: Final = 1  # minutes, of an EID that is not behind this router


class ProbeResponder:
    """Answers probes of this router's RLOCs.

    Whoever asks is not authenticated: an answer goes only to where the probe came from, and there are at most
    `probe_answers` a second (RFC 9301 §5.4).
    """

    def __init__(self, config: XtrConfig, etr: Etr, cache: MapCache) -> None:
        self._config = config
        self._etr = etr
        self._cache = cache
        self._left = float(config.probe_answers)
        self._at: float | None = None

    def handle(self, datagram: Datagram, message: MapRequest, now: float) -> list[Output]:
        """Process one Map-Request with the P bit that came without envelope."""
        source, probed = datagram.source, datagram.destination.address
        if source.address not in [find_ip(rloc) for rloc in message.itr_rlocs]:
            fields = {"field": "itr-rlocs", "value": str(source.address)}
            return [dropped(datagram, "source-is-no-itr-rloc", message="map-request", **fields)]
        if not self._admit(now):
            return [Event("probe-not-answered", {"source": str(source), "reason": "rate"})]
        records = tuple(self._record(record, probed) for record in message.records)
        reply = MapReply(message.nonce, records, probe=True)
        return [Send(Datagram(Endpoint(probed, CONTROL_PORT), source, encode(reply)))]

    def _record(self, asked: RequestRecord, probed: IPAddress) -> EidRecord:
        """The mapping with `probed` marked; without locators if the EID is not behind this router.

        An EID is written as it was asked for: there are probers that compare the octets.
        """
        eid = asked.key
        mapping = next(self._mappings(eid), None)
        if mapping is None:
            return EidRecord(asked.eid, asked.mask_len, _UNKNOWN_TTL, authoritative=True)
        learned = self._cache.learned(mapping.local.eid)
        own = [replace(locator, local=True, reachable=True) for locator in mapping.locators]
        mine = {locator.rloc for locator in own}
        # RFC 9301 §5.4 wants the whole RLOC-set: what the mapping system told of the other routers of the Site.
        peers = [locator for locator in learned.record.locators if locator.rloc not in mine] if learned else []
        locators = [*own, *(replace(locator, local=False) for locator in peers)]
        found = mapping.local.eid
        record = EidRecord.for_eid(found, self._config.record_ttl, _marked(locators, probed), authoritative=True)
        return replace(record, eid=asked.eid, mask_len=asked.mask_len) if found == eid else record

    def _mappings(self, eid: Eid) -> Iterator[LocalMapping]:
        """The database entries that cover `eid`, the most specific first."""
        for covering in _covering(eid):
            mapping = self._etr.get(covering)
            if mapping is not None and not mapping.withdrawn:
                yield mapping

    def _admit(self, now: float) -> bool:
        """A bucket that fills at the rate allowed, and holds what one second brings."""
        rate = float(self._config.probe_answers)
        if self._at is not None:
            self._left = min(rate, self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _marked(locators: list[RlocRecord], probed: IPAddress) -> list[RlocRecord]:
    return [replace(locator, probed=locator.rloc == probed) for locator in locators]


def _covering(eid: Eid) -> Iterator[Eid]:
    yield eid
    target = eid.target
    if isinstance(target, (IPv4Network, IPv6Network)):
        for length in range(target.prefixlen - 1, -1, -1):
            yield Eid(eid.iid, ip_network((target.network_address, length), strict=False))
