"""A table keyed by EID: exact and longest match, everything inside a prefix, and the room around an address."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Generic, TypeAlias, TypeVar

from controller.lisp import Eid, MulticastInfo, NoAddress, Prefix
from controller.mapping.machine.group_table import GroupTable
from controller.mapping.machine.sorted_numbers import SortedNumbers
from controller.mapping.machine.wide_dict import WideDict

V = TypeVar("V")
Family: TypeAlias = tuple[int, int]
"""Instance-ID and IP version: prefixes of different families have nothing to do with each other."""

_LENGTH_BITS: Final = 8


@dataclass(slots=True)
class _Prefixes:
    """The prefixes of one family, each by a number: its network, and the prefix length in the lowest 8 bits.

    A longest match costs one look-up in `eids` per prefix length in use, of which `counts` has how many there are.
    `order` has all but the default route: whatever is inside a prefix is one run of it, and the nearest relatives of
    an address stand next to it.
    """

    eids: WideDict[int, Eid] = field(default_factory=WideDict)
    counts: dict[int, int] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    order: SortedNumbers = field(default_factory=SortedNumbers)

    def add(self, eid: Eid, network: int, length: int) -> None:
        number = network << _LENGTH_BITS | length
        self.eids[number] = eid
        if length not in self.counts:
            insort(self.lengths, length)
        self.counts[length] = self.counts.get(length, 0) + 1
        if length:
            self.order.add(number)

    def discard(self, network: int, length: int) -> None:
        number = network << _LENGTH_BITS | length
        del self.eids[number]
        self.counts[length] -= 1
        if not self.counts[length]:
            del self.counts[length]
            self.lengths.remove(length)
        if length:
            self.order.remove(number)


class EidTable(Generic[V]):
    """Values by EID. Prefixes and (S,G) match by longest prefix within their instance-ID, the rest exactly.

    An entry for a whole instance-ID is the shortest prefix of everything in it.
    """

    def __init__(self) -> None:
        self._values: WideDict[Eid, V] = WideDict()
        self._whole: dict[int, Eid] = {}
        self._families: dict[Family, _Prefixes] = {}
        self._groups = GroupTable()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Eid]:
        return iter(self._values)

    def __contains__(self, eid: Eid) -> bool:
        return eid in self._values

    def __getitem__(self, eid: Eid) -> V:
        return self._values[eid]

    def get(self, eid: Eid) -> V | None:
        """The value at exactly this EID; None if there is none."""
        return self._values.get(eid)

    def items(self) -> Iterator[tuple[Eid, V]]:
        """All entries, in the order in which they came, unless there are very many."""
        return self._values.items()

    def __setitem__(self, eid: Eid, value: V) -> None:
        new = eid not in self._values
        self._values[eid] = value
        if new and isinstance(eid.target, MulticastInfo):
            self._groups.add(eid, eid.target)
        if isinstance(eid.target, NoAddress):
            self._whole[eid.iid] = eid
        if not new or not isinstance(eid.target, (IPv4Network, IPv6Network)):
            return
        family = _family(eid.iid, eid.target)
        if family not in self._families:
            self._families[family] = _Prefixes()
        self._families[family].add(eid, *_bits(eid.target))

    def pop(self, eid: Eid) -> V | None:
        """Remove the entry at exactly this EID and return its value; None if there was none."""
        if eid not in self._values:
            return None
        value = self._values.pop(eid)
        if isinstance(eid.target, MulticastInfo):
            self._groups.discard(eid, eid.target)
        if isinstance(eid.target, NoAddress):
            del self._whole[eid.iid]
        if isinstance(eid.target, (IPv4Network, IPv6Network)):
            self._families[_family(eid.iid, eid.target)].discard(*_bits(eid.target))
        return value

    def covering(self, eid: Eid) -> Iterator[tuple[Eid, V]]:
        """Every entry that covers `eid`, itself included, the longest prefix first."""
        target = eid.target
        if isinstance(target, MulticastInfo):
            yield from ((group, self._values[group]) for group in self._groups.covering(eid.iid, target))
        elif not isinstance(target, (IPv4Network, IPv6Network)):
            if eid in self._values:
                yield eid, self._values[eid]
        elif (prefixes := self._families.get(_family(eid.iid, target))) is not None:
            network, limit = _bits(target)
            width = target.max_prefixlen
            for length in reversed(prefixes.lengths[: bisect_right(prefixes.lengths, limit)]):
                at = network >> (width - length) << (width - length)
                found = prefixes.eids.get(at << _LENGTH_BITS | length)
                if found is not None:
                    yield found, self._values[found]
        whole = self._whole.get(eid.iid)
        if whole is not None and whole is not eid and whole != eid:
            yield whole, self._values[whole]

    def longest_match(self, eid: Eid) -> tuple[Eid, V] | None:
        """The most specific entry that covers `eid`."""
        return next(self.covering(eid), None)

    def inside(self, eid: Eid) -> Iterator[tuple[Eid, V]]:
        """Every entry that `eid` covers, itself included, in ascending order; a covering prefix comes first."""
        target = eid.target
        if isinstance(target, MulticastInfo):
            yield from ((group, self._values[group]) for group in self._groups.inside(eid))
            return
        if eid in self._values:
            yield eid, self._values[eid]
        if isinstance(target, NoAddress):
            for found in sorted(one for one in self._values if one.iid == eid.iid and one != eid):
                yield found, self._values[found]
        if not isinstance(target, (IPv4Network, IPv6Network)) or target.prefixlen == target.max_prefixlen:
            return
        prefixes = self._families.get(_family(eid.iid, target))
        if prefixes is None:
            return
        network, length = _bits(target)
        last = network | (1 << target.max_prefixlen - length) - 1
        first = network << _LENGTH_BITS | length
        for number in tuple(prefixes.order.between(first, last << _LENGTH_BITS | target.max_prefixlen)):
            found = prefixes.eids[number]
            yield found, self._values[found]

    def shared_bits(self, eid: Eid) -> int:
        """The largest number of leading bits that the prefix `eid` has in common with an entry.

        An entry of length 0 does not count; -1 if there is no other of this family.
        """
        target = eid.target
        if not isinstance(target, (IPv4Network, IPv6Network)):
            return -1
        prefixes = self._families.get(_family(eid.iid, target))
        if prefixes is None:
            return -1
        network, limit = _bits(target)
        width = target.max_prefixlen
        best = -1
        for number in prefixes.order.around(network << _LENGTH_BITS | width):
            at, length = number >> _LENGTH_BITS, number & (1 << _LENGTH_BITS) - 1
            equal = width - (network ^ at).bit_length()
            best = max(best, min(equal, length, limit))
        return best


def _family(iid: int, target: Prefix) -> Family:
    return iid, target.version


def _bits(target: Prefix) -> tuple[int, int]:
    return int(target.network_address), target.prefixlen
