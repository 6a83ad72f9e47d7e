"""Addresses as the data plane sees them: IP of either version, and AccIDs.

The P4 program keeps every EID and RLOC in 128 bits, IPv4 addresses and AccIDs in the low 32; where it does not follow
from the table which of them is meant, `kind` says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NewType

from controller.dataplane.codepoints import PayloadKind
from controller.p4rt.matches import Lpm

AccId = NewType("AccId", int)
"""A Scale-Up address: 32 bits, unique in its Instance-ID. All ones is everybody."""

ACC_ID_BROADCAST = AccId(0xFFFFFFFF)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

Eid = IPv4Network | IPv6Network | AccId
"""What a map-cache entry is about: an EID-prefix, or an AccID."""

Endpoint = IPv4Address | IPv6Address | AccId
"""One sender or receiver."""

_WIDTH = 128


def kind_of(address: Eid | Endpoint) -> PayloadKind:
    """The kind of packets that are sent to `address`."""
    if isinstance(address, int):
        return PayloadKind.SCALE_UP
    return PayloadKind.IPV4 if address.version == 4 else PayloadKind.IPV6


def wide_prefix(prefix: IPNetwork) -> Lpm:
    """The match of a prefix of either version on a field of 128 bits."""
    return Lpm(int(prefix.network_address), _WIDTH - prefix.max_prefixlen + prefix.prefixlen)


def in_order(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    """Ascending, IPv4 before IPv6: the order of RFC 9301 section 5.5."""
    return sorted(addresses, key=lambda address: (address.version, int(address)))
