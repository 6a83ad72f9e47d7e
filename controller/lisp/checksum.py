"""Internet checksums: RFC 1071, and UDP over IPv4 and IPv6 (RFC 768, RFC 8200 §8.1)."""

from __future__ import annotations

from typing import Final

from controller.lisp.address import IPAddress

_UDP: Final = 17


def internet_checksum(octets: bytes) -> int:
    """Return the 16-bit checksum of `octets`, an odd number of them being padded with one zero octet.

    Over octets that contain their correct checksum the result is 0.
    """
    # 2**16 is congruent to 1 modulo 65535, so the ones' complement sum of all 16-bit words is the remainder
    # of the octets taken as one number, which the interpreter computes without a loop. The remainder 0
    # stands for the sum 0xFFFF, unless everything was zero.
    number = int.from_bytes(octets, "big") << (8 * (len(octets) & 1))
    remainder = number % 0xFFFF
    return 0xFFFF - remainder if remainder else 0 if number else 0xFFFF


def udp_checksum(source: IPAddress, destination: IPAddress, datagram: bytes) -> int:
    """Return the checksum field for `datagram`, a UDP header with a zero checksum field and its payload.

    Never 0, which means "none" in that field. The addresses must be of one IP version.
    """
    return internet_checksum(_pseudo_header(source, destination, len(datagram)) + datagram) or 0xFFFF


def is_udp_checksum_valid(source: IPAddress, destination: IPAddress, datagram: bytes) -> bool:
    """Whether `datagram`, UDP header and payload, has a checksum and it is right (RFC 9301 §5)."""
    if datagram[6:8] == b"\0\0":
        return False
    return internet_checksum(_pseudo_header(source, destination, len(datagram)) + datagram) == 0


def _pseudo_header(source: IPAddress, destination: IPAddress, length: int) -> bytes:
    addresses = source.packed + destination.packed
    if source.version == 4:
        return addresses + bytes((0, _UDP)) + length.to_bytes(2, "big")
    return addresses + length.to_bytes(4, "big") + bytes((0, 0, 0, _UDP))
