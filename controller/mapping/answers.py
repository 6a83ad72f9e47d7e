"""What the mapping system knows about an EID: the mapping, the way out, or that there is nothing.

RFC 9301 §8.3 as the draft changes it (choices C8 and C17).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from ipaddress import IPv4Network, IPv6Network, ip_network

from controller.lisp import Action, Eid, EidRecord, is_group
from controller.mapping.config import MapServerConfig
from controller.mapping.registry import Mapping, Registry
from controller.mapping.sites import SiteDirectory


class AnswerKind(Enum):
    """Where an answer comes from."""

    MAPPING = auto()
    """A registered EID-prefix covers the EID."""
    HOLE = auto()
    """Nothing is or may be registered around the EID, and there is a pETR for that."""
    OUTSIDE = auto()
    """Nothing is or may be registered around the EID, and there is no pETR either."""
    NEGATIVE = auto()
    """No way to the EID."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: the EID-prefix it is valid for, and its record."""

    kind: AnswerKind
    eid: Eid
    record: EidRecord


class Answers:
    """Looks EIDs up."""

    def __init__(self, config: MapServerConfig, sites: SiteDirectory, registry: Registry) -> None:
        self._policy = config.negative
        self._sites = sites
        self._registry = registry

    def resolve(self, eid: Eid) -> Answer:
        """The best answer for `eid`, without the more-specifics that may have to go with it."""
        match = self.match(eid)
        if match is not None:
            return Answer(AnswerKind.MAPPING, match[0], match[1].view)
        if not isinstance(eid.target, (IPv4Network, IPv6Network)) or self._sites.prefix_of(eid) is not None:
            return Answer(AnswerKind.NEGATIVE, eid, self._unregistered(eid))
        length = max(self._sites.shared_bits(eid), self._registry.table.shared_bits(eid)) + 1
        if length > eid.target.prefixlen:  # registered or configured prefixes lie inside
            return Answer(AnswerKind.NEGATIVE, eid, self.placeholder(eid))
        hole = shortened(eid, length)
        kind = AnswerKind.OUTSIDE if self.petr(eid.iid, eid.target.version) is None else AnswerKind.HOLE
        return Answer(kind, hole, self.hole_record(hole))

    def match(self, eid: Eid) -> tuple[Eid, Mapping] | None:
        """The most specific mapping that answers for `eid`.

        The default prefix of pETRs answers only for itself. Where every host has a route of its own, a
        mapping of the whole prefix does not answer for a host in it.
        """
        prefix = self._sites.prefix_of(eid)
        for found, mapping in self._registry.table.covering(eid):
            if found == eid:
                return found, mapping
            if self._sites.is_petr_default(found):
                continue
            if prefix is not None and prefix.host_routes and eid.is_host and found.covers(prefix.eid):
                return None
            return found, mapping
        return None

    def more_specifics(self, eid: Eid) -> list[EidRecord]:
        """The records of all mappings inside `eid`, but not its own. Where the pETRs are is no part of any range."""
        inside = self._registry.table.inside(eid)
        return [mapping.view for found, mapping in inside if found != eid and not self._sites.is_petr(found)]

    def narrowed(self, eid: Eid, answer: Answer) -> EidRecord:
        """The mapping of `answer` for the widest prefix around `eid` in which there are no more-specifics.

        That is for a mapping whose more-specifics are too many for one message. If there are some inside
        `eid` itself, the record tells the requester to ask again for each of them.
        """
        if is_group(eid):
            return answer.record
        length = self._registry.table.shared_bits(eid) + 1
        if length > eid.mask_len or not isinstance(eid.target, (IPv4Network, IPv6Network)):
            return self.placeholder(eid)
        record = answer.record
        return EidRecord.for_eid(shortened(eid, length), record.ttl, record.locators, record.action)

    def petr(self, iid: int, version: int) -> EidRecord | None:
        """The mapping of the gateway for unknown destinations of an instance-ID."""
        name, default = self._sites.petr_eids(iid, version)
        if not self._sites.is_petr(name):
            return None
        return self._registry.view(name) or self._registry.view(default)

    def hole_record(self, hole: Eid) -> EidRecord:
        """The record for a range without registrations: to the pETRs if there are any, else negative."""
        petr = self.petr(hole.iid, hole.target.version) if isinstance(hole.target, (IPv4Network, IPv6Network)) else None
        if petr is not None:
            return EidRecord.for_eid(hole, petr.ttl, petr.locators)
        return EidRecord.for_eid(hole, self._policy.outside_ttl, action=self._policy.outside_action)

    def placeholder(self, eid: Eid) -> EidRecord:
        """The record of a range without a mapping of its own: every match asks for what is inside.

        Groups that nobody has joined have no receivers; there is nothing to ask for.
        """
        action = Action.DROP if is_group(eid) else Action.SEND_MAP_REQUEST
        return EidRecord.for_eid(eid, self._policy.placeholder_ttl, action=action)

    def temporary(self, eid: Eid) -> EidRecord:
        """The record for an EID that is followed although nobody has registered it (choice C8b)."""
        return replace(self._unregistered(eid), ttl=self._policy.temporary_ttl)

    def _unregistered(self, eid: Eid) -> EidRecord:
        # Dropping a whole range of a PoD would cut off hosts that register later (choice C8).
        definite = eid.is_host or is_group(eid)
        action = self._policy.unregistered_action if definite else Action.SEND_MAP_REQUEST
        return EidRecord.for_eid(eid, self._policy.unregistered_ttl, action=action)


def shortened(eid: Eid, length: int) -> Eid:
    """The prefix of `length` bits around an IP EID."""
    assert isinstance(eid.target, (IPv4Network, IPv6Network))
    return Eid(eid.iid, ip_network((eid.target.network_address, length), strict=False))
