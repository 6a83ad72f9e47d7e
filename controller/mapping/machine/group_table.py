"""The (S,G) entries of a table: which of them cover one, and which lie inside it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TypeAlias

from controller.lisp import Eid, IPAddress, MulticastInfo

Lengths: TypeAlias = tuple[int, int]
"""Prefix lengths of group and source."""
Pair: TypeAlias = tuple[int, IPAddress, IPAddress]
"""Instance-ID, group and source."""


class GroupTable:
    """Multicast EIDs by the lengths of their prefixes.

    Of several entries around an (S,G) the one with the longer group prefix is more specific, and of those the
    one with the longer source prefix: (S,G) goes before (*,G), and that before a range of groups.
    """

    def __init__(self) -> None:
        self._by_lengths: dict[Lengths, dict[Pair, Eid]] = {}
        self._order: list[Lengths] = []

    def add(self, eid: Eid, target: MulticastInfo) -> None:
        """Insert an EID that is not there."""
        lengths = (target.group_mask_len, target.source_mask_len)
        if lengths not in self._by_lengths:
            self._by_lengths[lengths] = {}
            self._order = sorted(self._by_lengths, reverse=True)
        self._by_lengths[lengths][_pair(eid.iid, target, lengths)] = eid

    def discard(self, eid: Eid, target: MulticastInfo) -> None:
        """Remove an EID that is there."""
        lengths = (target.group_mask_len, target.source_mask_len)
        del self._by_lengths[lengths][_pair(eid.iid, target, lengths)]
        if not self._by_lengths[lengths]:
            del self._by_lengths[lengths]
            self._order.remove(lengths)

    def covering(self, iid: int, target: MulticastInfo) -> Iterator[Eid]:
        """Every entry that covers `target`, the most specific first."""
        for lengths in list(self._order):
            if lengths[0] <= target.group_mask_len and lengths[1] <= target.source_mask_len:
                found = self._by_lengths[lengths].get(_pair(iid, target, lengths))
                if found is not None:
                    yield found

    def inside(self, eid: Eid) -> list[Eid]:
        """Every entry that `eid` covers, in ascending order. Looks at all entries."""
        return sorted(found for table in self._by_lengths.values() for found in table.values() if eid.covers(found))


def _pair(iid: int, target: MulticastInfo, lengths: Lengths) -> Pair:
    return (
        iid,
        _cut(target.group, target.group_mask_len, lengths[0]),
        _cut(target.source, target.source_mask_len, lengths[1]),
    )


def _cut(address: object, have: int, want: int) -> IPAddress:
    assert isinstance(address, (IPv4Address, IPv6Address))  # an Eid holds nothing else
    return address if have == want else ip_network((address, want), strict=False).network_address
