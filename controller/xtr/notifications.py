"""Map-Notify: which of its meanings a message has, and what follows (wire reference 3.7)."""

from __future__ import annotations

from controller.lisp import (
    CONTROL_PORT,
    Action,
    Algorithm,
    AuthenticationError,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    is_group,
    replicas,
)
from controller.mapping.machine import COUNTER_LIMIT, Event, Send, dropped
from controller.xtr.config import MappingSystemLink, XtrConfig
from controller.xtr.entries import Source
from controller.xtr.etr import Etr
from controller.xtr.ledger import Ledger, Verdict
from controller.xtr.links import Links
from controller.xtr.multicast.multicast import Multicast
from controller.xtr.outputs import Output
from controller.xtr.resolver import Request, Resolver
from controller.xtr.subscriptions import Subscription, Subscriptions
from controller.xtr.tables import Tables

# Acknowledges what came without a MAC.
_NO_KEY = Key(0, Algorithm.NONE, b"")
_REFUSALS = (Action.DROP_POLICY, Action.DROP_AUTH)


class NotificationHandler:
    """Sorts Map-Notifies into acknowledgements, confirmations and news."""

    def __init__(
        self,
        config: XtrConfig,
        links: Links,
        etr: Etr,
        resolver: Resolver,
        subscriptions: Subscriptions,
        ledger: Ledger,
        tables: Tables,
        multicast: Multicast,
    ) -> None:
        self._config = config
        self._links = links
        self._etr = etr
        self._resolver = resolver
        self._subscriptions = subscriptions
        self._ledger = ledger
        self._tables = tables
        self._multicast = multicast
        self._heard: dict[tuple[str, Eid], float] = {}

    def handle(self, datagram: Datagram, message: MapNotify, now: float) -> list[Output]:
        """Process one Map-Notify; the order of the questions matters."""
        link = self._links.at(datagram.source.address)
        if link is None:
            return [dropped(datagram, "unknown-map-server", message="map-notify")]
        if message.algorithm == Algorithm.NONE and not link.profile.signed_publications:
            return self._unsigned(datagram, message, link, now)
        key = self._links.key(link, message.key_id)
        if key is None:
            return [dropped(datagram, "unknown-key", message="map-notify", field="key-id", value=message.key_id)]
        try:
            link.profile.verify(datagram.payload, message, key, self._config)
        except AuthenticationError as error:
            return [dropped(datagram, "authentication-failed", message="map-notify", detail=str(error))]
        self._etr.heard(link.name)
        if not message.records:
            return [dropped(datagram, "no-records", message="map-notify", nonce=message.nonce)]
        if message.nonce > COUNTER_LIMIT:
            return [dropped(datagram, "nonce-exhausted", message="map-notify", field="nonce", value=message.nonce)]
        if self._ledger.is_acknowledgement(link.name, message.nonce):
            return self._acknowledged(datagram, message, link, now)
        request = self._resolver.answered_by(message.nonce, link.name)
        if request is None:
            request = self._late_request(message, link)
        if request is not None and (request.ends or message.records[0].key.covers(request.key.eid)):
            return self._confirmed(datagram, message, link, request, now)
        return self._published(datagram, message, link, now)

    def _acknowledged(
        self, datagram: Datagram, message: MapNotify, link: MappingSystemLink, now: float
    ) -> list[Output]:
        """A Map-Register was taken; the records of registrations are the merged mappings."""
        group = self._multicast.acknowledged(link.name, message.nonce, message.records, now)
        if group is not None:
            return [Event("registration-acknowledged", {"eid": str(group), "link": link.name})]
        records = {record.key: record for record in message.records}  # of several with one EID the last is valid
        done = self._etr.acknowledged(link.name, message.nonce, records, now)
        if not done:
            fields = {"link": link.name, "nonce": message.nonce}
            return [Event("late-acknowledgement", fields)]
        outputs: list[Output] = []
        for eid, since in done:
            record = records[eid]
            outputs.append(Event("registration-acknowledged", {"eid": str(eid), "link": link.name}))
            # What was heard meanwhile is newer, unless it is from before this registration: then we are not in it.
            newer = self._heard.pop((link.name, eid), since - 1.0) >= since and self._names_us(eid)
            if not record.is_withdrawal:
                self._multicast.registered(link.name, record, since)
            # A subscription brings the same in a dependable order, and so does whatever was heard meanwhile.
            known = newer or self._subscriptions.covering(link.name, eid) is not None
            mine = self._tables.cache.is_own(eid)
            if mine and not record.is_withdrawal and not known and self._tables.authority(eid) == link.of:
                outputs += self._tables.learn(record, link.name, Source.PUBLICATION, now)
            outputs += self._tables.sync_database(eid)
        for eid in self._etr.outstanding(link.name, message.nonce):
            outputs.append(Event("registration-refused", {"eid": str(eid), "link": link.name}))
        return outputs

    def _unsigned(self, datagram: Datagram, message: MapNotify, link: MappingSystemLink, now: float) -> list[Output]:
        """Process a Map-Notify without MAC: it may speak of what is subscribed to at its link, and of nothing else."""
        request = self._resolver.answered_by(message.nonce, link.name)
        if request is not None and message.records and message.records[0].key.covers(request.key.eid):
            return self._confirmed(datagram, message, link, request, now)
        followed = [self._subscriptions.covering(link.name, record.key) for record in message.records]
        if not followed or None in followed:
            return [dropped(datagram, "authentication-failed", message="map-notify", detail="no MAC")]
        return self._published(datagram, message, link, now)

    def _names_us(self, eid: Eid) -> bool:
        """Whether what is known of an own EID's RLOC-set has this xTR in it."""
        learned = self._tables.cache.learned(eid)
        return learned is not None and any(locator.rloc in self._config.rlocs for locator in learned.record.locators)

    def _late_request(self, message: MapNotify, link: MappingSystemLink) -> Request | None:
        """The request that a confirmation comes late for; a repeated confirmation is not one."""
        held = self._subscriptions.get(link.name, message.records[0].key)
        if held is not None and held.confirmed >= message.nonce:
            return None
        return self._resolver.late(message.nonce, link.name)

    def _confirmed(
        self, datagram: Datagram, message: MapNotify, link: MappingSystemLink, request: Request, now: float
    ) -> list[Output]:
        """A request with N=1 was answered: RFC 9437 §5."""
        subject = message.records[0]
        eid = subject.key
        if request.ends:
            return [*self._ended(request, now), self._ack(datagram, message, link)]
        if _is_refusal(subject):  # the mapping system gave up on a confirmation that never arrived
            lost = Event("subscription-lost", {"eid": str(eid), "link": link.name, "action": int(subject.action)})
            return [lost, self._ack(datagram, message, link)]
        lasting = eid in link.subscribe
        certain = message.nonce != request.doubtful
        self._subscriptions.confirm(link.name, eid, message.nonce, now, certain=certain, lasting=lasting)
        packets = self._resolver.finish(request, now)
        outputs: list[Output] = [
            Event("subscription-confirmed", {"eid": str(eid), "link": link.name, "records": len(message.records)})
        ]
        for record in message.records:
            if self._ledger.verdict(link.name, record.key, message.nonce) is Verdict.NEW:
                outputs += self._believe(record, link, message.nonce, now)
        # Publications that overtook the confirmation looked unsolicited, and were given less time.
        outputs += self._tables.keep(link.name, eid, message.nonce, now)
        self._multicast.lists.keep(link.name, eid, message.nonce)
        outputs += self._tables.release(request.key.eid, packets)
        return [*outputs, self._ack(datagram, message, link)]

    def _ended(self, request: Request, now: float) -> list[Output]:
        """An unsubscription was confirmed: what nobody keeps up to date any more is forgotten."""
        link, eid = request.key
        self._resolver.finish(request, now)
        held = self._subscriptions.get(link, eid)
        outputs: list[Output] = [Event("subscription-ended", {"eid": str(eid), "link": link})]
        if held is not None:
            self._subscriptions.lose(held)
        for inside in self._tables.learned_from(link, eid):
            if self._subscriptions.covering(link, inside) is None or inside == eid:
                outputs += self._tables.forget(inside, link)
        for group, _ in self._multicast.lists.published(link, eid):
            if self._subscriptions.covering(link, group) is None or group == eid:
                self._multicast.lists.forget(link, group)
        return outputs

    def _published(self, datagram: Datagram, message: MapNotify, link: MappingSystemLink, now: float) -> list[Output]:
        """News about EIDs subscribed to, about own ones, or unsolicited."""
        outputs: list[Output] = []
        stale = True
        for record in message.records:
            eid = record.key
            held = self._subscriptions.get(link.name, eid)
            if _is_refusal(record):
                if held is not None and not held.lost and message.nonce >= held.base:
                    outputs += self._lost(held, record, now)
                    stale = False
                continue
            ordered = link.profile.ordered_nonces
            publication = self._ledger.is_publication(message.nonce) or not ordered
            if not publication and self._published_before(link, eid):
                outputs += self._uncounted(link, eid, now)
                stale = False
                continue
            floor = self._subscriptions.floor(link.name, eid) if publication else -1
            verdict = self._ledger.verdict(link.name, eid, message.nonce, floor) if ordered else Verdict.NEW
            stale &= verdict is Verdict.OLD
            if verdict is Verdict.NEW:
                outputs += self._believe(record, link, message.nonce, now)
        if stale:
            fields = {"field": "nonce", "value": message.nonce, "eid": str(message.records[0].key)}
            return [*outputs, dropped(datagram, "replay", message="map-notify", link=link.name, **fields)]
        return [*outputs, self._ack(datagram, message, link)]

    def _believe(self, record: EidRecord, link: MappingSystemLink, nonce: int, now: float) -> list[Output]:
        """Take a record over into the tables, unless another mapping system has the say about its EID."""
        eid = record.key
        subscription = self._subscriptions.covering(link.name, eid)
        own = self._tables.cache.is_own(eid)
        if subscription is None and not own and not self._config.accept_unsolicited:
            return [Event("publication-ignored", {"eid": str(eid), "link": link.name, "reason": "unsolicited"})]
        self._ledger.see(link.name, eid, nonce)
        if own:
            self._heard[link.name, eid] = now
        if is_group(eid):
            return self._replication(record, link, nonce, subscription, now)
        if self._tables.authority(eid) not in (link.of, None):
            return [Event("publication-ignored", {"eid": str(eid), "link": link.name, "reason": "not-responsible"})]
        rlocs = " ".join(str(locator.rloc or locator.address) for locator in record.locators) or "-"
        fields = {"eid": str(eid), "link": link.name, "nonce": nonce, "ttl": record.ttl, "rlocs": rlocs}
        event = Event("publication-accepted", fields)
        if record.is_withdrawal:
            return [event, *self._tables.forget(eid, link.name)]
        lifetime = None
        if subscription is not None:
            self._subscriptions.renew_within(subscription, self._tables.cache.lifetime(record), now)
        elif not own:
            lifetime = self._config.unsolicited_lifetime
        return [
            event,
            *self._tables.learn(record, link.name, Source.PUBLICATION, now, nonce=nonce, lifetime=lifetime),
        ]

    def _replication(
        self, record: EidRecord, link: MappingSystemLink, nonce: int, subscription: Subscription | None, now: float
    ) -> list[Output]:
        """A mapping system says who receives a group; each of them speaks for itself."""
        eid = record.key
        rlocs = " ".join(str(rloc) for rloc in replicas(record)) or "-"
        fields = {"eid": str(eid), "link": link.name, "nonce": nonce, "ttl": record.ttl, "rlocs": rlocs}
        if record.is_withdrawal:
            self._multicast.lists.forget(link.name, eid)
        else:
            lifetime = None if subscription is not None else self._config.unsolicited_lifetime
            if subscription is not None:
                self._subscriptions.renew_within(subscription, self._tables.cache.lifetime(record), now)
            self._multicast.learn(record, link.name, Source.PUBLICATION, now, nonce=nonce, lifetime=lifetime)
        return [Event("publication-accepted", fields)]

    def _published_before(self, link: MappingSystemLink, eid: Eid) -> bool:
        """Whether a mapping system tells us of `eid` by publications: subscribed to, or about to be confirmed."""
        if self._subscriptions.covering(link.name, eid) is not None:
            return True
        learned = self._tables.cache.learned(eid, link.name)
        if learned is None or not self._ledger.is_publication(learned.nonce):
            return False
        return self._subscriptions.floor(link.name, eid) < 0  # else there was a subscription, which has ended

    def _uncounted(self, link: MappingSystemLink, eid: Eid, now: float) -> list[Output]:
        """A notification as to somebody who did not subscribe: from before we did, or the subscription is gone.

        In both cases the next confirmation has the truth.
        """
        event = Event("publication-ignored", {"eid": str(eid), "link": link.name, "reason": "subscribed"})
        covering = self._subscriptions.covering(link.name, eid)
        if covering is None:
            return [event]
        return [event, *self._resolver.ask(link, covering.eid, now, lasting=True)]

    def _lost(self, held: Subscription, record: EidRecord, now: float) -> list[Output]:
        """The mapping system ended a subscription: subscribe again; the map-cache stays (RFC 9437 §5)."""
        self._subscriptions.lose(held)
        fields = {"eid": str(held.eid), "link": held.link, "action": int(record.action)}
        link = self._links.named(held.link)
        return [
            Event("subscription-lost", fields),
            *self._resolver.ask(link, held.eid, now, lasting=True),
        ]

    def _ack(self, datagram: Datagram, message: MapNotify, link: MappingSystemLink) -> Send:
        """The Map-Notify-Ack: same nonce and records, own MAC (RFC 9301 §5.7)."""
        key = _NO_KEY if message.algorithm == Algorithm.NONE else self._links.key(link, message.key_id)
        assert key is not None  # the message was verified with it
        ack = MapNotifyAck(message.nonce, message.records)
        payload = link.profile.sign(ack, key, self._config)
        source = Endpoint(datagram.destination.address, CONTROL_PORT)
        return Send(Datagram(source, datagram.source, payload))


def _is_refusal(record: EidRecord) -> bool:
    return not record.locators and record.action in _REFUSALS
