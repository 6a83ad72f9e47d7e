"""The Map-Server and Map-Resolver of one mapping system, as a machine without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.lisp import (
    Datagram,
    DecodeError,
    Ecm,
    Key,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    Message,
    decode,
)
from controller.mapping.answers import Answers
from controller.mapping.config import MapServerConfig
from controller.mapping.dump import PendingNotify, RegistrationView, pending_notifies, registration_views
from controller.mapping.inquiries import InquiryTable
from controller.mapping.machine import Event, NonceSource, Packing, Send, dropped
from controller.mapping.publisher import Publisher
from controller.mapping.refresh import RefreshTable, is_register
from controller.mapping.registration import RegistrationHandler
from controller.mapping.registry import joined
from controller.mapping.replies import Replier
from controller.mapping.requests import RequestHandler
from controller.mapping.state import MapServerState
from controller.mapping.store import Store, StoreError, Subscription, Withdrawn
from controller.mapping.subscribing import SubscriptionHandler


class MapServer:
    """A Map-Server that is its own Map-Resolver (RFC 9301 §8, RFC 9437).

    `now` is the time in seconds of any clock that does not go backwards. `nonces` (by default from the wall
    clock) gives the nonces of notifications to xTRs that did not subscribe.

    Nothing is sent that depends on a change which `store` did not take: while it fails, changes queue up and
    every call yields one event `store-failed` instead of datagrams. Raises StoreError if it cannot be read at
    the start.
    """

    def __init__(self, config: MapServerConfig, store: Store, now: float, *, nonces: NonceSource | None = None) -> None:
        self.config = config
        self._store = store
        snapshot = store.load()
        self._state = MapServerState(config, snapshot, nonces or NonceSource.from_clock(now), now)
        answers = Answers(config, self._state.sites, self._state.registry)
        packing = Packing(config.address.version, config.path_mtu)
        inquiries = config.reply_interval, config.inquiry_table
        self._inquiries = InquiryTable(self._state.endpoint, self._state.registry, *inquiries)
        replier = Replier(self._state, answers, packing, self._inquiries)
        self._publisher = Publisher(self._state, answers, packing, now, snapshot.gone)
        self._refreshes = RefreshTable(self._state, config.refresh_table)
        self._registrations = RegistrationHandler(self._state, self._publisher, self._refreshes)
        self._subscriptions = SubscriptionHandler(self._state, answers, replier, self._publisher, now)
        self._requests = RequestHandler(self._state.sites, replier, self._subscriptions)
        for subscription in self._state.subscriptions:
            if subscription.active:
                self._publisher.resume(subscription)
        self._publisher.recall()
        self._due_at_start = now if self._publisher.ready else None

    def receive(self, datagram: Datagram, now: float) -> list[Send | Event]:
        """Process one datagram from UDP port 4342. Whatever it contains, it raises nothing."""
        return self.receive_all((datagram,), now)

    def receive_all(self, datagrams: Iterable[Datagram], now: float) -> list[Send | Event]:
        """The same for datagrams that came together: one store transaction, and publications that share messages."""
        outputs: list[Send | Event] = []
        for datagram in datagrams:
            # Nearly everything is a repetition, and is answered without being read.
            known: Sequence[Send | Event] | None = self._refreshes.refresh(datagram, now)
            if known is None:
                known = self._inquiries.answer(datagram, now)
            if known is None and is_register(datagram.payload):
                known = self._registrations.amendments.amend(datagram, now)
            if known is not None:
                outputs += known
                continue
            try:
                message = decode(datagram.payload, self._state.sites.decode_options(datagram.source.address))
            except DecodeError as error:
                outputs.append(dropped(datagram, "malformed", field=error.field, detail=str(error)))
            else:
                outputs += self._dispatch(datagram, message, now)
        return self._commit(outputs + self._publisher.flush(now))

    def tick(self, now: float) -> list[Send | Event]:
        """Do everything that is due at `now`."""
        self._due_at_start = None
        outputs = self._expire(now)
        outputs += self._subscriptions.tick(now)
        outputs += self._publisher.tick(now)
        return self._commit(outputs + self._publisher.flush(now))

    def next_deadline(self) -> float | None:
        """When `tick` has to be called next, unless a datagram comes first."""
        parts = (self._state.registry, self._subscriptions, self._publisher)
        deadlines = (self._due_at_start, *(part.next_deadline() for part in parts))
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def use_keys(self, site_id: int, keys: tuple[Key, ...]) -> None:
        """From now on these are the keys of a site: keep the old one beside the new until all its xTRs have changed.

        Raises ConfigError, and changes nothing, if they cannot be.
        """
        self._state.sites.use_keys(site_id, keys)
        self._refreshes.clear()  # it recognizes messages by the keys of before
        self._registrations.amendments.clear()

    def registrations(self) -> list[RegistrationView]:
        """All mappings with their contributions, in the order of their EIDs."""
        return registration_views(self._state.registry)

    def subscriptions(self) -> list[Subscription]:
        """All active subscriptions, in the order of their EIDs."""
        active = (subscription for subscription in self._state.subscriptions if subscription.active)
        return sorted(active, key=lambda subscription: (subscription.eid, str(subscription.xtr)))

    def pending(self) -> list[PendingNotify]:
        """What subscribers and members have still to be told or have not acknowledged."""
        return pending_notifies(self._publisher.channels())

    def _dispatch(self, datagram: Datagram, message: Message, now: float) -> list[Send | Event]:
        if self.config.share.of > 1 and (event := self._misdirected(datagram, message)) is not None:
            return [event]
        match message:
            case MapRegister():
                return self._registrations.handle(datagram, message, now)
            case MapRequest():
                return self._requests.handle(datagram, message, now)
            case Ecm():
                return self._requests.handle_ecm(datagram, message, now)
            case MapNotifyAck():
                return [self._publisher.acknowledge(datagram, message)]
            case _:
                return [dropped(datagram, "unexpected-message", message=type(message).__name__)]

    def _misdirected(self, datagram: Datagram, message: Message) -> Event | None:
        """Refuse what is not about this server's share of the instance-IDs alone, inside an envelope too."""
        if isinstance(message, Ecm):
            try:
                message = decode(message.payload, self._state.sites.decode_options(datagram.source.address))
            except DecodeError:
                return None  # what is wrong is said where it is read
        if isinstance(message, (MapRegister, MapRequest, MapNotifyAck)):
            for record in message.records:
                if not self.config.share.has(record.key):
                    return dropped(datagram, "other-worker", message=type(message).__name__, eid=str(record.key))
        return None

    def _expire(self, now: float) -> list[Send | Event]:
        outputs: list[Send | Event] = []
        for eid, xtr in self._state.registry.expire(now):
            outputs.append(Event("registration-expired", {"eid": str(eid), "xtr": str(xtr)}))
            change = self._state.withdraw(Withdrawn(eid, xtr))
            if change is not None:
                outputs += self._publisher.changed(joined([change]))
        return outputs

    def _commit(self, outputs: list[Send | Event]) -> list[Send | Event]:
        """Make the changes durable before the answers leave."""
        journal = self._state.journal
        if journal:
            try:
                self._store.commit(journal)
            except StoreError as error:
                events: list[Send | Event] = [output for output in outputs if isinstance(output, Event)]
                return [*events, Event("store-failed", {"detail": str(error), "changes": len(journal)})]
            journal.clear()
        return outputs
