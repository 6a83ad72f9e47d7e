"""Who has to hear of a changed mapping without having subscribed to it, and which holes change with it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from controller.lisp.replication import source_of
from controller.mapping.answers import Answers
from controller.mapping.content import Content
from controller.mapping.registry import MappingChange
from controller.mapping.state import MapServerState
from controller.mapping.store import Subscription, XtrKey


class Audience:
    """Finds the xTRs that a change concerns."""

    def __init__(self, state: MapServerState, answers: Answers) -> None:
        self._state = state
        self._answers = answers
        # What is said of many EIDs often changes in the same way.
        self._members = lru_cache(maxsize=1 << 12)(self._members_of)

    def members(self, change: MappingChange) -> frozenset[XtrKey]:
        """Who belongs to the RLOC-set, before or now, and the pxTRs of their sites (SO-MS-5)."""
        members = self._members(change.before, change.after, change.xtrs)
        source = source_of(change.eid)
        if source is not None:  # whoever registered the source has the packets to replicate (RFC 8378 §5.2)
            match = self._answers.match(source)
            members |= self._served(match[1].xtrs) if match is not None else set()
        return members

    def _members_of(self, before: Content | None, after: Content | None, xtrs: frozenset[XtrKey]) -> frozenset[XtrKey]:
        members = set(xtrs)
        for content in (before, after):
            for locator in content.locators if content else ():
                owner = self._state.sites.xtr_at(locator.rloc) if locator.rloc else None
                if owner is not None:
                    members.add(owner)
        for site_id in {xtr.site_id for xtr in xtrs}:
            members |= self._state.sites.borders(site_id)
        return self._served(members)

    def _served(self, xtrs: Iterable[XtrKey]) -> frozenset[XtrKey]:
        """Those of `xtrs` that know what to do with a notification."""
        return frozenset(xtr for xtr in xtrs if self._state.sites.profile(xtr.site_id).subscriptions)

    def holes(self, change: MappingChange) -> list[Subscription]:
        """Whose range without registrations has another answer now: the pETR set changed (choice C17)."""
        name, _ = self._state.sites.petr_eids(change.eid.iid, 4)
        shadowed = change.eid != name and self._state.registry.view(name) is not None
        found: list[Subscription] = []
        for subscription in self._state.subscriptions.holes(change.eid.iid):
            target = subscription.eid.target
            assert isinstance(target, (IPv4Network, IPv6Network))  # names and MAC addresses have no holes
            _, default = self._state.sites.petr_eids(change.eid.iid, target.version)
            if change.eid == name or (change.eid == default and not shadowed):
                found.append(subscription)
        return found
