"""Addresses that an AFI alone describes: nothing, IP, MAC and distinguished name.

IP addresses are the standard library's objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from controller.lisp.constants import Afi
from controller.lisp.errors import EncodeError

IPAddress: TypeAlias = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class NoAddress:
    """AFI 0: no address at all (RFC 9301 §5.2)."""

    def __str__(self) -> str:
        return "none"


NO_ADDRESS: Final = NoAddress()


@dataclass(frozen=True, slots=True)
class MacAddress:
    """A 48-bit MAC address: 6 `octets`.

    Two AFIs are in use for it, 6 (RFC 8060 §4.10.2) and 16389 (IANA). `afi` keeps the one it came with, to
    be sent back the same way; the address itself, and so equality and hash, does not depend on it.

    Raises EncodeError if the octets are not 6 or the AFI is neither of the two.
    """

    octets: bytes
    afi: int = field(default=Afi.MAC, compare=False)

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise EncodeError("mac-address", self.octets, "must have 6 octets")
        if self.afi not in (Afi.MAC, Afi.MAC_IANA):
            raise EncodeError("mac-address.afi", self.afi, "must be 6 or 16389")

    def __str__(self) -> str:
        return self.octets.hex(":")


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A distinguished name, AFI 17 (RFC 9735 §3): US-ASCII without NUL; the empty name is allowed.

    Raises EncodeError for any other character.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name.isascii() or "\0" in self.name:
            raise EncodeError("distinguished-name", repr(self.name), "must be US-ASCII without NUL")

    @property
    def mask_len(self) -> int:
        """Bits of the name and its NUL, the mask-len of a record that has this name as EID."""
        return 8 * (len(self.name) + 1)

    def __str__(self) -> str:
        return self.name
