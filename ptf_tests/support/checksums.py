"""The arithmetic of IPv4 header checksums, for packets whose checksum is meant to be wrong."""

from __future__ import annotations

from scapy.packet import Packet


def correct(packet: Packet) -> int:
    """The checksum that the IPv4 header of `packet` should have."""
    again = packet.copy()
    del again.chksum
    return int(type(packet)(bytes(again)).chksum)


def as_wrong_as(before: Packet, after: Packet) -> int:
    """The checksum of `after` that is off by as much as that of `before` is, in one's complement."""
    wrong = correct(after) + before.chksum + (~correct(before) & 0xFFFF)
    while wrong > 0xFFFF:
        wrong = (wrong & 0xFFFF) + (wrong >> 16)
    return int(wrong)
