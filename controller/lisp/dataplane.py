"""The eight octets between UDP and payload in a tunnel: LISP, LISP-GPE, VXLAN and VXLAN-GPE.

For tests and packet tools: the forwarding behaviour itself is the P4 program. Layouts: RFC 9300 §5.1, RFC
9305 §3, RFC 7348 §5, draft-ietf-nvo3-vxlan-gpe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final

from controller.lisp.address_encode import checked
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT, VXLAN_PORT
from controller.lisp.errors import DecodeError, EncodeError

_WORDS: Final = Struct("!II")

# First octet. I and P have the same place in all four.
_N: Final = 0x80
_L: Final = 0x40
_E: Final = 0x20
_V: Final = 0x10
_I: Final = 0x08
_P: Final = 0x04
_KEY: Final = 0x03
_VERSION: Final = 0x30  # VXLAN-GPE
_OAM: Final = 0x01  # VXLAN-GPE


class Tunnel(Enum):
    """The encapsulations of the fabric; the value is the UDP destination port and whether P is set."""

    LISP = (DATA_PORT, False)
    LISP_GPE = (DATA_PORT, True)
    VXLAN = (VXLAN_PORT, False)
    VXLAN_GPE = (VXLAN_GPE_PORT, True)

    @property
    def udp_port(self) -> int:
        """The UDP destination port."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class TunnelHeader:
    """One tunnel header. None means that the flag which announces the field is 0.

    `iid`: instance-ID or VNI, 24 bits. `next_protocol`: 8 bits, in the GPE encapsulations only and always.
    Only in the two LISP encapsulations: `status_bits` locator-status-bits, 8 bits with an instance-ID, else
    32; `key_id` of the payload's encryption (KK), 2 bits. Only in LISP: `nonce`, 24 bits, with
    `echo_nonce`; `map_versions` of source and destination, 12 bits each, never together with a nonce. Only
    in VXLAN-GPE: `oam`.
    """

    tunnel: Tunnel
    iid: int | None = None
    next_protocol: int | None = None
    status_bits: int | None = None
    key_id: int = 0
    nonce: int | None = None
    echo_nonce: bool = False
    map_versions: tuple[int, int] | None = None
    oam: bool = False

    def encode(self) -> bytes:
        """Return the 8 octets. Raises EncodeError for a value that does not fit or a field the format lacks."""
        self._refuse_foreign_fields()
        flags = (_P if self.tunnel.value[1] else 0) | checked("tunnel.key-id", self.key_id, 2) | self.oam
        low = 0 if self.next_protocol is None else checked("tunnel.next-protocol", self.next_protocol, 8)
        if self.nonce is not None:
            flags |= _N | (_E if self.echo_nonce else 0)
            low = checked("tunnel.nonce", self.nonce, 24)
        elif self.map_versions is not None:
            source, destination = self.map_versions
            flags |= _V
            low = checked("tunnel.source-version", source, 12) << 12
            low |= checked("tunnel.destination-version", destination, 12)
        word1 = 0
        if self.status_bits is not None:
            flags |= _L
            word1 = checked("tunnel.status-bits", self.status_bits, 32 if self.iid is None else 8)
        if self.iid is not None:
            flags |= _I
            word1 |= checked("tunnel.iid", self.iid, 24) << 8
        return _WORDS.pack(flags << 24 | low, word1)

    def _refuse_foreign_fields(self) -> None:
        tunnel = self.tunnel
        lisp = tunnel in (Tunnel.LISP, Tunnel.LISP_GPE)
        allowed = {
            "next_protocol": (self.next_protocol is not None) == tunnel.value[1],
            "iid": self.iid is not None or lisp,
            "status_bits": self.status_bits is None or lisp,
            "key_id": self.key_id == 0 or lisp,
            "nonce": self.nonce is None or tunnel is Tunnel.LISP,
            "echo_nonce": not self.echo_nonce or self.nonce is not None,
            "map_versions": self.map_versions is None or (tunnel is Tunnel.LISP and self.nonce is None),
            "oam": not self.oam or tunnel is Tunnel.VXLAN_GPE,
        }
        for name, fine in allowed.items():
            if not fine:
                value = getattr(self, name)
                raise EncodeError(f"tunnel.{name.replace('_', '-')}", value, f"cannot be so in {tunnel.name}")

    @classmethod
    def decode(cls, octets: bytes, udp_port: int) -> TunnelHeader:
        """Read the header at the start of `octets`, the payload of a datagram to `udp_port`.

        Bits that a format has no use for are ignored, as are N, E and V where P is set (PR-DP-6).

        Raises DecodeError for too few octets, a port of none of the formats, or an instance-ID or P bit
        that is missing where the format demands it.
        """
        if len(octets) < _WORDS.size:
            raise DecodeError("tunnel", octets, 0, f"truncated: {_WORDS.size} octets needed")
        word0, word1 = _WORDS.unpack_from(octets)
        flags, low = word0 >> 24, word0 & 0xFFFFFF
        if udp_port == DATA_PORT:
            return cls._decode_lisp(flags, low, word1)
        if udp_port not in (VXLAN_PORT, VXLAN_GPE_PORT):
            raise DecodeError("tunnel.udp-port", udp_port, None, "is of no known encapsulation")
        if not flags & _I:
            raise DecodeError("tunnel.flags", f"{flags:#04x}", 0, "the VNI bit is not set")
        if udp_port == VXLAN_PORT:
            return cls(Tunnel.VXLAN, word1 >> 8)
        if flags & _VERSION or not flags & _P:
            raise DecodeError("tunnel.flags", f"{flags:#04x}", 0, "version is not 0, or P not 1")
        return cls(Tunnel.VXLAN_GPE, word1 >> 8, low & 0xFF, oam=bool(flags & _OAM))

    @classmethod
    def _decode_lisp(cls, flags: int, low: int, word1: int) -> TunnelHeader:
        iid = word1 >> 8 if flags & _I else None
        status_bits = None
        if flags & _L:
            status_bits = word1 if iid is None else word1 & 0xFF
        key_id = flags & _KEY
        if flags & _P:
            return cls(Tunnel.LISP_GPE, iid, low & 0xFF, status_bits, key_id)
        if flags & _N:  # also when V is set against the rule: then it is a nonce
            return cls(Tunnel.LISP, iid, None, status_bits, key_id, low, bool(flags & _E))
        versions = (low >> 12, low & 0xFFF) if flags & _V else None
        return cls(Tunnel.LISP, iid, None, status_bits, key_id, map_versions=versions)
