"""Publications: who is told what of a changed mapping (RFC 9437 §6; requirements SO-MS-5, MH-MRG-5 to -8).

A change only marks EIDs on the channels of the xTRs concerned; `flush` turns marks into Map-Notifies with
the content of that moment. So a mapping that changes faster than an xTR acknowledges costs one message at a
time, always the newest (choice C20), and a burst of changes shares messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from controller.lisp import (
    Action,
    AuthenticationError,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    is_group,
)
from controller.mapping.answers import Answers
from controller.mapping.audience import Audience
from controller.mapping.content import Content
from controller.mapping.delivery import Channel, ChannelKey, Delivery, Flight, FlightKey
from controller.mapping.gone import GoneTable
from controller.mapping.machine import Event, NonceUse, Pace, Packing, Send, dropped
from controller.mapping.registry import JointChange, MappingChange, joined
from controller.mapping.state import MapServerState, control_endpoint
from controller.mapping.store import Subscription, SubscriptionKind, XtrKey


class Publisher:
    """Keeps subscribers and members of RLOC-sets up to date."""

    def __init__(
        self, state: MapServerState, answers: Answers, packing: Packing, now: float, gone: Iterable[Eid] = ()
    ) -> None:
        """`gone`: EIDs that were withdrawn in an earlier life, which subscribers may not know."""
        limits = state.config.limits
        self._state = state
        self._audience = Audience(state, answers)
        self._pace = Pace(limits.notify_rate, limits.notify_burst, now)
        self._answers = answers
        self._packing = packing
        self._delivery = Delivery(state.endpoint, state.config.notify_delays)
        self._gone = GoneTable(state.journal, gone, state.config.notify_delays)
        self._ready: dict[ChannelKey, None] = {}
        self._member_nonces: dict[XtrKey, int] = {}

    def changed(self, changes: Iterable[JointChange], informed: XtrKey | None = None) -> list[Send | Event]:
        """Mark changed mappings for everyone concerned.

        `informed` gets the new mappings as acknowledgement of its Map-Register, and is not notified as member
        of the RLOC-set once more. An xTR that subscribed is told by publication, any other member of the
        previous and new set, and every pxTR of the site, by member notification (choice C18).
        """
        outputs: list[Send | Event] = []
        for change in changes:
            outputs.append(Event("mapping-changed", partial(_described, change)))
            if self._concerns_others(change, informed):
                for one in change.each():
                    self._mark_concerned(one, informed)
                    outputs += self.changed(joined(self._state.imported(one)))
        return outputs

    def _concerns_others(self, change: JointChange, informed: XtrKey | None) -> bool:
        """Whether anybody but `informed` has to hear of it: often nobody does."""
        state, eids = self._state, change.eids
        if state.subscriptions.active or state.has_extranets or state.sites.has_petr(eids) or is_group(eids[0]):
            return True
        return not self._audience.members(next(change.each())) <= {informed}

    def _mark_concerned(self, change: MappingChange, informed: XtrKey | None) -> None:
        state = self._state
        subscribed = state.subscriptions.following(change.eid) if state.subscriptions.active else []
        if state.sites.is_petr(change.eid):  # no part of any range, but the answer for every hole
            subscribed = [subscription for subscription in subscribed if subscription.eid == change.eid]
            for hole in self._audience.holes(change):
                self._mark(ChannelKey(hole.xtr, hole.eid), hole.eid)
        if change.before is None:
            self._gone.discard(change.eid)
        elif change.after is None and subscribed:
            self._gone.add(change.eid)
        for subscription in subscribed:
            if subscription.kind is SubscriptionKind.TEMPORARY and subscription.eid == change.eid:
                state.keep_subscription(replace(subscription, kind=SubscriptionKind.MAPPING))
            self._mark(ChannelKey(subscription.xtr, subscription.eid), change.eid)
        if change.xtrs:  # an imported mapping has no members, only subscribers
            told = {informed, *(subscription.xtr for subscription in subscribed)}
            untold = self._audience.members(change) - told
            for xtr in sorted(untold, key=str) if untold else ():
                self._mark(ChannelKey(xtr, None), change.eid)

    def confirm(self, subscription: Subscription, now: float) -> list[Send | Event]:
        """Answer an accepted subscription: its mapping and what of the more-specifics fits (RFC 9437 §5).

        The others follow as publications, and so does every withdrawal that the xTR had not acknowledged.
        """
        key = ChannelKey(subscription.xtr, subscription.eid)
        untold = self._delivery.close(key)
        self._supersede(subscription)
        records = [self.content(subscription, subscription.eid), *self._inside(subscription)]
        known = {record.key for record in records}
        fitting = self._packing.fitting(records)
        sent = self._launch(self._delivery.channel(key), subscription, records[:fitting], subscription.nonce, now)
        for eid in [*(record.key for record in records[fitting:]), *sorted(untold - known)]:
            self._mark(key, eid)
        self._resume_inside(subscription)
        return sent

    def farewell(self, subscription: Subscription, endpoint: Endpoint, now: float) -> list[Send | Event]:
        """Answer an unsubscription at `endpoint`: RFC 9437 §5."""
        key = ChannelKey(subscription.xtr, subscription.eid)
        self._delivery.close(key)
        record = self.content(subscription, subscription.eid)
        return self._launch(self._delivery.channel(key), subscription, [record], subscription.nonce, now, endpoint)

    def say_once(self, xtr: XtrKey, nonce: int, eid: Eid, endpoint: Endpoint) -> list[Send | Event]:
        """Confirm an unsubscription that ended nothing; it is not repeated, for nothing is kept of it."""
        key = self._state.notify_key(xtr)
        if key is None:
            return []
        return [
            Send(Datagram(self._state.endpoint, endpoint, self._signed(xtr, nonce, [self.content(None, eid)], key)))
        ]

    def close(self, subscription: Subscription) -> None:
        """Stop telling an xTR about a subscription that ended."""
        self._delivery.close(ChannelKey(subscription.xtr, subscription.eid))

    def resume(self, subscription: Subscription) -> None:
        """Tell everything of a subscription again: after a restart it is not known what was acknowledged."""
        key = ChannelKey(subscription.xtr, subscription.eid)
        self._mark(key, subscription.eid)
        for record in self._inside(subscription):
            self._mark(key, record.key)

    def recall(self) -> None:
        """After a restart: tell again of every EID that was withdrawn not long ago."""
        for eid in self._gone:
            for subscription in self._state.subscriptions.following(eid):
                self._mark(ChannelKey(subscription.xtr, subscription.eid), eid)

    def acknowledge(self, datagram: Datagram, message: MapNotifyAck) -> Event:
        """Take a Map-Notify-Ack: it must fit a flight, and carry a MAC of that xTR's site."""
        eids = frozenset(record.key for record in message.records)
        destination = control_endpoint(datagram.source.address)
        flight = self._delivery.find(FlightKey(destination, message.nonce, eids))
        if flight is None:
            return Event("map-notify-ack-ignored", {"source": str(datagram.source), "nonce": message.nonce})
        key = self._state.sites.key(flight.channel.xtr.site_id, message.key_id)
        if key is None:
            return dropped(datagram, "unknown-key", message="map-notify-ack", field="key-id", value=message.key_id)
        try:
            profile = self._state.sites.profile(flight.channel.xtr.site_id)
            profile.verify(datagram.payload, message, key, self._state.config)
        except AuthenticationError as error:
            return dropped(datagram, "authentication-failed", message="map-notify-ack", detail=str(error))
        self._delivery.land(flight)
        self._ready[flight.channel] = None
        self._prefer(flight)
        return Event("map-notify-acknowledged", {"xtr": str(flight.channel.xtr), "nonce": message.nonce})

    def flush(self, now: float) -> list[Send | Event]:
        """Send what is marked, as far as the windows and the pace allow: who got nothing is first the next time."""
        self._gone.settle(now)
        outputs: list[Send | Event] = []
        for key in list(self._ready):
            if self._pace.waits(now):
                break
            del self._ready[key]
            outputs += self._flush_channel(key, now)
        return outputs

    def tick(self, now: float) -> list[Send | Event]:
        """Repeat what is not acknowledged, and end what is in vain."""
        outputs: list[Send | Event] = []
        for flight, repetition in self._delivery.due(now):
            if repetition is not None:
                self._pace.charge(now)
            outputs += [repetition] if repetition is not None else self._unacknowledged(flight, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = (self._delivery.next_deadline(), self._pace.ready_at() if self._ready else None)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def ready(self) -> bool:
        """Whether `flush` has something to look at."""
        return bool(self._ready)

    def channels(self) -> Iterable[Channel]:
        """Everything that is still to be told, for the state dump."""
        return self._delivery.channels()

    def content(self, subscription: Subscription | None, eid: Eid) -> EidRecord:
        """What there is to say about `eid` now; without a mapping a withdrawal, Record TTL 0."""
        if subscription is not None and eid == subscription.eid:
            if subscription.kind is SubscriptionKind.HOLE:
                return self._answers.hole_record(eid)
            if subscription.kind is SubscriptionKind.TABLE and self._state.registry.view(eid) is None:
                return self._answers.placeholder(eid)
            if subscription.kind is SubscriptionKind.TEMPORARY and self._state.registry.view(eid) is None:
                return self._answers.temporary(eid)
        return self._state.registry.view(eid) or EidRecord.for_eid(eid, 0)

    def _resume_inside(self, subscription: Subscription) -> None:
        """Tell what narrower subscriptions of the same xTR follow, by them, but with nonces beyond this one's.

        So it reaches the xTR even if it has forgotten them, and takes the confirmation for the whole.
        """
        for narrower in self._state.subscriptions.inside(subscription.eid, subscription.xtr):
            if narrower.eid != subscription.eid:
                beyond = max(narrower.nonce, subscription.nonce)
                self._state.keep_subscription(replace(narrower, nonce=beyond))
                self.resume(narrower)

    def _inside(self, subscription: Subscription) -> list[EidRecord]:
        """The more-specifics that a subscription is to tell: those without a subscription of their own.

        About each EID only one subscription speaks, so that its nonces tell which word is the last.
        """
        around, xtr = self._state.subscriptions.around, subscription.xtr
        return [
            record
            for record in self._answers.more_specifics(subscription.eid)
            if record.key not in subscription.muted
            and next(around(record.key, xtr), subscription).eid == subscription.eid
        ]

    def _mark(self, key: ChannelKey, eid: Eid) -> None:
        channel = self._delivery.channel(key)
        overtaken = channel.carrier.get(eid)
        channel.waiting[eid] = None
        if overtaken is not None:
            # The other EIDs of that message are not acknowledged either: they come again with the news.
            channel.waiting.update(dict.fromkeys(sorted(overtaken.key.eids)))
            self._delivery.land(overtaken)
        self._ready[key] = None

    def _supersede(self, subscription: Subscription) -> None:
        """What an xTR was told as member of RLOC-sets, or by wider subscriptions, it now hears by this one."""
        xtr, prefix = subscription.xtr, subscription.eid
        wider = [found.eid for found in self._state.subscriptions.around(prefix, xtr) if found.eid != prefix]
        for key in (ChannelKey(xtr, None), *(ChannelKey(xtr, eid) for eid in wider)):
            channel = self._delivery.open_channel(key)
            if channel is not None:
                self._strike(channel, prefix)

    def _strike(self, channel: Channel, prefix: Eid) -> None:
        """Say nothing on a channel any more about what `prefix` covers."""
        for flight in list(channel.flights.values()):
            if any(prefix.covers(eid) for eid in flight.key.eids):
                channel.waiting.update(dict.fromkeys(sorted(flight.key.eids)))
                self._delivery.land(flight)
        for eid in [eid for eid in channel.waiting if prefix.covers(eid)]:
            del channel.waiting[eid]
        self._ready[channel.key] = None

    def _subscription(self, key: ChannelKey) -> Subscription | None:
        """The subscription of a channel as it is now; None for a channel of member notifications."""
        xtr, eid = key
        return None if eid is None else self._state.subscriptions.get(eid, xtr)

    def _flush_channel(self, key: ChannelKey, now: float) -> list[Send | Event]:
        channel = self._delivery.open_channel(key)
        if channel is None:
            return []
        outputs: list[Send | Event] = []
        while channel.waiting and len(channel.flights) < self._state.config.window:
            if not self._pace.admit(now):
                self._ready[key] = None
                break
            subscription = self._subscription(key)
            # A message is filled, not searched for the best filling: this many always suffice.
            first = list(channel.waiting)[: self._packing.most_records]
            records = [self.content(subscription, eid) for eid in first]
            records = records[: self._packing.fitting(records)]
            nonce = self._next_nonce(key.xtr, subscription, records, now)
            outputs += self._launch(channel, subscription, records, nonce, now)
        self._delivery.forget_idle(channel)
        return outputs

    def _next_nonce(self, xtr: XtrKey, subscription: Subscription | None, records: list[EidRecord], now: float) -> int:
        if subscription is None:
            nonce = max(self._member_nonces.get(xtr, 0) + 1, self._state.nonces.first(NonceUse.MEMBER, now))
            self._member_nonces[xtr] = nonce
            return nonce
        # An xTR that once subscribed to one of these EIDs on its own knows nonces of that subscription.
        get = self._state.subscriptions.get
        held = [subscription, *(get(record.key, xtr) for record in records)]
        nonce = max(found.nonce for found in held if found is not None) + 1
        self._state.keep_subscription(subscription.at(nonce))
        return nonce

    def _launch(
        self,
        channel: Channel,
        subscription: Subscription | None,
        records: list[EidRecord],
        nonce: int,
        now: float,
        endpoint: Endpoint | None = None,
    ) -> list[Send | Event]:
        xtr = channel.key.xtr
        endpoints = (endpoint,) if endpoint is not None else self._endpoints(xtr, subscription)
        key = self._state.notify_key(xtr)
        if not endpoints or key is None:  # a site that is not in the configuration any more
            for record in records:
                channel.waiting.pop(record.key, None)
            return [Event("map-notify-impossible", {"xtr": str(xtr)})]
        payload = self._signed(xtr, nonce, records, key)
        eids = frozenset(record.key for record in records)
        return [self._delivery.launch(channel, FlightKey(endpoints[0], nonce, eids), payload, now, endpoints[1:])]

    def _endpoints(self, xtr: XtrKey, subscription: Subscription | None) -> tuple[Endpoint, ...]:
        """Where an xTR can be told, in the order in which that is tried."""
        if subscription is not None:
            return tuple(map(control_endpoint, subscription.itr_rlocs))
        endpoint = self._state.notify_endpoint(xtr)
        return (endpoint,) if endpoint is not None else ()

    def _signed(self, xtr: XtrKey, nonce: int, records: Sequence[EidRecord], key: Key) -> bytes:
        notify = MapNotify(nonce, tuple(records))
        return self._state.sites.profile(xtr.site_id).sign(notify, key, self._state.config)

    def _prefer(self, flight: Flight) -> None:
        """The ITR-RLOC that answered after others had not is the first to be tried from now on."""
        subscription = self._subscription(flight.channel)
        answered = flight.key.destination.address
        if subscription is None or answered not in subscription.itr_rlocs[1:]:
            return
        others = tuple(rloc for rloc in subscription.itr_rlocs if rloc != answered)
        self._state.keep_subscription(replace(subscription, itr_rlocs=(answered, *others)))

    def _unacknowledged(self, flight: Flight, now: float) -> list[Send | Event]:
        """A Map-Notify was repeated to the end: try the next ITR-RLOC, or give up (RFC 9437 §6)."""
        if flight.others:
            fields = {"xtr": str(flight.channel.xtr), "rloc": str(flight.key.destination.address)}
            self._pace.charge(now)
            return [Event("map-notify-redirected", fields), self._delivery.redirect(flight, now)]
        xtr, eid = flight.channel
        if eid is not None and self._state.sites.is_locked(xtr, eid):
            # Nobody could subscribe again: it is told again, with the news of then, at the same slow pace.
            for untold in sorted(self._delivery.close(flight.channel)):
                self._mark(flight.channel, untold)
            return [Event("map-notify-unacknowledged", {"xtr": str(xtr), "subscription": str(eid)})]
        return self._give_up(flight)

    def _give_up(self, flight: Flight) -> list[Send | Event]:
        """End a subscription whose xTR does not acknowledge, and tell it once (RFC 9437 §5)."""
        xtr, eid = flight.channel
        untold = self._delivery.close(flight.channel)
        event = Event("map-notify-unacknowledged", {"xtr": str(xtr), "subscription": str(eid) if eid else "-"})
        subscription = self._subscription(flight.channel)
        key = self._state.notify_key(xtr)
        if subscription is None or not subscription.active or key is None:
            return [event]
        self._state.keep_subscription(replace(subscription, active=False))
        wider = next(self._state.subscriptions.around(subscription.eid, xtr), None)
        if wider is not None:  # the xTR may be reached by that one, or is given up on with it
            for missed in sorted(untold):
                self._mark(ChannelKey(xtr, wider.eid), missed)
        ttl = self._state.config.negative.refused_ttl
        record = EidRecord.for_eid(subscription.eid, ttl, action=Action.DROP_AUTH)
        payload = self._signed(xtr, flight.key.nonce, [record], key)
        return [event, Send(Datagram(self._state.endpoint, flight.key.destination, payload))]


def _described(change: JointChange) -> dict[str, object]:
    return {"eids": " ".join(map(str, change.eids)), "before": _rlocs(change.before), "after": _rlocs(change.after)}


def _rlocs(content: Content | None) -> str:
    if content is None:
        return "-"
    return " ".join(str(locator.rloc or locator.address) for locator in content.locators) or "none"
