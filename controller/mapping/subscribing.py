"""What begins and ends a subscription (RFC 9437 §5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from controller.lisp import CONTROL_PORT, Action, Eid, EidRecord, Endpoint, IPAddress, RequestRecord
from controller.mapping.answers import AnswerKind, Answers
from controller.mapping.limits import SubscribePace
from controller.mapping.machine import COUNTER_LIMIT, Event, Send, TimerQueue, dropped
from controller.mapping.publisher import Publisher
from controller.mapping.replies import Replier, Request
from controller.mapping.state import MapServerState
from controller.mapping.store import Subscription, SubscriptionKind, XtrKey

_SECONDS_PER_MINUTE: Final = 60.0
_FOLLOWED: Final = {AnswerKind.MAPPING: SubscriptionKind.MAPPING, AnswerKind.HOLE: SubscriptionKind.HOLE}
_FOLLOWED_FOR_A_WHILE: Final = {
    AnswerKind.NEGATIVE: SubscriptionKind.TEMPORARY,
    AnswerKind.OUTSIDE: SubscriptionKind.HOLE,
}


class SubscriptionHandler:
    """Takes subscriptions, refuses them, and ends them."""

    def __init__(
        self, state: MapServerState, answers: Answers, replier: Replier, publisher: Publisher, now: float
    ) -> None:
        self._state = state
        self._answers = answers
        self._replier = replier
        self._publisher = publisher
        self._pace = SubscribePace(state.config.limits)
        self._temporary: TimerQueue[tuple[Eid, XtrKey]] = TimerQueue()
        for subscription in state.subscriptions:
            if subscription.active:
                self._watch(subscription, now)

    def begin(self, request: Request, record: RequestRecord, now: float) -> list[Send | Event]:
        """Process a record with N=1: wire reference 3.3."""
        eid, xtr = record.key, self._sender(request)
        refusal = self._refusal(xtr, (request.outer.source.address, *request.rlocs))
        if refusal is not None:
            return self._refuse(request, eid, refusal, now)
        kind, prefix = self._subject(eid)
        if stale := self._stale(request, xtr, {eid, prefix}):
            return [stale]
        if self._state.sites.is_locked(xtr, prefix):
            return self._refuse(request, eid, Action.DROP_POLICY, now)
        if kind is None:
            return self._deny(request, eid, xtr, now)
        match = self._state.registry.table.get(prefix)
        if kind is SubscriptionKind.MAPPING and match is not None and not match.proxy_reply:
            return self._replier.forward(request, eid, match.xtrs[0], now)
        if limited := self._limited(request, prefix, xtr, now):
            fields = {"xtr": str(xtr), "eid": str(eid), "reason": limited}
            return [Event("subscription-limited", fields), *self._replier.answer(request, record, now)]
        held = self._state.subscriptions.get(prefix, xtr)
        muted = held.muted if held is not None and held.active else frozenset()
        subscription = Subscription(prefix, xtr, kind, self._usable(request), request.message.nonce, muted=muted)
        self._state.keep_subscription(subscription)
        self._watch(subscription, now)
        self._unmute(prefix, xtr)
        fields = {"xtr": str(xtr), "eid": str(eid), "prefix": str(prefix), "kind": kind.value}
        return [Event("subscription-accepted", fields), *self._publisher.confirm(subscription, now)]

    def end(self, request: Request, eid: Eid, now: float) -> list[Send | Event]:
        """Process a record with N=1 of a request whose only ITR-RLOC has AFI 0: wire reference 3.4."""
        xtr, outer = self._sender(request), request.outer.source.address
        refusal = self._refusal(xtr, (outer,))
        if refusal is not None:
            fields = {"field": "xtr-id", "value": str(xtr), "action": int(refusal)}
            return [dropped(request.outer, "unauthorised-xtr", message="map-request", **fields)]
        if stale := self._stale(request, xtr, {eid}):
            return [stale]
        if not self._pace.admit(xtr, now):
            return [dropped(request.outer, "too-fast", message="map-request", xtr=str(xtr))]
        known = self._state.sites.xtr(xtr)
        inner = request.inner_source.address if request.inner_source else outer
        # Choice C10: the source RLOC of the request is the inner one if it is an RLOC of this xTR.
        source = inner if known is not None and inner in known.rlocs else outer
        held = self._state.subscriptions.get(eid, xtr)
        covering = next(self._state.subscriptions.around(eid, xtr), None)
        if covering is not None and self._state.sites.is_locked(xtr, covering.eid):
            return self._refuse_at(Endpoint(source, request.port), request, eid, Action.DROP_POLICY)
        event = Event("subscription-ended", {"xtr": str(xtr), "eid": str(eid)})
        if held is None and covering is None:  # nothing ends, and nothing is remembered of it
            return [event, *self._publisher.say_once(xtr, request.message.nonce, eid, Endpoint(source, CONTROL_PORT))]
        if covering is not None and covering.eid != eid and not self._mute(covering, eid):
            return [dropped(request.outer, "too-many", message="map-request", xtr=str(xtr), eid=str(eid))]
        ended = replace(
            held or Subscription(eid, xtr, SubscriptionKind.MAPPING, (source,), 0),
            active=False,
            nonce=request.message.nonce,
        )
        self._state.keep_subscription(ended)
        return [event, *self._publisher.farewell(ended, Endpoint(source, CONTROL_PORT), now)]

    def tick(self, now: float) -> list[Send | Event]:
        """End what was followed for a while, for nothing (choice C8b)."""
        outputs: list[Send | Event] = []
        for eid, xtr in self._temporary.pop_due(now):
            held = self._state.subscriptions.get(eid, xtr)
            if held is not None and held.active and self._is_temporary(held):
                self._publisher.close(held)
                self._state.keep_subscription(replace(held, active=False))
                outputs.append(Event("subscription-ended", {"xtr": str(xtr), "eid": str(eid), "reason": "temporary"}))
        return outputs

    def next_deadline(self) -> float | None:
        """When the next temporary subscription ends."""
        return self._temporary.next_deadline()

    def _sender(self, request: Request) -> XtrKey:
        """Who says that it subscribes; one whose kind leaves the Site-ID out (0) is looked for."""
        identity = request.message.xtr
        assert identity is not None  # else it does not subscribe
        home = self._state.sites.site_of_xtr_id(identity.xtr_id) if identity.site_id == 0 else None
        if home is not None and self._state.sites.profile(home).short_trailer:
            return XtrKey(home, identity.xtr_id)
        return XtrKey(identity.site_id, identity.xtr_id)

    def _subject(self, eid: Eid) -> tuple[SubscriptionKind | None, Eid]:
        """What a subscription for `eid` follows, and under which EID-prefix; None if there is nothing."""
        if self._state.sites.is_table(eid):
            return SubscriptionKind.TABLE, eid
        answer = self._answers.resolve(eid)
        kind = _FOLLOWED.get(answer.kind)
        if kind is None and self._state.config.negative.temporary:
            kind = _FOLLOWED_FOR_A_WHILE[answer.kind]
        return kind, answer.eid if kind is not None else eid

    def _watch(self, subscription: Subscription, now: float) -> None:
        """See to it that a subscription to nothing does not stay."""
        key = (subscription.eid, subscription.xtr)
        if self._is_temporary(subscription):
            self._temporary.set(key, now + self._state.config.negative.temporary_ttl * _SECONDS_PER_MINUTE)
        else:
            self._temporary.cancel(key)

    def _is_temporary(self, subscription: Subscription) -> bool:
        if subscription.kind is SubscriptionKind.TEMPORARY:
            return True
        hole = subscription.kind is SubscriptionKind.HOLE
        return hole and not self._publisher.content(subscription, subscription.eid).locators

    def _limited(self, request: Request, prefix: Eid, xtr: XtrKey, now: float) -> str | None:
        """Why a subscription cannot be taken although the xTR may have it; None if it can."""
        limits, subscriptions = self._state.config.limits, self._state.subscriptions
        if not self._usable(request):
            return "no ITR-RLOC of the Map-Server's IP version"
        held = subscriptions.get(prefix, xtr)
        if held is None or not held.active:
            if subscriptions.active_of(xtr) >= limits.subscriptions_per_xtr:
                return "too many of this xTR"
            if subscriptions.active >= limits.subscriptions:
                return "too many in all"
        return None if self._pace.admit(xtr, now) else "too fast"

    def _usable(self, request: Request) -> tuple[IPAddress, ...]:
        """The ITR-RLOCs that can be reached from here."""
        version = self._state.config.address.version
        return tuple(rloc for rloc in request.rlocs if rloc.version == version)

    def _deny(self, request: Request, eid: Eid, xtr: XtrKey, now: float) -> list[Send | Event]:
        """Answer a subscription for an unknown EID: no Map-Notify, and no state (requirement SO-SUB-14)."""
        held = self._state.subscriptions.get(eid, xtr)
        if held is not None and held.active:
            self._publisher.close(held)
            self._state.keep_subscription(replace(held, active=False, nonce=request.message.nonce))
        records = self._replier.records(eid, self._answers.resolve(eid))
        return self._replier.reply(request, eid, records, now)

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

    def _refuse(self, request: Request, eid: Eid, action: Action, now: float) -> list[Send | Event]:
        record = EidRecord.for_eid(eid, self._state.config.negative.refused_ttl, action=action)
        return [_refused(request, eid, action), *self._replier.reply(request, eid, [record], now)]

    def _refuse_at(self, source: Endpoint, request: Request, eid: Eid, action: Action) -> list[Send | Event]:
        record = EidRecord.for_eid(eid, self._state.config.negative.refused_ttl, action=action)
        return [_refused(request, eid, action), *self._replier.reply_to(source, request, eid, [record])]

    def _stale(self, request: Request, xtr: XtrKey, eids: set[Eid]) -> Event | None:
        """A nonce that is not greater than the last one is a replay, or late (RFC 9437 §5): silently dropped."""
        nonce = request.message.nonce
        if nonce > COUNTER_LIMIT:
            return dropped(request.outer, "nonce-exhausted", message="map-request", field="nonce", value=nonce)
        last = max(self._state.last_nonce(eid, xtr) for eid in eids)
        if nonce > last or not self._state.sites.profile(xtr.site_id).ordered_nonces:
            return None
        fields = {"field": "nonce", "value": nonce, "last": last, "xtr": str(xtr)}
        return dropped(request.outer, "replay", message="map-request", **fields)

    def _mute(self, covering: Subscription, eid: Eid) -> bool:
        """Leave `eid` out of the publications of the subscription that covers it (RFC 9437 §5), if there is room."""
        if len(covering.muted) >= self._state.config.limits.subscriptions_per_xtr:
            return False
        self._state.keep_subscription(replace(covering, muted=covering.muted | {eid}))
        return True

    def _unmute(self, eid: Eid, xtr: XtrKey) -> None:
        for covering in list(self._state.subscriptions.around(eid, xtr)):
            if eid in covering.muted:
                self._state.keep_subscription(replace(covering, muted=covering.muted - {eid}))


def _refused(request: Request, eid: Eid, action: Action) -> Event:
    fields = {"eid": str(eid), "source": str(request.outer.source), "action": int(action)}
    return Event("subscription-refused", fields)
