"""Map-Reply: an answer without subscription, most often that there is nothing (RFC 9301 §5.4)."""

from __future__ import annotations

from controller.lisp import Datagram, EidRecord, MapReply, is_group
from controller.mapping.machine import Event, dropped
from controller.xtr.entries import Source
from controller.xtr.multicast.multicast import Multicast
from controller.xtr.outputs import Output
from controller.xtr.resolver import Request, Resolver
from controller.xtr.subscriptions import Subscriptions
from controller.xtr.tables import Tables


class ReplyHandler:
    """Takes Map-Replies over into the map-cache."""

    def __init__(self, resolver: Resolver, subscriptions: Subscriptions, tables: Tables, multicast: Multicast) -> None:
        self._resolver = resolver
        self._subscriptions = subscriptions
        self._tables = tables
        self._multicast = multicast

    def handle(self, datagram: Datagram, message: MapReply, now: float) -> list[Output]:
        """Process one Map-Reply; the nonce alone tells what it answers (requirement PR-REP-5)."""
        request = self._resolver.answered_by(message.nonce)
        if request is None or request.ends:
            return [dropped(datagram, "unknown-nonce", message="map-reply", field="nonce", value=message.nonce)]
        best = next((record for record in message.records if record.key.covers(request.key.eid)), None)
        if best is None:
            fields = {"field": "records", "asked": str(request.key.eid)}
            return [dropped(datagram, "reply-mismatch", message="map-reply", **fields)]
        link, asked = request.key
        name = "map-reply-accepted" if best.locators else "map-reply-negative"
        fields = {"eid": str(asked), "prefix": str(best.key), "link": link}
        outputs: list[Output] = [Event(name, {**fields, "action": int(best.action)})]
        self._unsubscribed(request)
        packets = self._close(request, best, now)
        for record in message.records:
            if best.key.covers(record.key):
                outputs += self._learn(record, link, best is record, now)
            else:
                fields = {"eid": str(record.key), "asked": str(asked)}
                outputs.append(Event("map-reply-record-ignored", fields))
        return outputs + self._tables.release(asked, packets)

    def _learn(self, record: EidRecord, link: str, asked: bool, now: float) -> list[Output]:
        eid = record.key
        if is_group(eid):
            if record.is_withdrawal:
                self._multicast.lists.forget(link, eid)
            elif asked or self._subscriptions.covering(link, eid) is None:
                self._multicast.learn(record, link, Source.REPLY, now)
            return []
        if self._tables.cache.is_own(eid):
            return []
        # Publications are authenticated and in order; what comes beside the answer does not replace them.
        if not asked and self._subscriptions.covering(link, eid) is not None:
            return []
        if record.is_withdrawal:
            return self._tables.forget(eid, link)
        return self._tables.learn(record, link, Source.REPLY, now)

    def _unsubscribed(self, request: Request) -> None:
        """The mapping system answered a subscription without taking it: what there was of one is over."""
        held = self._subscriptions.get(*request.key)
        if held is not None and not held.lost:
            self._subscriptions.lose(held)

    def _close(self, request: Request, best: EidRecord, now: float) -> tuple[bytes, ...]:
        """End the request; a lasting subscription is asked for again when the answer has run out."""
        if not request.lasting:
            return self._resolver.finish(request, now)
        packets = tuple(request.packets)
        self._resolver.postpone(request, now, now + max(self._tables.cache.lifetime(best), 1.0))
        return packets
