"""The control plane of one tunnel router: ITR, ETR and, at a border, pxTR. A machine without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from controller.lisp import (
    Action,
    Datagram,
    DecodeError,
    Eid,
    IPAddress,
    Key,
    MapNotify,
    MapReply,
    MapRequest,
    Metadata,
    RlocRecord,
    decode,
    is_group,
)
from controller.mapping.machine import Event, NonceSource, dropped, fail
from controller.xtr.config import LocalEid, MappingSystemLink, XtrConfig
from controller.xtr.entries import DatabaseEntry, Kind, MapCacheEntry
from controller.xtr.etr import Etr
from controller.xtr.ledger import Ledger
from controller.xtr.links import Links
from controller.xtr.map_cache import MapCache
from controller.xtr.multicast.entries import Designation, Replication
from controller.xtr.multicast.multicast import Multicast
from controller.xtr.nonces import MemoryNonceStore, NonceKeeper, NonceStore
from controller.xtr.notifications import NotificationHandler
from controller.xtr.outputs import Output, Replay
from controller.xtr.probing import Prober, RlocHealth
from controller.xtr.probing_answers import ProbeResponder
from controller.xtr.replies import ReplyHandler
from controller.xtr.resolver import Resolver
from controller.xtr.subscriptions import Duty, Subscription, Subscriptions
from controller.xtr.tables import Tables


@dataclass(frozen=True, slots=True)
class PendingView:
    """Something that waits for a mapping system: a `request` for an EID, a `registration` of one, or a
    `designation` for a group.

    `due`: when it is repeated, in seconds of the machine's clock. `packets`: how many wait for the answer.
    """

    what: str
    link: str
    eid: Eid
    due: float | None
    packets: int = 0


class Cause(Enum):
    """Why EIDs are withdrawn (draft sections 4.4 and 5.4)."""

    DETACHED = "detached"
    """The accelerator is gone."""
    FAILED = "failed"
    """The link or the switch behind it."""
    CONGESTED = "congested"
    OPERATOR = "operator"
    """Maintenance: the path works, but shall not be used."""


class Xtr:
    """An xTR without a data plane: the outputs tell what to put into one.

    `now` is the time in seconds of any clock that does not go backwards. `nonces` (by default from the wall
    clock) gives the first nonces of registrations and subscriptions; `store` keeps those that must not be
    forgotten, which are committed before a message that depends on them is returned. Raises StoreError if it
    cannot be read.
    """

    def __init__(
        self, config: XtrConfig, now: float, *, nonces: NonceSource | None = None, store: NonceStore | None = None
    ) -> None:
        self.config = config
        source = nonces or NonceSource.from_clock(now)
        names = [link.name for link in config.links]
        self._nonces = NonceKeeper(names, store or MemoryNonceStore(), source, now)
        self._links = Links(config)
        self._etr = Etr(config, self._links, self._nonces)
        self._ledger = Ledger(self._nonces)
        self._subscriptions = Subscriptions(config, self._nonces, self._ledger)
        self._resolver = Resolver(config, self._links, self._subscriptions, self._nonces)
        self._tables = Tables(
            self._links,
            MapCache(config.rlocs, config.default_ttl, extranets=config.extranets),
            self._etr,
            self._resolver,
        )
        self._prober = Prober(config, source)
        self._probe_responder = ProbeResponder(config, self._etr, self._tables.cache)
        self._multicast = Multicast(config, self._links, self._nonces, self._etr, self._tables)
        self._replies = ReplyHandler(self._resolver, self._subscriptions, self._tables, self._multicast)
        self._notifications = NotificationHandler(
            config,
            self._links,
            self._etr,
            self._resolver,
            self._subscriptions,
            self._ledger,
            self._tables,
            self._multicast,
        )
        self._sends_to: set[Eid] = set()

    def start(self, now: float) -> list[Output]:
        """Register what is advertised from the start, and subscribe to what is configured."""
        outputs = self.attach_all(self.config.database, now)
        for link in self.config.links:
            for eid, nonce in link.configured:
                self._subscriptions.configure(link.name, eid, nonce)
            for eid in link.subscribe:
                outputs += self._resolver.ask(link, eid, now, lasting=True)
        return self._kept(outputs)

    def attach(
        self,
        eid: Eid,
        now: float,
        *,
        links: tuple[str, ...] = (),
        locators: tuple[RlocRecord, ...] = (),
        deliver: bool = True,
        metadata: Metadata | None = None,
        cabled: tuple[IPAddress, ...] = (),
    ) -> list[Output]:
        """`eid` is reachable here, or is from now on described differently: database first, then register.

        The parameters are those of `LocalEid`. Raises ConfigError for a link that does not exist.
        """
        return self.attach_all((LocalEid(eid, links, locators, deliver, metadata, cabled),), now)

    def attach_all(self, locals_: Iterable[LocalEid], now: float) -> list[Output]:
        """The same for many at once, which share Map-Registers. Raises ConfigError before anything is changed."""
        locals_ = tuple(locals_)
        for local in locals_:
            for name in local.links:
                self.config.link(name)
        outputs: list[Output] = []
        changed: list[Eid] = []
        for local in locals_:
            if self._etr.put(local, now):
                outputs += self._tables.attached(local, now)
                changed.append(local.eid)
        return self._watched([*outputs, *self._etr.announce(changed, now)], now)

    def detach(self, eid: Eid, now: float) -> list[Output]:
        """`eid` is not reachable here any more: deregister; the entry goes when that is acknowledged."""
        return self.withdraw((eid,), now)

    def withdraw(self, eids: Iterable[Eid], now: float, cause: Cause = Cause.DETACHED) -> list[Output]:
        """These EIDs are to be reached another way: one sequence, whatever the cause (requirement SO-PATH-12).

        Withdrawn in the database, deregistered in Map-Registers that they share, gone when that is acknowledged. An
        EID for which no other xTR is known is not withdrawn for CONGESTION: a slow path is better than none.
        """
        outputs: list[Output] = []
        withdrawn: list[Eid] = []
        for eid in eids:
            if cause is Cause.CONGESTED and not self._tables.has_peers(eid):
                outputs.append(Event("withdrawal-ignored", {"eid": str(eid), "reason": "no other path"}))
            elif not self._etr.withdraw(eid, now):
                outputs.append(Event("detach-ignored", {"eid": str(eid), "reason": "not attached"}))
            else:
                followed = any(self._subscriptions.covering(link.name, eid) for link in self.config.links)
                lifetime = None if followed else self.config.unsolicited_lifetime
                outputs += self._tables.detached(eid, now, lifetime)
                withdrawn.append(eid)
        if withdrawn and cause is not Cause.DETACHED:
            fields = {"cause": cause.value, "eids": " ".join(map(str, withdrawn))}
            outputs.append(Event("path-withdrawn", fields))
        return self._watched([*outputs, *self._etr.announce(withdrawn, now)], now)

    def join(self, receiver: Eid, group: Eid, now: float) -> list[Output]:
        """An accelerator, attached or not yet, is to receive `group`: an (S,G), a (*,G) or a Scale-Up group.

        A multihomed accelerator joins at all its xTRs; one of them serves it. Raises ConfigError for a group
        that is none, or in another instance-ID.
        """
        if not is_group(group):
            fail("group", group, "is no group")
        if receiver.iid != group.iid:
            fail("group", group, f"is in another instance-ID than {receiver}")
        if not self._multicast.join(receiver, group):
            return []
        return self._kept([*self._multicast.review(now), *self._follow(group, now, lasting=True)])

    def leave(self, receiver: Eid, group: Eid, now: float) -> list[Output]:
        """An accelerator is not to receive `group` any more."""
        if not self._multicast.leave(receiver, group):
            return [Event("leave-ignored", {"eid": str(receiver), "group": str(group), "reason": "not joined"})]
        return self._kept([*self._multicast.review(now), *self._unfollow(group, now)])

    def follow(self, group: Eid, now: float) -> list[Output]:
        """Know who receives `group`: there is a source here. A refusal is final, until the next call.

        Raises ConfigError for what is no group.
        """
        if not is_group(group):
            fail("group", group, "is no group")
        self._sends_to.add(group)
        return self._kept(self._follow(group, now, lasting=False))

    def unfollow(self, group: Eid, now: float) -> list[Output]:
        """There is no source for `group` here any more."""
        self._sends_to.discard(group)
        return self._kept(self._unfollow(group, now))

    def miss(self, eid: Eid, now: float, packet: bytes | None = None) -> list[Output]:
        """The data plane had no entry for a packet to `eid` (a host EID, or a name): ask, with N=1.

        `packet` comes back in a Replay as soon as there is an entry.
        """
        entry = self._tables.cache.lookup(eid)
        if entry is not None and entry.kind is not Kind.NEGATIVE:
            return [Replay(eid, (packet,))] if packet is not None else []
        if entry is not None and entry.action != Action.SEND_MAP_REQUEST:
            return []
        link = self._links.responsible(eid)
        if link is None:
            return [Event("packet-dropped", {"eid": str(eid), "reason": "no mapping system for it"})]
        return self._kept([*self._resolver.ask(link, eid, now, packet=packet)])

    def unsubscribe(self, eid: Eid, now: float, *, link: str | None = None) -> list[Output]:
        """Take a subscription back, at the named link or at the one responsible for `eid`.

        What a wider subscription brings is left out of it until `eid` is subscribed to again.
        """
        found = self.config.link(link) if link is not None else self._links.responsible(eid)
        if found is None or self._subscriptions.covering(found.name, eid) is None:
            return [Event("unsubscribe-ignored", {"eid": str(eid), "reason": "not subscribed"})]
        return self._kept([*self._resolver.unsubscribe(found, eid, now)])

    def use_keys(self, link: str, keys: tuple[Key, ...]) -> None:
        """From now on the first of these keys signs what is sent to a link, and each is accepted from it.

        Raises ConfigError, and changes nothing, if they cannot be.
        """
        self._links.use_keys(link, keys)

    def receive(self, datagram: Datagram, now: float) -> list[Output]:
        """Process one datagram from UDP port 4342. Whatever it contains, it raises nothing."""
        try:
            message = decode(datagram.payload, self._links.decode_options(datagram.source.address))
        except DecodeError as error:
            return [dropped(datagram, "malformed", field=error.field, detail=str(error))]
        match message:
            case MapNotify():
                return self._watched(self._notifications.handle(datagram, message, now), now)
            case MapReply(probe=True):
                return self._prober.answered(datagram, message, now)
            case MapReply():
                return self._watched(self._replies.handle(datagram, message, now), now)
            case MapRequest(probe=True):
                return self._probe_responder.handle(datagram, message, now)
            case _:
                return [dropped(datagram, "unexpected-message", message=type(message).__name__)]

    def tick(self, now: float) -> list[Output]:
        """Do everything that is due at `now`."""
        outputs: list[Output] = []
        for eid, link, changes in self._tables.cache.expired(now):
            outputs += [*changes, *self._tables.sync_database(eid), *self._expired(eid, link, now)]
        for subscription, duty in self._subscriptions.due(now):
            outputs += self._renew(subscription, now) if duty is Duty.RENEW else self._sweep(subscription, now)
        outputs += self._resolver.tick(now)
        outputs += self._etr.tick(now)
        outputs += self._fail_over(now)
        outputs += self._multicast.tick(now)
        return [*self._watched(outputs, now), *self._prober.tick(now)]

    def next_deadline(self) -> float | None:
        """When `tick` has to be called next, unless something else comes first."""
        parts = (self._tables.cache, self._subscriptions, self._resolver, self._etr, self._prober, self._multicast)
        deadlines = [part.next_deadline() for part in parts]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def map_cache(self) -> list[MapCacheEntry]:
        """The map-cache in the order of its EIDs, each locator with what is known of its reachability."""
        return [self._with_reachability(entry) for entry in self._tables.cache.entries()]

    def rlocs_routed(self, rlocs: Iterable[IPAddress], routed: bool) -> list[Output]:
        """The underlay has, or has no more, a way to these RLOCs: what the state of the switch's ports says."""
        return self._prober.routed(rlocs, routed)

    def rloc_health(self) -> list[RlocHealth]:
        """What is known of the RLOCs that are probed, and of those without a route."""
        return self._prober.health()

    def database(self) -> list[DatabaseEntry]:
        """The local database in the order of its EIDs."""
        entries = (self._tables.database_entry(eid) for eid in self._etr.eids())
        return [entry for entry in entries if entry is not None]

    def replication(self) -> list[Replication]:
        """What becomes of packets to groups, in the order of the groups."""
        return self._multicast.entries()

    def designations(self) -> list[Designation]:
        """What this xTR forwards to groups for, or claims to, in the order of the groups."""
        return self._multicast.designations()

    def subscriptions(self) -> list[Subscription]:
        """The confirmed subscriptions, in the order of their EIDs."""
        return sorted(self._subscriptions.active(), key=lambda found: (found.eid, found.link))

    def pending(self) -> list[PendingView]:
        """Requests and registrations without an answer."""
        requests = [
            PendingView("request", *request.key, self._resolver.due(request), len(request.packets))
            for request in self._resolver.all()
        ]
        registrations = [
            PendingView("registration", link, eid, self._etr.due(eid, link)) for eid, link in self._etr.unanswered()
        ]
        registrations += [
            PendingView("registration", key.link, key.group, due) for key, due in self._multicast.claims.unanswered()
        ]
        waiting = [
            PendingView("designation", one.link, one.group, None) for one in self.designations() if not one.granted
        ]
        return requests + registrations + waiting

    def _watched(self, outputs: list[Output], now: float) -> list[Output]:
        """What follows from a change of the tables for groups and for probing."""
        return self._kept(self._prober.watch([*outputs, *self._multicast.review(now)], now))

    def _kept(self, outputs: list[Output]) -> list[Output]:
        """Make the nonces durable that these outputs use, and only then hand them out."""
        return [*outputs, *self._nonces.commit()]

    def _with_reachability(self, entry: MapCacheEntry) -> MapCacheEntry:
        if entry.kind is not Kind.FORWARD:
            return entry
        marked = tuple(replace(locator, reachable=self._prober.reachable(locator.rloc)) for locator in entry.locators)
        return entry if marked == entry.locators else replace(entry, locators=marked)

    def _follow(self, group: Eid, now: float, *, lasting: bool) -> list[Output]:
        """Subscribe to a group at the mapping system of the PoD, unless the configuration does already."""
        link = self._multicast_link()
        if any(eid.covers(group) for eid in link.subscribe) or self._subscriptions.covering(link.name, group):
            return []
        return list(self._resolver.ask(link, group, now, lasting=lasting))

    def _unfollow(self, group: Eid, now: float) -> list[Output]:
        """Take the subscription to a group back when neither receivers nor sources are left."""
        link = self._multicast_link()
        if group in self._sends_to or self._multicast.joined(group) or group in link.subscribe:
            return []
        held = self._subscriptions.get(link.name, group)
        if held is None or held.lost:
            request = self._resolver.get(link.name, group)
            if request is not None and not request.ends:
                self._resolver.finish(request, now)
            return []
        return list(self._resolver.unsubscribe(link, group, now))

    def _multicast_link(self) -> MappingSystemLink:
        name = self.config.multicast.pod_link
        return self._links.named(name) if name else self.config.links[0]

    def _renew(self, subscription: Subscription, now: float) -> list[Output]:
        link = self._links.named(subscription.link)
        return list(self._resolver.ask(link, subscription.eid, now, lasting=True))

    def _fail_over(self, now: float) -> list[Output]:
        """Ask other nodes than those that are silent, also to follow what was followed there alone (SO-MS-4)."""
        silent = self._resolver.silent | self._etr.silent
        self._resolver.silent.clear()
        outputs: list[Output] = []
        for name in sorted(silent):
            other = self._links.fail_over(name)
            if other is None:
                continue
            outputs.append(Event("mapping-system-failed-over", {"link": name, "to": other.name}))
            outputs += self._resolver.hand_over(name, other, now)
            for held in self._subscriptions.active():
                if held.link == name and not held.lasting:
                    outputs += self._resolver.ask(other, held.eid, now)
        for eid in self._etr.leave_all() if self._etr.silent else ():
            outputs += self._tables.sync_database(eid)
        return outputs

    def _sweep(self, subscription: Subscription, now: float) -> list[Output]:
        """Remove what the renewed subscription did not bring again: its withdrawal was missed.

        If the confirmation may have been a publication, nothing is proved: then ask once more first.
        """
        if not self._links.named(subscription.link).profile.ordered_nonces:
            return []  # nonces prove nothing
        missing: list[Eid] = []
        for eid in self._tables.learned_from(subscription.link, subscription.eid):
            learned = self._tables.cache.learned(eid, subscription.link)
            covering = self._subscriptions.covering(subscription.link, eid)
            if learned is not None and covering is subscription and learned.nonce < subscription.confirmed:
                missing.append(eid)
        outputs: list[Output] = []
        lists = self._multicast.lists
        missing += [
            group
            for group, nonce in lists.published(subscription.link, subscription.eid)
            if self._subscriptions.covering(subscription.link, group) is subscription and nonce < subscription.confirmed
        ]
        if missing and not subscription.certain:
            link = self._links.named(subscription.link)
            return list(self._resolver.ask(link, subscription.eid, now, lasting=True, sure=True))
        for eid in missing:
            outputs.append(Event("map-cache-entry-swept", {"eid": str(eid), "link": subscription.link}))
            if is_group(eid):
                lists.forget(subscription.link, eid)
            else:
                outputs += self._tables.forget(eid, subscription.link)
        self._ledger.settle(subscription.link, subscription.eid, subscription.base)
        return outputs

    def _expired(self, eid: Eid, link: str, now: float) -> list[Output]:
        """A mapping has run out: a subscription that was for it alone could not be renewed."""
        outputs: list[Output] = []
        held = self._subscriptions.get(link, eid)
        if held is not None and not held.lost and not held.lasting:
            self._subscriptions.lose(held)
            request = self._resolver.get(link, eid)
            if request is not None:
                self._resolver.finish(request, now)
            outputs.append(Event("subscription-lost", {"eid": str(eid), "link": link, "reason": "expired"}))
        return outputs
