"""Extranets: mappings of one VPN that another may use, by policy (draft-ietf-lisp-vpn; wire reference 8.2).

What is registered in the provider's instance-ID shows in the subscriber's too, under the same address. Its locators
name the provider's instance-ID (an Instance-ID LCAF around the RLOC), with which an ITR has to encapsulate. Without a
policy nothing of one instance-ID is ever seen in another; for the way back a second policy is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from controller.lisp import Address, AfiList, Eid, InstanceId, IPAddress, Prefix
from controller.lisp.records import sort_locators
from controller.mapping.content import Content
from controller.mapping.machine import check_iid, fail


@dataclass(frozen=True, slots=True)
class Extranet:
    """What is registered in `provider` (instance-ID) inside `prefixes` can be used in `subscriber`."""

    provider: int
    subscriber: int
    prefixes: tuple[Prefix, ...]

    def imported(self, eid: Eid) -> Eid | None:
        """How a provider's EID is called by the subscriber; None if it is not part of the extranet."""
        if eid.iid != self.provider:
            return None
        covered = any(Eid(self.provider, prefix).covers(eid) for prefix in self.prefixes)
        return Eid(self.subscriber, eid.target) if covered else None


class Extranets:
    """All policies of a Map-Server."""

    def __init__(self, policies: Iterable[Extranet]) -> None:
        self._policies = tuple(policies)

    def of(self, eid: Eid) -> Iterator[Eid]:
        """The EIDs by which a registered one is known in other instance-IDs."""
        for policy in self._policies:
            imported = policy.imported(eid)
            if imported is not None:
                yield imported

    def prefixes(self) -> Iterator[tuple[Eid, Eid]]:
        """Every prefix that is made available: as the provider and as the subscriber knows it."""
        for policy in self._policies:
            for prefix in policy.prefixes:
                yield Eid(policy.provider, prefix), Eid(policy.subscriber, prefix)


def imported_content(content: Content, provider: int) -> Content:
    """What the instance-ID `provider` says of an EID, as a subscriber is told."""
    locators = (replace(one, address=_inside(one.address, provider)) for one in content.locators)
    return Content(content.ttl, sort_locators(locators))


def check_extranets(policies: Iterable[Extranet], owned: Iterable[Eid]) -> None:
    """Raises ConfigError for a policy that reaches nowhere, or into what the subscriber has of its own."""
    owned = tuple(owned)
    taken: list[Eid] = []
    for index, policy in enumerate(policies):
        place = f"extranets[{index}]"
        check_iid(f"{place}.provider", policy.provider)
        check_iid(f"{place}.subscriber", policy.subscriber)
        if policy.provider == policy.subscriber:
            fail(f"{place}.subscriber", policy.subscriber, "is the provider")
        if not policy.prefixes:
            fail(f"{place}.prefixes", "()", "an extranet needs a prefix")
        for prefix in policy.prefixes:
            theirs, ours = Eid(policy.provider, prefix), Eid(policy.subscriber, prefix)
            if not any(one.covers(theirs) or theirs.covers(one) for one in owned):
                fail(f"{place}.prefixes", theirs, "is registered by no site")
            for one in (*owned, *taken):
                if one.covers(ours) or ours.covers(one):
                    fail(f"{place}.prefixes", ours, f"overlaps {one}")
            taken.append(ours)


def _inside(address: Address, iid: int) -> Address:
    """A locator that is reached with an instance-ID; what stands beside its RLOC stays beside it."""
    if isinstance(address, AfiList):
        return AfiList(tuple(InstanceId(iid, one) if isinstance(one, IPAddress) else one for one in address.elements))
    return InstanceId(iid, address)
