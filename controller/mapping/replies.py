"""Map-Reply: what is answered to a Map-Request, how often, and by whom (RFC 9301 §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.lisp import (
    CONTROL_PORT,
    Datagram,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    IPAddress,
    MapReply,
    MapRequest,
    NoAddress,
    RequestRecord,
    encode,
)
from controller.lisp.lcaf import find_ip
from controller.mapping.answers import Answer, AnswerKind, Answers
from controller.mapping.inquiries import Basis, InquiryTable, ReplyLimiter
from controller.mapping.machine import Event, Packing, Send, dropped
from controller.mapping.state import MapServerState
from controller.mapping.store import XtrKey

# Answers that stay what they are while the registry does.
_LASTING: Final = (AnswerKind.MAPPING, AnswerKind.OUTSIDE, AnswerKind.NEGATIVE)


@dataclass(frozen=True, slots=True)
class Request:
    """A Map-Request out of its envelope: `outer` is the datagram, `inner_source` the ECM's if there was one."""

    outer: Datagram
    message: MapRequest
    payload: bytes
    inner_source: Endpoint | None

    @property
    def port(self) -> int:
        """Where the requester waits for the Map-Reply."""
        return (self.inner_source or self.outer.source).port

    @property
    def rlocs(self) -> tuple[IPAddress, ...]:
        """The ITR-RLOCs that are IP addresses, with or without metadata beside them."""
        found = (find_ip(address) for address in self.message.itr_rlocs)
        return tuple(rloc for rloc in found if rloc is not None)

    @property
    def unsubscribes(self) -> bool:
        """A single ITR-RLOC of AFI 0 takes a subscription back (RFC 9437 §5)."""
        return len(self.message.itr_rlocs) == 1 and isinstance(self.message.itr_rlocs[0], NoAddress)


class Replier:
    """Answers Map-Requests, or hands them on to the site."""

    def __init__(self, state: MapServerState, answers: Answers, packing: Packing, inquiries: InquiryTable) -> None:
        self._state = state
        self._answers = answers
        self._packing = packing
        self._inquiries = inquiries
        self._limiter = ReplyLimiter(state.config.reply_interval, state.config.reply_table)

    def answer(self, request: Request, record: RequestRecord, now: float) -> list[Send | Event]:
        """Reply, or let the site reply if it did not ask the Map-Server to."""
        eid = record.key
        match = self._answers.match(eid)
        if match is not None and not match[1].proxy_reply:
            return self.forward(request, eid, match[1].xtrs[0], now)
        answer = self._answers.resolve(eid)
        records = self.records(eid, answer)
        basis = None
        # Whether a subscription is accepted depends on more than on the registry.
        if not record.subscribe and len(request.message.records) == len(records) == 1 and answer.kind in _LASTING:
            basis = Basis.now(self._state.registry, match[1] if match is not None else None)
        return self.reply(request, eid, records, now, basis)

    def records(self, eid: Eid, answer: Answer) -> list[EidRecord]:
        """The best match with all more-specifics (RFC 9301 §5.5), or what replaces too many of them."""
        if answer.kind in (AnswerKind.HOLE, AnswerKind.OUTSIDE) or (answer.kind is AnswerKind.NEGATIVE and eid.is_host):
            return [answer.record]
        if self._state.sites.is_petr_default(answer.eid):
            return [answer.record]
        records = [answer.record, *self._answers.more_specifics(answer.eid)]
        return records if self._packing.fits(records) else [self._answers.narrowed(eid, answer)]

    def reply(
        self, request: Request, eid: Eid, records: list[EidRecord], now: float, basis: Basis | None = None
    ) -> list[Send | Event]:
        """Answer with `records`, unless that was done a moment ago; remember it if it rests on `basis` alone."""
        rloc = self._nearest(request)
        slot = self._limiter.admit(rloc, eid, now)
        if slot is None:
            return [Event("map-reply-suppressed", {"eid": str(eid), "rloc": str(rloc)})]
        event, send = self.reply_to(Endpoint(rloc, request.port), request, eid, records)
        if basis is not None:
            self._inquiries.learn(request.outer, basis, slot, event, send)
        return [event, send]

    def reply_to(
        self, destination: Endpoint, request: Request, eid: Eid, records: list[EidRecord]
    ) -> tuple[Event, Send]:
        """Answer with `records` at `destination`."""
        profile = self._state.sites.profile_at(request.outer.source.address)
        reply = encode(MapReply(request.message.nonce, profile.records(records)))
        name = "map-request-answered" if records[0].locators else "map-request-denied"
        fields = {"eid": str(eid), "prefix": str(records[0].key), "action": int(records[0].action)}
        event = Event(name, {**fields, "rloc": str(destination.address)})
        return event, Send(Datagram(self._state.endpoint, destination, reply))

    def _nearest(self, request: Request) -> IPAddress:
        version = self._state.config.address.version
        return min(request.rlocs, key=lambda rloc: rloc.version != version)

    def forward(self, request: Request, eid: Eid, xtr: XtrKey, now: float) -> list[Send | Event]:
        """Hand the request on to an ETR, unchanged in an envelope of our own (RFC 9301 §8.3)."""
        etr = self._state.notify_endpoint(xtr)
        source = request.inner_source or request.outer.source
        if etr is None or etr.address.version != source.address.version:
            return [dropped(request.outer, "no-etr", message="map-request", eid=str(eid))]
        if self._limiter.admit(self._nearest(request), eid, now) is None:
            return [Event("map-reply-suppressed", {"eid": str(eid), "rloc": str(self._nearest(request))})]
        ecm = Ecm(source.address, etr.address, source.port, CONTROL_PORT, request.payload, to_etr=True)
        event = Event("map-request-forwarded", {"eid": str(eid), "etr": str(etr)})
        return [event, Send(Datagram(self._state.endpoint, etr, encode(ecm)))]
