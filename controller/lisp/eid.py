"""The extended EID: instance-ID and endpoint identifier together, the key of the control plane's tables."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, total_ordering
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias, TypeVar

from controller.lisp.address import NO_ADDRESS, DistinguishedName, IPAddress, MacAddress, NoAddress
from controller.lisp.constants import MAX_INSTANCE_ID, MAX_NAME_LENGTH
from controller.lisp.errors import DecodeError, EncodeError
from controller.lisp.lcaf import (
    Address,
    AfiList,
    InstanceId,
    MulticastInfo,
    NullLcaf,
    UnknownLcaf,
    VendorSpecific,
)

Prefix: TypeAlias = IPv4Network | IPv6Network
EidTarget: TypeAlias = Prefix | DistinguishedName | MacAddress | MulticastInfo | NoAddress

P = TypeVar("P", IPv4Network, IPv6Network)

_MAC_BITS: Final = 48
# IID mask-len of the range that is one instance-ID (RFC 8060 §4.1).
_ONE_INSTANCE: Final = 32
_NAME_TOO_LONG: Final = f"a name used as EID has at most {MAX_NAME_LENGTH} characters"
# What may stand in an AFI list beside the EID without being one.
_NOT_AN_EID: Final = (NullLcaf, UnknownLcaf, VendorSpecific)


@total_ordering
@dataclass(frozen=True, slots=True)
class Eid:
    """An EID in its instance-ID (RFC 9300 §8: the pair is the lookup key).

    `iid` has 24 bits, 0 is the default instance (choice C12). `target` is an IP prefix, a distinguished
    name of at most 30 characters, a MAC address, or an (S,G) whose own instance-ID is the same; or NO_ADDRESS
    for everything in the instance, as RFC 8060 §4.1 encodes a range of instance-IDs. The order is total: by
    instance-ID, then kind, then value.

    Raises EncodeError for values outside of that.
    """

    iid: int
    target: EidTarget
    # Tables look keys up far more often than keys are made, and the library hashes a prefix in Python code.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.iid <= MAX_INSTANCE_ID:
            raise EncodeError("eid.iid", self.iid, "an instance-ID has 24 bits")
        target = self.target
        if isinstance(target, DistinguishedName) and len(target.name) > MAX_NAME_LENGTH:
            raise EncodeError("eid.target", target, _NAME_TOO_LONG)
        if isinstance(target, MulticastInfo):
            if target.iid != self.iid:
                raise EncodeError("eid.target.iid", target.iid, f"differs from the instance-ID {self.iid}")
            target = _canonical_multicast(target)
            object.__setattr__(self, "target", target)
        elif not isinstance(target, (IPv4Network, IPv6Network, DistinguishedName, MacAddress, NoAddress)):
            raise EncodeError("eid.target", target, "is no prefix, name, MAC address or multicast entry")
        object.__setattr__(self, "_hash", hash((self.iid, target)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Eid], tuple[int, EidTarget]]:
        return Eid, (self.iid, self.target)  # not the hash: another process hashes strings differently

    @classmethod
    def of(cls, iid: int, target: EidTarget | IPAddress | str) -> Eid:
        """Make an EID; an IP address becomes its host prefix, a string is read as IP address or prefix.

        Raises EncodeError for a string that is neither or a prefix with host bits (a name has to be a
        `DistinguishedName`, so that a mistyped address does not become one).
        """
        if isinstance(target, (str, IPv4Address, IPv6Address)):
            try:
                return cls(iid, ip_network(target))
            except ValueError as error:
                raise EncodeError("eid.target", target, str(error)) from None
        return cls(iid, target)

    @classmethod
    def whole(cls, iid: int) -> Eid:
        """Everything in an instance-ID: what a subscription to all of it names."""
        return cls(iid, NO_ADDRESS)

    @classmethod
    def from_wire(cls, address: Address, mask_len: int) -> Eid:
        """Make the key of a record with this EID-prefix and mask-len (8 bits).

        No instance-ID LCAF means instance-ID 0. Host bits are cleared. In an AFI list the first element
        that can be an EID counts. A name has the mask-len of its whole length (RFC 9735 §4), or 0, which
        other implementations send.

        Raises DecodeError, without an offset, for what cannot be a lookup key.
        """
        iid = 0
        if isinstance(address, InstanceId):
            iid, whole, address = address.iid, address.mask_len == _ONE_INSTANCE, address.address
            if iid > MAX_INSTANCE_ID:
                raise DecodeError("iid", iid, None, "this fabric uses instance-IDs of 24 bits only")
            if isinstance(address, NoAddress) and whole:
                return cls.whole(iid)
        if isinstance(address, IPv4Address):
            return _ipv4_eid(iid, int(address), mask_len)
        if isinstance(address, IPv6Address):
            return _ipv6_eid(iid, int(address), mask_len)
        if isinstance(address, DistinguishedName):
            return _named_eid(iid, address, mask_len)
        if isinstance(address, MacAddress):
            if mask_len != _MAC_BITS:
                raise DecodeError("mask-len", mask_len, None, "a MAC address has 48 bits")
            return cls(iid, address)
        if isinstance(address, AfiList):
            for element in address.elements:
                if not isinstance(element, _NOT_AN_EID):
                    return cls.from_wire(element if iid == 0 else InstanceId(iid, element), mask_len)
        if isinstance(address, MulticastInfo) and iid == 0:
            if address.iid > MAX_INSTANCE_ID:
                raise DecodeError("iid", address.iid, None, "this fabric uses instance-IDs of 24 bits only")
            try:
                return cls(address.iid, address)
            except EncodeError as error:
                raise DecodeError("eid", error.value, None, error.reason) from None
        if isinstance(address, UnknownLcaf):
            raise DecodeError("eid", address.type, None, "EID of unknown LCAF type (RFC 9306 §3)")
        raise DecodeError("eid", address, None, "is no address that can be looked up")

    def to_wire(self) -> tuple[Address, int]:
        """Return EID-prefix and mask-len for a record; wrapped in an instance-ID LCAF unless the instance is 0.

        An (S,G) carries its instance-ID itself, and the mask-len of its record is that of the source.
        """
        target = self.target
        if isinstance(target, MulticastInfo):
            return target, target.source_mask_len
        if isinstance(target, NoAddress):
            return InstanceId(self.iid, target, _ONE_INSTANCE), 0
        address = target.network_address if isinstance(target, (IPv4Network, IPv6Network)) else target
        return (InstanceId(self.iid, address) if self.iid else address), self.mask_len

    @property
    def mask_len(self) -> int:
        """The mask-len that this EID has in a record, in bits; for a name with its NUL."""
        target = self.target
        if isinstance(target, (IPv4Network, IPv6Network)):
            return target.prefixlen
        if isinstance(target, DistinguishedName):
            return target.mask_len
        if isinstance(target, NoAddress):
            return 0
        return _MAC_BITS if isinstance(target, MacAddress) else target.source_mask_len

    @property
    def is_host(self) -> bool:
        """Whether it names one endpoint (or one (S,G)) rather than a range of them."""
        target = self.target
        if isinstance(target, (IPv4Network, IPv6Network)):
            return target.prefixlen == target.max_prefixlen
        if isinstance(target, MulticastInfo):
            return _part_is_host(target.source, target.source_mask_len) and _part_is_host(
                target.group, target.group_mask_len
            )
        return not isinstance(target, NoAddress)

    def covers(self, other: Eid) -> bool:
        """Whether every endpoint of `other` is one of this EID too: same instance-ID, and containing prefix.

        Names match only themselves (choice C16: "AccID-7" must not answer for "AccID-70"). An (S,G) covers
        another when source and group prefix both do.
        """
        if self.iid != other.iid:
            return False
        mine, theirs = self.target, other.target
        if isinstance(mine, NoAddress):
            return True
        if isinstance(mine, (IPv4Network, IPv6Network)) and isinstance(theirs, (IPv4Network, IPv6Network)):
            return _contains(mine.network_address, mine.prefixlen, theirs.network_address, theirs.prefixlen)
        if isinstance(mine, MulticastInfo) and isinstance(theirs, MulticastInfo):
            return _contains(mine.source, mine.source_mask_len, theirs.source, theirs.source_mask_len) and _contains(
                mine.group, mine.group_mask_len, theirs.group, theirs.group_mask_len
            )
        return mine == theirs

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Eid):
            return NotImplemented
        return _order(self) < _order(other)

    def __str__(self) -> str:
        target = self.target
        if isinstance(target, MulticastInfo):
            return f"[{self.iid}] ({target.source}/{target.source_mask_len}, {target.group}/{target.group_mask_len})"
        return f"[{self.iid}] {'*' if isinstance(target, NoAddress) else target}"


# A registration is refreshed every minute with the same EIDs, and making a prefix object is slow: the most
# recent ones are kept. Sharing them is safe, they cannot change.
@lru_cache(maxsize=1 << 15)
def _ipv4_eid(iid: int, address: int, mask_len: int) -> Eid:
    if mask_len > 32:
        raise DecodeError("mask-len", mask_len, None, "an IPv4 prefix has at most 32 bits")
    return Eid(_shared_iid(iid), _without_hosts(IPv4Network((address, mask_len), strict=False)))


@lru_cache(maxsize=1 << 15)
def _ipv6_eid(iid: int, address: int, mask_len: int) -> Eid:
    if mask_len > 128:
        raise DecodeError("mask-len", mask_len, None, "an IPv6 prefix has at most 128 bits")
    return Eid(_shared_iid(iid), _without_hosts(IPv6Network((address, mask_len), strict=False)))


@lru_cache(maxsize=1 << 15)
def _named_eid(iid: int, name: DistinguishedName, mask_len: int) -> Eid:
    if len(name.name) > MAX_NAME_LENGTH:
        raise DecodeError("eid", name, None, _NAME_TOO_LONG)
    if mask_len not in (name.mask_len, 0):
        raise DecodeError("mask-len", mask_len, None, f"must cover the whole name, {name.mask_len} bits (RFC 9735 §4)")
    return Eid(_shared_iid(iid), name)


@lru_cache(maxsize=1 << 12)
def _shared_iid(iid: int) -> int:
    """One object for the instance-ID of many EIDs."""
    return iid


def _without_hosts(prefix: P) -> P:
    """The same prefix without the function that the library hangs on each host prefix: more than half of its memory."""
    with suppress(AttributeError):
        delattr(prefix, "hosts")
    return prefix


def _canonical_multicast(entry: MulticastInfo) -> MulticastInfo:
    source = _canonical("source", entry.source, entry.source_mask_len)
    group = _canonical("group", entry.group, entry.group_mask_len)
    return MulticastInfo(entry.iid, source, entry.source_mask_len, group, entry.group_mask_len)


def _canonical(part: str, address: Address, mask_len: int) -> IPAddress:
    if not isinstance(address, (IPv4Address, IPv6Address)):
        raise EncodeError(f"eid.target.{part}", address, "must be an IP address to be looked up")
    if not 0 <= mask_len <= address.max_prefixlen:
        raise EncodeError(f"eid.target.{part}-mask-len", mask_len, f"must be 0 to {address.max_prefixlen}")
    return ip_network((address, mask_len), strict=False).network_address


def _part_is_host(address: Address, mask_len: int) -> bool:
    return isinstance(address, (IPv4Address, IPv6Address)) and mask_len == address.max_prefixlen


def _contains(outer: Address, outer_len: int, inner: Address, inner_len: int) -> bool:
    """Prefix containment; a fraction of the cost of the library's subnet_of()."""
    if isinstance(outer, IPv4Address) and isinstance(inner, IPv4Address):
        bits = 32
    elif isinstance(outer, IPv6Address) and isinstance(inner, IPv6Address):
        bits = 128
    else:
        return False
    return outer_len <= inner_len and (int(outer) ^ int(inner)) >> (bits - outer_len) == 0


def _order(eid: Eid) -> tuple[int, int, tuple[int | str | bytes, ...]]:
    """Sort key: values are compared only within one kind, whose tuples are alike."""
    target = eid.target
    if isinstance(target, NoAddress):
        return eid.iid, -1, ()  # what covers others comes before them
    if isinstance(target, IPv4Network):
        return eid.iid, 0, (int(target.network_address), target.prefixlen)
    if isinstance(target, IPv6Network):
        return eid.iid, 1, (int(target.network_address), target.prefixlen)
    if isinstance(target, DistinguishedName):
        return eid.iid, 2, (target.name,)
    if isinstance(target, MacAddress):
        return eid.iid, 3, (target.octets,)
    source, group = target.source, target.group
    assert isinstance(source, (IPv4Address, IPv6Address))  # the constructor admits nothing else
    assert isinstance(group, (IPv4Address, IPv6Address))
    g_part = (group.version, int(group), target.group_mask_len)
    s_part = (source.version, int(source), target.source_mask_len)
    return eid.iid, 4, g_part + s_part
