"""Map-Register: who may register what, in which order, and how it is acknowledged (RFC 9301 §5.6, §8.2)."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address

from controller.lisp import (
    CONTROL_PORT,
    AuthenticationError,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    MapNotify,
    MapRegister,
)
from controller.mapping.amendment import AmendmentTable, accepted_fields
from controller.mapping.config import SiteConfig
from controller.mapping.content import Terms
from controller.mapping.holdings import Sender
from controller.mapping.leases import MessageLeases
from controller.mapping.machine import Event, Send, dropped
from controller.mapping.publisher import Publisher
from controller.mapping.refresh import RefreshTable
from controller.mapping.registry import MappingChange, joined
from controller.mapping.replication import replication_problem
from controller.mapping.state import MapServerState
from controller.mapping.store import Contribution, Receipt, Withdrawn, XtrKey

_SECONDS_PER_MINUTE = 60.0
_BROADCAST = IPv4Address("255.255.255.255")


class _Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """Why a Map-Register is dropped."""

    def __init__(self, reason: str, **fields: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields


class RegistrationHandler:
    """Turns Map-Registers into contributions.

    Attributes:
        amendments: takes those of xTRs that are known, if they are simple enough.
    """

    def __init__(self, state: MapServerState, publisher: Publisher, refreshes: RefreshTable) -> None:
        self._state = state
        self._publisher = publisher
        self._refreshes = refreshes
        self.amendments = AmendmentTable(state, publisher, self._problem, state.config.refresh_table)

    def handle(self, datagram: Datagram, message: MapRegister, now: float) -> list[Send | Event]:
        """Process one Map-Register: wire reference 4.1."""
        try:
            sender = self._authenticate(datagram, message)
            repeated = self._check_nonce(datagram, message, sender)
        except _Refused as refusal:
            return [dropped(datagram, refusal.reason, message="map-register", **refusal.fields)]
        if repeated is not None:
            event = Event("map-register-repeated", {"xtr": str(sender.xtr), "nonce": message.nonce})
            return [event, *self._reply(datagram, repeated.reply)]
        outputs: list[Send | Event] = []
        changes: list[MappingChange] = []
        accepted: list[EidRecord] = []
        leases, serial = MessageLeases(now), self._state.next_serial
        for index, record in enumerate(message.records):
            problem = self._problem(sender, record)
            if problem is not None:
                fields = {"field": f"records[{index}]", "eid": str(record.key), "xtr": str(sender.xtr)}
                outputs.append(Event("map-register-record-refused", {**fields, "reason": problem}))
                continue
            accepted.append(record)
            changes += self._apply(message, record, sender.xtr, leases, serial)
        reply = self._acknowledgement(message, accepted, sender)
        receipt = Receipt(sender.xtr, sender.key.key_id, message.nonce, datagram.payload, reply, datagram.source)
        self._state.keep_receipt(receipt)
        if accepted:
            outputs.append(
                Event(
                    "map-register-accepted", partial(accepted_fields, sender.xtr, [record.key for record in accepted])
                )
            )
            if len(accepted) == len(message.records) and sender.site.profile.ordered_nonces:
                self._refreshes.learn(message, sender.key, receipt, leases)
                self.amendments.learn(message, sender, receipt)
        outputs += self._reply(datagram, reply)
        informed = sender.xtr if reply is not None else None
        return outputs + self._publisher.changed(joined(changes), informed)

    def _authenticate(self, datagram: Datagram, message: MapRegister) -> Sender:
        """Find the key and verify the MAC with it, then see whether the sender is who it says."""
        sites, config = self._state.sites, self._state.config
        if not message.records:
            raise _Refused("no-records")
        site = sites.site(message.xtr.site_id) if message.xtr else sites.registrable_by(message.records[0].key)
        if site is None:
            if message.xtr:
                raise _Refused("unknown-site", field="site-id", value=message.xtr.site_id)
            raise _Refused("foreign-prefix", field="records[0]", value=str(message.records[0].key))
        key = sites.key(site.site_id, message.key_id)
        if key is None:
            raise _Refused("unknown-key", field="key-id", value=message.key_id, site=site.site_id)
        try:
            site.profile.verify(datagram.payload, message, key, config)
        except AuthenticationError as error:
            raise _Refused("authentication-failed", detail=str(error)) from None
        return Sender(site, self._identify(datagram, message, site), key)

    def _identify(self, datagram: Datagram, message: MapRegister, site: SiteConfig) -> XtrKey:
        sites = self._state.sites
        at_source = sites.xtr_at(datagram.source.address)
        if message.xtr is None:
            if not site.profile.identity and at_source is not None and at_source.site_id == site.site_id:
                return at_source
            if self._state.config.require_identity:
                raise _Refused("no-identity", field="I", value=0)
            if site.xtrs and (at_source is None or at_source.site_id != site.site_id):
                raise _Refused("unauthorised-xtr", field="source", value=str(datagram.source.address))
            return XtrKey(site.site_id, datagram.source.address)
        xtr = XtrKey(site.site_id, message.xtr.xtr_id)
        if site.xtrs and at_source != xtr:
            raise _Refused("unauthorised-xtr", field="xtr-id", value=message.xtr.xtr_id.hex(), site=site.site_id)
        return xtr

    def _check_nonce(self, datagram: Datagram, message: MapRegister, sender: Sender) -> Receipt | None:
        """Drop what is not newer than the last; return the receipt that answers a repeated datagram (C3)."""
        last = self._state.account(sender.xtr).receipts.get(sender.key.key_id)
        if last is None or message.nonce > last.nonce:
            return None
        unordered = not sender.site.profile.ordered_nonces
        if message.nonce == last.nonce and datagram.payload == last.register:
            return last
        if unordered:
            return None
        raise _Refused("replay", field="nonce", value=message.nonce, last=last.nonce, xtr=str(sender.xtr))

    def _problem(self, sender: Sender, record: EidRecord) -> str | None:
        """Why a record cannot be registered; None if it can."""
        site, known = sender.site, self._state.sites.xtr(sender.xtr)
        if not self._state.sites.permits(site, record.key):
            return f"not a prefix of site {site.site_id}"
        if record.is_withdrawal:
            return None
        if not record.locators:
            return "has no locators"
        registry = self._state.registry
        most = self._state.config.limits.registrations_per_xtr
        if registry.registered_by(sender.xtr) >= most and registry.registration(record.key, sender.xtr) is None:
            return f"this xTR has registered {most} EIDs already"
        for locator in record.locators:
            rloc = locator.rloc
            if rloc is not None and (rloc.is_multicast or rloc.is_unspecified or rloc == _BROADCAST):
                return f"locator {rloc} is no unicast address"
            if rloc is not None and site.xtrs and not self._state.sites.is_rloc_of(site, rloc):
                return f"locator {rloc} is no RLOC of site {site.site_id}"
            acc_id = locator.metadata.acc_id if locator.metadata is not None else None
            holder = registry.named(record.key.iid, acc_id) if acc_id is not None else None
            if holder not in (None, record.key):
                return f"AccID {acc_id} is that of {holder}"
        return replication_problem(record, known.rlocs if known is not None else None)

    def _apply(
        self, message: MapRegister, record: EidRecord, xtr: XtrKey, leases: MessageLeases, serial: int
    ) -> list[MappingChange]:
        eid = record.key
        found: list[MappingChange | None] = []
        if record.is_withdrawal:
            found.append(self._state.withdraw(Withdrawn(eid, xtr)))
        else:
            found.append(self._register(message, record, eid, xtr, leases, serial))
            if not message.merge:
                mapping = self._state.registry.table[eid]
                # A group is registered by many sites, each of which speaks for itself only.
                others = [other for other in mapping.xtrs if other != xtr and other.site_id == xtr.site_id]
                found += [self._state.withdraw(Withdrawn(eid, other)) for other in others]
        return _combined([change for change in found if change is not None])

    def _register(
        self, message: MapRegister, record: EidRecord, eid: Eid, xtr: XtrKey, leases: MessageLeases, serial: int
    ) -> MappingChange | None:
        timeout = record.ttl * _SECONDS_PER_MINUTE if message.use_ttl else self._state.config.registration_timeout
        terms = Terms.of(record.ttl, record.locators, timeout, message.proxy_reply)
        held = self._state.registry.registration(eid, xtr)
        if held is not None and held.terms == terms:
            self._state.registry.hold(held, leases.of(timeout))
            return None
        return self._state.contribute(Contribution(eid, xtr, terms, serial), leases.of(timeout))

    def _acknowledgement(self, message: MapRegister, accepted: list[EidRecord], sender: Sender) -> bytes | None:
        """The Map-Notify for M=1: the merged mappings, and withdrawals as they came (choice C5)."""
        if not message.want_notify or not accepted:
            return None
        records = tuple(
            record if record.is_withdrawal else self._publisher.content(None, record.key) for record in accepted
        )
        notify = MapNotify(message.nonce, records)
        return sender.site.profile.sign(notify, sender.key, self._state.config)

    def _reply(self, datagram: Datagram, reply: bytes | None) -> list[Send]:
        if reply is None:
            return []
        source = datagram.source
        port = CONTROL_PORT if self._state.config.ack_port == "control" else source.port
        return [Send(Datagram(self._state.endpoint, Endpoint(source.address, port), reply))]


def _combined(changes: list[MappingChange]) -> list[MappingChange]:
    """Several changes of one mapping as one."""
    if len(changes) < 2:
        return changes
    first, last = changes[0], changes[-1]
    if first.before == last.after:
        return []
    xtrs = frozenset().union(*(change.xtrs for change in changes))
    return [MappingChange(last.eid, first.before, last.after, xtrs)]
