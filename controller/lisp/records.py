"""EID-records with their locators, and the smaller records of a Map-Request (RFC 9301 §5.2 and §5.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from controller.lisp.address import IPAddress
from controller.lisp.address_encode import encode_address
from controller.lisp.constants import TTL_REMOVE
from controller.lisp.eid import Eid
from controller.lisp.lcaf import Address, find_iid, find_ip
from controller.lisp.metadata import Metadata, find_metadata


class Action(IntEnum):
    """What to do with packets for a mapping without locators (RFC 9301 §5.4); 6 and 7 are unassigned."""

    NO_ACTION = 0
    NATIVELY_FORWARD = 1
    SEND_MAP_REQUEST = 2
    DROP = 3
    DROP_POLICY = 4
    DROP_AUTH = 5


@dataclass(frozen=True, slots=True)
class RlocRecord:
    """One locator of a mapping (RFC 9301 §5.4).

    `priority` lower is better, 255 never; `weight` the share among equals; `mpriority` and `mweight` the
    same for multicast; 8 bits each. `local`: the sender owns it; `probed`: it is the one probed;
    `reachable`: the sender has a route to it.
    """

    address: Address
    priority: int = 1
    weight: int = 100
    mpriority: int = 255
    mweight: int = 0
    local: bool = False
    probed: bool = False
    reachable: bool = True

    @property
    def rloc(self) -> IPAddress | None:
        """The IP address to encapsulate to; None if the locator names none, as a replication list does."""
        return find_ip(self.address)

    @property
    def iid(self) -> int | None:
        """The instance-ID to encapsulate with; None if the locator leaves it at that of the EID (RFC 8060 §4.1)."""
        return find_iid(self.address)

    @property
    def metadata(self) -> Metadata | None:
        """The accelerator metadata beside the RLOC. Raises DecodeError if malformed, never after `decode`."""
        return find_metadata(self.address)


@dataclass(frozen=True, slots=True)
class EidRecord:
    """A mapping: EID-prefix, lifetime and RLOC-set (RFC 9301 §5.4).

    `ttl` in minutes, 32 bits: 0 withdraws, 0xFFFFFFFF leaves it to the receiver. `action`, 3 bits, counts
    only without locators. `map_version` 12 bits, 0 is none.

    The decoder leaves out locators that name nothing (AFI 0, choice C22; only LCAFs of unknown type, RFC
    9306 §3), so `locators` is empty exactly when the mapping is negative.
    """

    eid: Address
    mask_len: int
    ttl: int
    locators: tuple[RlocRecord, ...] = ()
    action: Action | int = Action.NO_ACTION
    authoritative: bool = False
    map_version: int = 0

    @property
    def key(self) -> Eid:
        """The EID to look up. Raises DecodeError if it cannot be one, never for a record from `decode`."""
        return Eid.from_wire(self.eid, self.mask_len)

    @property
    def is_withdrawal(self) -> bool:
        """Whether it takes the mapping back: Record TTL 0 (choice C5)."""
        return self.ttl == TTL_REMOVE

    @classmethod
    def for_eid(
        cls,
        eid: Eid,
        ttl: int,
        locators: Iterable[RlocRecord] = (),
        action: Action | int = Action.NO_ACTION,
        authoritative: bool = False,
        map_version: int = 0,
    ) -> EidRecord:
        """Make the record of `eid` with its locators in the order that RFC 9301 §5.5 demands (PR-REP-2)."""
        address, mask_len = eid.to_wire()
        return cls(address, mask_len, ttl, sort_locators(locators), action, authoritative, map_version)


def sort_locators(locators: Iterable[RlocRecord]) -> tuple[RlocRecord, ...]:
    """Sort ascending by address: IPv4, then IPv6, then LCAF by type and content (RFC 9301 §5.5, RFC 8060 §3).

    That is the order of the encoded octets, since they begin with AFI and LCAF type.
    """
    found = tuple(locators)
    if len(found) < 2:
        return found
    return tuple(sorted(found, key=lambda locator: encode_address(locator.address)))


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One EID asked for in a Map-Request; `subscribe` is the N bit (RFC 9301 §5.2, RFC 9437 §4)."""

    eid: Address
    mask_len: int
    subscribe: bool = False

    @property
    def key(self) -> Eid:
        """The EID to look up. Raises DecodeError if it cannot be one, never for a record from `decode`."""
        return Eid.from_wire(self.eid, self.mask_len)

    @classmethod
    def for_eid(cls, eid: Eid, subscribe: bool = False) -> RequestRecord:
        """Make the record that asks for `eid`."""
        address, mask_len = eid.to_wire()
        return cls(address, mask_len, subscribe)


@dataclass(frozen=True, slots=True)
class XtrIdentity:
    """Who sent it: `xtr_id` 16 octets, `site_id` 64 bits (RFC 9301 §5.6, RFC 9437 §4)."""

    xtr_id: bytes
    site_id: int

    def __str__(self) -> str:
        return f"xTR {self.xtr_id.hex()} of site {self.site_id}"
