"""Asking accelerators which groups they want, so that those who still do say it again (RFC 3376, RFC 3810).

The router is the only one on a port, and the accelerator the only host: nobody else has to be elected or heard. A
query goes to the group of all hosts, in a frame to the one that there is (RFC 6085).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from controller.dataplane.entries import NextHop, mac
from controller.lisp.checksum import internet_checksum

# Defaults of RFC 3376 section 8 and RFC 3810 section 9: seconds between queries, seconds in which to answer, and how
# often a report may be lost.
QUERY_INTERVAL: Final = 125
_RESPONSE, _ROBUSTNESS = 10, 2

_ALL_HOSTS_V4, _ALL_HOSTS_V6 = IPv4Address("224.0.0.1"), IPv6Address("ff02::1")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_IGMP: Final = struct.Struct("!BBH4sBBH")
_MLD: Final = struct.Struct("!BBHHH16sBBH")
_IGMP_QUERY, _MLD_QUERY = 0x11, 130
_ROUTER_ALERT_V4 = bytes((0x94, 4, 0, 0))
_ROUTER_ALERT_V6 = bytes((58, 0, 5, 2, 0, 0, 1, 0))  # next header, length, Router Alert for MLD, padding


class Querier:
    """When all accelerators are asked. Times are in seconds of the caller's clock; a new one is asked at once."""

    def __init__(self, interval: float = QUERY_INTERVAL) -> None:
        self._interval = interval
        self._due: float | None = None

    def start(self, now: float) -> None:
        """From now on, ask every `interval`."""
        self._due = now + self._interval

    def due(self, now: float) -> bool:
        """Whether to ask all of them now; if so, the next time is set."""
        if self._due is None or now < self._due:
            return False
        self._due = now + self._interval
        return True

    def next_deadline(self) -> float | None:
        """When they are asked next; None before `start`."""
        return self._due


def query(version: int, hop: NextHop, address: IPv4Address) -> bytes:
    """The frame with a general query of IGMPv3 (`version` 4) or MLDv2 (6) to the accelerator at `hop`.

    `address`: whom IGMP comes from; MLD comes from the link-local address of the port.
    """
    ethernet = mac(hop.next_hop_mac) + mac(hop.port_mac)
    return ethernet + (_igmp(address) if version == 4 else _mld(mac(hop.port_mac)))


def _igmp(source: IPv4Address) -> bytes:
    fields = _IGMP_QUERY, 10 * _RESPONSE
    rest = bytes(4), _ROBUSTNESS, QUERY_INTERVAL, 0
    message = _IGMP.pack(*fields, internet_checksum(_IGMP.pack(*fields, 0, *rest)), *rest)
    front = 0x46, 0xC0, _IPV4.size + len(message), 0, 0, 1, 2  # precedence: internetwork control
    back = source.packed, _ALL_HOSTS_V4.packed, _ROUTER_ALERT_V4
    header = _IPV4.pack(*front, internet_checksum(_IPV4.pack(*front, 0, *back)), *back)
    return (b"\x08\x00" + header + message).ljust(46, b"\0")


def _mld(port: bytes) -> bytes:
    source = b"\xfe\x80" + bytes(6) + bytes((port[0] ^ 2,)) + port[1:3] + b"\xff\xfe" + port[3:]
    rest = 1000 * _RESPONSE, 0, bytes(16), _ROBUSTNESS, QUERY_INTERVAL, 0
    pseudo = source + _ALL_HOSTS_V6.packed + struct.pack("!IxxxB", _MLD.size, 58)
    message = _MLD.pack(_MLD_QUERY, 0, internet_checksum(pseudo + _MLD.pack(_MLD_QUERY, 0, 0, *rest)), *rest)
    body = _ROUTER_ALERT_V6 + message
    return b"\x86\xdd" + _IPV6.pack(6 << 28, len(body), 0, 1, source, _ALL_HOSTS_V6.packed) + body
