"""Everything a Map-Server knows, and the journal through which changes of it become durable."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from controller.lisp import Eid, Endpoint, IPAddress, Key
from controller.lisp.constants import CONTROL_PORT
from controller.mapping.config import MapServerConfig
from controller.mapping.extranet import Extranets, imported_content
from controller.mapping.leases import Lease
from controller.mapping.machine import NonceSource
from controller.mapping.registry import MappingChange, Registry
from controller.mapping.sites import SiteDirectory
from controller.mapping.store import (
    Change,
    Contribution,
    Forgotten,
    NonceFloor,
    Receipt,
    Snapshot,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
)
from controller.mapping.subscriptions import Subscriptions

_RESTORED_TOGETHER: Final = 32  # as many as a message brings at most; releasing one from a long lease is slow


@lru_cache(maxsize=1 << 14)
def control_endpoint(address: IPAddress) -> Endpoint:
    """The control port of an address: one object as long as it is in use, so that a transport recognizes it."""
    return Endpoint(address, CONTROL_PORT)


class Account:
    """The Map-Registers of one xTR: the last one under each key, by Key ID, and the last one of all."""

    __slots__ = ("latest", "receipts")

    def __init__(self) -> None:
        self.receipts: dict[int, Receipt] = {}
        self.latest: Receipt | None = None

    def add(self, receipt: Receipt) -> None:
        """Another Map-Register was accepted."""
        self.receipts[receipt.key_id] = self.latest = receipt


class MapServerState:
    """The tables of a Map-Server.

    Attributes:
        endpoint: where the Map-Server sends from; one object, so that a transport recognizes it.

    The methods that change what has to survive a restart also write to `journal`, which is handed to the
    store before any answer leaves.
    """

    def __init__(self, config: MapServerConfig, snapshot: Snapshot, nonces: NonceSource, now: float) -> None:
        self.config = config
        self.endpoint = Endpoint(config.address, CONTROL_PORT)
        self.nonces = nonces
        self.sites = SiteDirectory(config)
        self._extranets = Extranets(config.extranets)
        self.has_extranets = bool(config.extranets)
        self.registry = Registry()
        self.subscriptions = Subscriptions()
        self.journal: list[Change] = []
        self._accounts: dict[XtrKey, Account] = {}
        self._floors: dict[XtrKey, int] = {}
        self._serial = 0
        self._restore(snapshot, now)

    @property
    def next_serial(self) -> int:
        """The serial number of what the next message contributes."""
        return self._serial + 1

    def used_serial(self, serial: int) -> None:
        """A message contributed something with that number."""
        self._serial = serial

    def contribute(self, part: Contribution, lease: Lease) -> MappingChange | None:
        """Insert or replace what an xTR registered."""
        self.journal.append(part)
        self.used_serial(part.serial)
        return self.registry.put(part, lease)

    def withdraw(self, gone: Withdrawn) -> MappingChange | None:
        """Remove what an xTR registered."""
        if self.registry.registration(gone.eid, gone.xtr) is None:
            return None
        self.journal.append(gone)
        return self.registry.withdraw(gone.eid, gone.xtr)

    def account(self, xtr: XtrKey) -> Account:
        """What is known of the Map-Registers of an xTR."""
        return self._accounts.setdefault(xtr, Account())

    def imported(self, change: MappingChange) -> list[MappingChange]:
        """What a change of a mapping changes in the instance-IDs that may use it."""
        found: list[MappingChange] = []
        if not self.has_extranets:
            return found
        for eid in self._extranets.of(change.eid):
            content = imported_content(change.after, change.eid.iid) if change.after is not None else None
            imported = self.registry.import_(eid, content)
            if imported is not None:
                found.append(imported)
        return found

    def keep_receipt(self, receipt: Receipt) -> None:
        """Remember a Map-Register as the last of its xTR."""
        self.journal.append(receipt)
        self.account(receipt.xtr).add(receipt)

    def keep_subscription(self, subscription: Subscription) -> None:
        """Insert or replace a subscription."""
        self.journal.append(subscription)
        self.subscriptions.put(subscription)
        forgotten = self.subscriptions.forget_oldest(subscription.xtr, self.config.limits.subscriptions_per_xtr)
        if forgotten is not None:
            floor = max(forgotten.nonce, self._floors.get(forgotten.xtr, -1))
            self._floors[forgotten.xtr] = floor
            self.journal += [Forgotten(forgotten.eid, forgotten.xtr), NonceFloor(forgotten.xtr, floor)]

    def last_nonce(self, eid: Eid, xtr: XtrKey) -> int:
        """The last nonce of a subscription, or of any that its xTR had and that was forgotten; -1 without any."""
        held = self.subscriptions.get(eid, xtr)
        return held.nonce if held is not None else self._floors.get(xtr, -1)

    def notify_key(self, xtr: XtrKey) -> Key | None:
        """The key that an xTR is known to hold: that of its last Map-Register, else its site's first."""
        latest = self._latest(xtr)
        if latest is not None and (key := self.sites.key(xtr.site_id, latest.key_id)) is not None:
            return key
        keys = self.sites.keys(xtr.site_id)
        return keys[0] if keys else None

    def notify_endpoint(self, xtr: XtrKey) -> Endpoint | None:
        """Where an xTR can be notified: the source RLOC of its last Map-Register, else its configured one."""
        latest = self._latest(xtr)
        if latest is not None:
            return control_endpoint(latest.source.address)
        known = self.sites.xtr(xtr)
        return control_endpoint(known.rlocs[0]) if known else None

    def _latest(self, xtr: XtrKey) -> Receipt | None:
        account = self._accounts.get(xtr)
        return account.latest if account else None

    def _restore(self, snapshot: Snapshot, now: float) -> None:
        for receipt in sorted(snapshot.receipts, key=lambda receipt: receipt.nonce):
            self.account(receipt.xtr).add(receipt)
        for subscription in snapshot.subscriptions:
            self.subscriptions.put(subscription)
        self._floors = {floor.xtr: floor.nonce for floor in snapshot.floors}
        self._configure_subscriptions()
        self._restore_contributions(snapshot.contributions, now)

    def _configure_subscriptions(self) -> None:
        """Make the subscriptions of the configuration, unless they go on from an earlier life."""
        for xtr, configured in self.sites.configured_subscriptions():
            held = self.subscriptions.get(configured.eid, xtr)
            if held is not None and held.active:
                continue
            kind = SubscriptionKind.TABLE if self.sites.is_table(configured.eid) else SubscriptionKind.MAPPING
            nonce = max(configured.nonce, self.last_nonce(configured.eid, xtr))
            self.keep_subscription(Subscription(configured.eid, xtr, kind, configured.itr_rlocs, nonce))

    def _restore_contributions(self, parts: Iterable[Contribution], now: float) -> None:
        leases: dict[tuple[XtrKey, float], Lease] = {}  # the one to fill next
        for part in parts:
            site = self.sites.site(part.xtr.site_id)
            if site is not None and self.sites.permits(site, part.eid):
                lease = leases.get((part.xtr, part.terms.timeout))
                if lease is None or len(lease.held) == _RESTORED_TOGETHER:
                    lease = leases[part.xtr, part.terms.timeout] = Lease(part.terms.timeout, now)
                change = self.registry.put(part, lease)
                if change is not None:
                    self.imported(change)
                self._serial = max(self._serial, part.serial)
            else:  # the configuration changed since
                self.journal.append(Withdrawn(part.eid, part.xtr))
