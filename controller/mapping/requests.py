"""Map-Request: answers, and what begins and ends a subscription (RFC 9301 §8.3, RFC 9437 §5)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from controller.lisp import (
    CONTROL_PORT,
    Action,
    Datagram,
    DecodeError,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    IPAddress,
    MapReply,
    MapRequest,
    NoAddress,
    RequestRecord,
    decode,
    encode,
)
from controller.lisp.lcaf import find_ip
from controller.mapping.answers import Answer, AnswerKind, Answers
from controller.mapping.machine import COUNTER_LIMIT, Event, Packing, Send, dropped
from controller.mapping.publisher import Publisher
from controller.mapping.state import MapServerState
from controller.mapping.store import Subscription, SubscriptionKind, XtrKey


@dataclass(frozen=True, slots=True)
class _Request:
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


class ReplyLimiter:
    """At most one Map-Reply per interval to each RLOC about each EID (RFC 9301 §5.4).

    Remembers at most `size` pairs; under more load than that the oldest is forgotten.
    """

    def __init__(self, interval: float, size: int) -> None:
        self._interval = interval
        self._size = size
        self._sent: OrderedDict[tuple[IPAddress, Eid], float] = OrderedDict()

    def admit(self, rloc: IPAddress, eid: Eid, now: float) -> bool:
        """Whether a reply may be sent now; if so it counts as sent."""
        last = self._sent.get((rloc, eid))
        if last is not None and now < last + self._interval:
            return False
        self._sent[rloc, eid] = now
        self._sent.move_to_end((rloc, eid))
        while len(self._sent) > self._size:
            self._sent.popitem(last=False)
        return True


class RequestHandler:
    """Answers Map-Requests, bare or encapsulated: wire reference 4.2."""

    def __init__(self, state: MapServerState, answers: Answers, packing: Packing, publisher: Publisher) -> None:
        self._state = state
        self._answers = answers
        self._packing = packing
        self._publisher = publisher
        self._limiter = ReplyLimiter(state.config.reply_interval, state.config.reply_table)

    def handle_ecm(self, datagram: Datagram, ecm: Ecm, now: float) -> list[Send | Event]:
        """Take a message out of its Encapsulated Control Message; only Map-Requests come in one."""
        try:
            inner = decode(ecm.payload, self._state.config.decode_options)
        except DecodeError as error:
            return [dropped(datagram, "malformed", message="ecm", field=error.field, detail=str(error))]
        if not isinstance(inner, MapRequest):
            return [dropped(datagram, "unexpected-message", message=f"ecm.{type(inner).__name__}")]
        source = Endpoint(ecm.source, ecm.source_port)
        return self._handle(_Request(datagram, inner, ecm.payload, source), now)

    def handle(self, datagram: Datagram, message: MapRequest, now: float) -> list[Send | Event]:
        """Process a Map-Request that came without envelope."""
        return self._handle(_Request(datagram, message, datagram.payload, None), now)

    def _handle(self, request: _Request, now: float) -> list[Send | Event]:
        message, outer = request.message, request.outer
        if message.probe:
            return [dropped(outer, "probe-to-map-server", message="map-request", field="P", value=1)]
        if message.smr:
            return [dropped(outer, "smr-to-map-server", message="map-request", field="S", value=1)]
        outputs: list[Send | Event] = []
        for record in message.records:
            subscribes = record.subscribe and message.xtr is not None
            if request.unsubscribes and subscribes:
                outputs += self._unsubscribe(request, record.key, now)
            elif not request.rlocs:
                outputs.append(dropped(outer, "no-itr-rloc", message="map-request", field="itr-rlocs"))
            elif subscribes:
                outputs += self._subscribe(request, record.key, now)
            else:
                outputs += self._answer(request, record, now)
        return outputs

    def _answer(self, request: _Request, record: RequestRecord, now: float) -> list[Send | Event]:
        """Reply, or let the site reply if it did not ask the Map-Server to."""
        eid = record.key
        match = self._answers.match(eid)
        if match is not None and not match[1].proxy_reply:
            return self._forward(request, eid, next(iter(match[1].contributions)))
        return self._reply(request, eid, self._records(eid, self._answers.resolve(eid)), now)

    def _records(self, eid: Eid, answer: Answer) -> list[EidRecord]:
        """The best match with all more-specifics (RFC 9301 §5.5), or what replaces too many of them."""
        if answer.kind is AnswerKind.HOLE or (answer.kind is AnswerKind.NEGATIVE and eid.is_host):
            return [answer.record]
        if self._state.sites.is_petr_default(answer.eid):
            return [answer.record]
        records = [answer.record, *self._answers.more_specifics(answer.eid)]
        return records if self._packing.fits(records) else [self._answers.narrowed(eid, answer)]

    def _reply(self, request: _Request, eid: Eid, records: list[EidRecord], now: float) -> list[Send | Event]:
        version = self._state.config.address.version
        rloc = min(request.rlocs, key=lambda rloc: rloc.version != version)
        if not self._limiter.admit(rloc, eid, now):
            return [Event("map-reply-suppressed", {"eid": str(eid), "rloc": str(rloc)})]
        reply = encode(MapReply(request.message.nonce, tuple(records)))
        destination = Endpoint(rloc, request.port)
        name = "map-request-answered" if records[0].locators else "map-request-denied"
        fields = {"eid": str(eid), "prefix": str(records[0].key), "action": int(records[0].action)}
        event = Event(name, {**fields, "rloc": str(rloc)})
        return [event, Send(Datagram(self._state.endpoint, destination, reply))]

    def _forward(self, request: _Request, eid: Eid, xtr: XtrKey) -> list[Send | Event]:
        """Hand the request on to an ETR, unchanged in an envelope of our own (RFC 9301 §8.3)."""
        etr = self._state.notify_endpoint(xtr)
        source = request.inner_source or request.outer.source
        if etr is None or etr.address.version != source.address.version:
            return [dropped(request.outer, "no-etr", message="map-request", eid=str(eid))]
        ecm = Ecm(source.address, etr.address, source.port, CONTROL_PORT, request.payload, to_etr=True)
        event = Event("map-request-forwarded", {"eid": str(eid), "etr": str(etr)})
        return [event, Send(Datagram(self._state.endpoint, etr, encode(ecm)))]

    def _subscribe(self, request: _Request, eid: Eid, now: float) -> list[Send | Event]:
        assert request.message.xtr is not None
        xtr = XtrKey(request.message.xtr.site_id, request.message.xtr.xtr_id)
        refusal = self._refusal(xtr, (request.outer.source.address, *request.rlocs))
        if refusal is not None:
            return self._refuse(request, eid, refusal, now)
        kind, prefix = self._subject(eid)
        if stale := self._stale(request, xtr, {eid, prefix}):
            return [stale]
        if kind is None:
            return self._deny(request, eid, xtr, now)
        match = self._state.registry.table.get(prefix)
        if kind is SubscriptionKind.MAPPING and match is not None and not match.proxy_reply:
            return self._forward(request, eid, next(iter(match.contributions)))
        held = self._state.subscriptions.get(prefix, xtr)
        muted = held.muted if held is not None and held.active else frozenset()
        subscription = Subscription(prefix, xtr, kind, request.rlocs, request.message.nonce, muted=muted)
        self._state.keep_subscription(subscription)
        self._unmute(prefix, xtr)
        fields = {"xtr": str(xtr), "eid": str(eid), "prefix": str(prefix), "kind": kind.value}
        return [Event("subscription-accepted", fields), *self._publisher.confirm(subscription, now)]

    def _subject(self, eid: Eid) -> tuple[SubscriptionKind | None, Eid]:
        """What a subscription for `eid` follows, and under which EID-prefix; None if there is nothing."""
        if self._state.sites.is_table(eid):
            return SubscriptionKind.TABLE, eid
        answer = self._answers.resolve(eid)
        if answer.kind is AnswerKind.MAPPING:
            return SubscriptionKind.MAPPING, answer.eid
        if answer.kind is AnswerKind.HOLE:
            return SubscriptionKind.HOLE, answer.eid
        return None, eid

    def _deny(self, request: _Request, eid: Eid, xtr: XtrKey, now: float) -> list[Send | Event]:
        """Answer a subscription for an unknown EID: no Map-Notify, and no state (requirement SO-SUB-14)."""
        held = self._state.subscriptions.get(eid, xtr)
        if held is not None and held.active:
            self._publisher.close(held)
            self._state.keep_subscription(replace(held, active=False, nonce=request.message.nonce))
        return self._reply(request, eid, self._records(eid, self._answers.resolve(eid)), now)

    def _refusal(self, xtr: XtrKey, addresses: tuple[IPAddress, ...]) -> Action | None:
        """Why an xTR may not subscribe; None if it may (RFC 9437 §1.1: the Map-Resolver has to check).

        An xTR-ID of nobody is a matter of policy; one that comes with another's Site-ID or from another's
        address is not who it says.
        """
        assert isinstance(xtr.identity, bytes)
        home = self._state.sites.site_of_xtr_id(xtr.identity)
        if home is None:
            return Action.DROP_POLICY
        known = self._state.sites.xtr(xtr)
        if known is None or any(address not in known.rlocs for address in addresses):
            return Action.DROP_AUTH
        return None

    def _refuse(self, request: _Request, eid: Eid, action: Action, now: float) -> list[Send | Event]:
        record = EidRecord.for_eid(eid, self._state.config.negative.refused_ttl, action=action)
        fields = {"eid": str(eid), "source": str(request.outer.source), "action": int(action)}
        return [Event("subscription-refused", fields), *self._reply(request, eid, [record], now)]

    def _stale(self, request: _Request, xtr: XtrKey, eids: set[Eid]) -> Event | None:
        """A nonce that is not greater than the last one is a replay, or late (RFC 9437 §5): silently dropped."""
        nonce = request.message.nonce
        if nonce > COUNTER_LIMIT:
            return dropped(request.outer, "nonce-exhausted", message="map-request", field="nonce", value=nonce)
        held = [self._state.subscriptions.get(eid, xtr) for eid in eids]
        last = max((found.nonce for found in held if found is not None), default=-1)
        if nonce > last:
            return None
        fields = {"field": "nonce", "value": nonce, "last": last, "xtr": str(xtr)}
        return dropped(request.outer, "replay", message="map-request", **fields)

    def _unsubscribe(self, request: _Request, eid: Eid, now: float) -> list[Send | Event]:
        assert request.message.xtr is not None
        xtr = XtrKey(request.message.xtr.site_id, request.message.xtr.xtr_id)
        outer = request.outer.source.address
        refusal = self._refusal(xtr, (outer,))
        if refusal is not None:
            fields = {"field": "xtr-id", "value": str(xtr), "action": int(refusal)}
            return [dropped(request.outer, "unauthorised-xtr", message="map-request", **fields)]
        if stale := self._stale(request, xtr, {eid}):
            return [stale]
        known = self._state.sites.xtr(xtr)
        inner = request.inner_source.address if request.inner_source else outer
        # Choice C10: the source RLOC of the request is the inner one if it is an RLOC of this xTR.
        source = inner if known is not None and inner in known.rlocs else outer
        held = self._state.subscriptions.get(eid, xtr)
        if held is None or not held.active:
            self._mute(eid, xtr)
        ended = replace(
            held or Subscription(eid, xtr, SubscriptionKind.MAPPING, (source,), 0),
            active=False,
            nonce=request.message.nonce,
        )
        self._state.keep_subscription(ended)
        event = Event("subscription-ended", {"xtr": str(xtr), "eid": str(eid)})
        return [event, *self._publisher.farewell(ended, Endpoint(source, CONTROL_PORT), now)]

    def _mute(self, eid: Eid, xtr: XtrKey) -> None:
        """Leave `eid` out of the publications of the subscription that covers it (RFC 9437 §5)."""
        covering = next(self._state.subscriptions.around(eid, xtr), None)
        if covering is not None:
            self._state.keep_subscription(replace(covering, muted=covering.muted | {eid}))

    def _unmute(self, eid: Eid, xtr: XtrKey) -> None:
        for covering in list(self._state.subscriptions.around(eid, xtr)):
            if eid in covering.muted:
                self._state.keep_subscription(replace(covering, muted=covering.muted - {eid}))
