"""LISP Canonical Address Formats as values: RFC 8060, and the vendor LCAF of RFC 9306.

Every class is one LCAF type. Widths in the docstrings are those of the wire; a value that does not fit is
refused when it is encoded. How they are laid out is in `address_encode` and `address_decode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from controller.lisp.address import NO_ADDRESS, DistinguishedName, IPAddress, MacAddress, NoAddress


@dataclass(frozen=True, slots=True)
class NullLcaf:
    """Type 0: an LCAF without a body (RFC 8060 §3)."""


@dataclass(frozen=True, slots=True)
class AfiList:
    """Type 1: several things in one address, their order without meaning (RFC 8060 §4.10).

    In an RLOC-record the first IP address among the elements is the RLOC.
    """

    elements: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class InstanceId:
    """Type 2: an address inside instance-ID `iid`, 32 bits (RFC 8060 §4.1).

    `mask_len` is the prefix length of a range of instance-IDs and means something only with no inner
    address. The prefix length of the inner address is the mask-len of the record around it.
    """

    iid: int
    address: Address
    mask_len: int = 0


@dataclass(frozen=True, slots=True)
class AsNumber:
    """Type 3: the address and the 32-bit number of the autonomous system that owns it (RFC 8060 §4.2)."""

    as_number: int
    address: Address


@dataclass(frozen=True, slots=True)
class ApplicationData:
    """Type 4: an address for flows of one application (RFC 8060 §5.1).

    `traffic_class` holds IPv4 TOS, IPv6 traffic class or flow label in 24 bits; `protocol` 8 bits; the
    ports are inclusive ranges of 16 bits each.
    """

    traffic_class: int
    protocol: int
    local_port_low: int
    local_port_high: int
    remote_port_low: int
    remote_port_high: int
    address: Address


@dataclass(frozen=True, slots=True)
class GeoCoordinates:
    """Type 5: where the address is (RFC 8060 §4.3).

    Degrees have 15 bits, minutes and seconds 8; `north` and `east` give the hemisphere. `altitude` is in
    metres, signed 32 bits; None (0x7FFFFFFF on the wire) means not given.
    """

    north: bool
    latitude_degrees: int
    latitude_minutes: int
    latitude_seconds: int
    east: bool
    longitude_degrees: int
    longitude_minutes: int
    longitude_seconds: int
    altitude: int | None
    address: Address


@dataclass(frozen=True, slots=True)
class OpaqueKey:
    """Type 6: a lookup key of equally wide fields (RFC 8060 §5.2).

    `field_count` is 1 to 16; bit n of the 16-bit `wildcard_fields` marks field n, counted from the
    low-order end, as not taking part in the lookup.
    """

    key: bytes
    field_count: int = 1
    wildcard_fields: int = 0


@dataclass(frozen=True, slots=True)
class NatTraversal:
    """Type 7: what a device behind a NAT learned about itself (RFC 8060 §4.4). Ports have 16 bits."""

    ms_port: int
    etr_port: int
    global_etr_rloc: Address
    ms_rloc: Address
    private_etr_rloc: Address
    rtr_rlocs: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class NonceLocator:
    """Type 8: a locator with the 24-bit nonce that its PETR expects (RFC 8060 §5.3)."""

    nonce: int
    address: Address


@dataclass(frozen=True, slots=True)
class MulticastInfo:
    """Type 9: an (S,G) or (*,G) entry in instance-ID `iid`, 32 bits (RFC 8060 §4.5).

    (*,G) has the source prefix 0/0. The instance-ID is part of it, so it is never wrapped in an `InstanceId`.
    """

    iid: int
    source: Address
    source_mask_len: int
    group: Address
    group_mask_len: int


@dataclass(frozen=True, slots=True)
class PathHop:
    """One re-encapsulation hop of an explicit locator path: to look up, may be probed, strict."""

    address: Address
    lookup: bool = False
    probe: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ExplicitLocatorPath:
    """Type 10: the hops to go through, in order (RFC 8060 §4.6)."""

    hops: tuple[PathHop, ...]


@dataclass(frozen=True, slots=True)
class SecurityKey:
    """Type 11: key material for the locator `address` (RFC 8060 §4.7).

    `algorithm` has 8 bits; each of up to 255 `keys` up to 65535 octets; `revoke` withdraws them.
    """

    algorithm: int
    keys: tuple[bytes, ...]
    address: Address
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class SourceDestKey:
    """Type 12: a lookup by source and destination prefix (RFC 8060 §4.8)."""

    source: Address
    source_mask_len: int
    destination: Address
    destination_mask_len: int


@dataclass(frozen=True, slots=True)
class ReplicationEntry:
    """One replica: `level` (8 bits, 0 nearest the ITR; RFC 8378 requires 128) and where it goes."""

    level: int
    address: Address


@dataclass(frozen=True, slots=True)
class ReplicationList:
    """Type 13: where copies of a multicast packet go (RFC 8060 §4.9)."""

    entries: tuple[ReplicationEntry, ...]


@dataclass(frozen=True, slots=True)
class JsonData:
    """Type 14: JSON text, or its binary form, about `address` (RFC 8060 §5.4); not interpreted."""

    json: bytes
    address: Address = NO_ADDRESS
    binary: bool = False


@dataclass(frozen=True, slots=True)
class KeyValue:
    """Type 15: a pair of addresses, one the key of the other (RFC 8060 §5.5)."""

    key: Address
    value: Address


@dataclass(frozen=True, slots=True)
class EncapsulationFormat:
    """Type 16: encapsulations that the locator accepts, 32 bits of `EncapsulationBit` (RFC 8060 §5.6)."""

    formats: int
    address: Address


@dataclass(frozen=True, slots=True)
class VendorSpecific:
    """Type 255: `data` in the format of the organisation `oui`, 24 bits (RFC 9306 §4).

    A receiver that does not know the OUI drops the whole message, so send it only to peers known to share it.
    """

    oui: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UnknownLcaf:
    """An LCAF of a type that this package does not know, kept as it came, to be ignored (RFC 9306 §3)."""

    type: int
    body: bytes
    flags: int = 0
    rsvd2: int = 0


Lcaf: TypeAlias = (
    NullLcaf
    | AfiList
    | InstanceId
    | AsNumber
    | ApplicationData
    | GeoCoordinates
    | OpaqueKey
    | NatTraversal
    | NonceLocator
    | MulticastInfo
    | ExplicitLocatorPath
    | SecurityKey
    | SourceDestKey
    | ReplicationList
    | JsonData
    | KeyValue
    | EncapsulationFormat
    | VendorSpecific
    | UnknownLcaf
)
Address: TypeAlias = NoAddress | IPv4Address | IPv6Address | MacAddress | DistinguishedName | Lcaf

# The types that say more about one locator, which they carry in `address`.
_DECORATED = (
    InstanceId,
    AsNumber,
    ApplicationData,
    GeoCoordinates,
    NonceLocator,
    SecurityKey,
    JsonData,
    EncapsulationFormat,
)


def find_ip(address: Address) -> IPAddress | None:
    """Return the IP address that `address` is, decorates, or lists first; None if there is none."""
    if isinstance(address, (IPv4Address, IPv6Address)):
        return address
    if isinstance(address, _DECORATED):
        return find_ip(address.address)
    if isinstance(address, AfiList):
        return next((found for element in address.elements if (found := find_ip(element)) is not None), None)
    return None


def find_iid(address: Address) -> int | None:
    """Return the instance-ID (24 bits) around the address that `find_ip` finds; None if none is said."""
    if isinstance(address, InstanceId):
        return address.iid
    if isinstance(address, _DECORATED):
        return find_iid(address.address)
    if isinstance(address, AfiList):
        return next((find_iid(element) for element in address.elements if find_ip(element) is not None), None)
    return None


def is_ignorable(address: Address) -> bool:
    """Tell whether only LCAFs of unknown type are in `address`, so that it counts as absent (RFC 9306 §3)."""
    if isinstance(address, UnknownLcaf):
        return True
    if isinstance(address, AfiList):
        return bool(address.elements) and all(is_ignorable(element) for element in address.elements)
    return isinstance(address, InstanceId) and is_ignorable(address.address)
