"""What stands in the Map-Registers of an xTR that is known: EIDs that it holds, and what it says of them.

An xTR registers the same EIDs together again and again. Where they stand in its message, and what they are here, is
worked out once; then a message falls into its parts in one step, and each part is recognized by its octets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple

from controller.lisp import DecodeError, Eid, EidRecord, Endpoint, IPAddress, Key, MapRegister, is_group
from controller.lisp.address_decode import decode_address
from controller.lisp.constants import XTR_IDENTITY_LENGTH
from controller.lisp.record_codec import decode_eid_record, encode_eid
from controller.mapping.config import SiteConfig
from controller.mapping.content import Terms
from controller.mapping.leases import Registration
from controller.mapping.registry import Mapping
from controller.mapping.state import Account, MapServerState
from controller.mapping.store import XtrKey

_SECONDS_PER_MINUTE: Final = 60.0
_COUNT: Final = 3  # of records, in the first word of a Map-Register
# An EID-record: TTL and locator count, mask-len, flags and map-version, EID, locators.
_LOCATORS: Final = 4
_MASK_LEN: Final = 5
_FLAGS_END: Final = 10
# AFI, and for an LCAF the place of the low octet of its length and that of its body.
_AFI_IPV4: Final = b"\x00\x01"
_AFI_LCAF: Final = b"\x40\x03"
_LCAF_LENGTH: Final = 7
_LCAF_BODY: Final = 8
# Octets of a locator, and the place of its AFI.
_LOCATOR_AFI: Final = 6
_IPV4_LOCATOR: Final = 12
_IPV6_LOCATOR: Final = 24
_NAMES_KEPT: Final = 1 << 16
_TERMS_KEPT: Final = 1 << 8

# Of each record: what precedes the mask-len, what is up to the end of the EID, and its locators.
_Parts = Sequence[bytes]


class _Name(NamedTuple):
    """An EID that was registered, and mask-len, zeros and EID as they stand in a record of the Map-Server."""

    mapping: Mapping
    octets: bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """EIDs that an xTR registers together, one after the other, and what is known of each.

    `names` as they stand in its messages, `octets` as in those of the Map-Server; `held` is what the xTR registered,
    `parts` what all did, and `xtrs` who these are. While a mapping has these `parts`, the rest is right too.
    `layout` finds the parts of a message.
    """

    layout: Struct
    names: tuple[bytes, ...]
    octets: tuple[bytes, ...]
    eids: tuple[Eid, ...]
    mappings: tuple[Mapping, ...]
    parts: list[tuple[Registration, ...]]
    held: list[Registration]
    xtrs: tuple[frozenset[XtrKey], ...]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who proved to have sent a Map-Register."""

    site: SiteConfig
    xtr: XtrKey
    key: Key


@dataclass(slots=True)
class Speaker:
    """An xTR with its way of registering: the flags of its messages, its key, and where it is.

    `reply_head`: the first three octets of its acknowledgements, what stands between nonce and MAC, and the length of
    that; None if it wants none. `unsigned`: how much at the end the MAC does not cover. `terms`: what it said of EIDs.
    `holdings`: by the first name, and the length of all records.
    """

    sender: Sender
    account: Account
    source: Endpoint
    message: MapRegister
    reply_head: tuple[bytes, bytes, int] | None
    unsigned: int
    terms: dict[tuple[bytes, bytes], Terms] = field(default_factory=dict)
    holdings: dict[tuple[bytes, int], Holding] = field(default_factory=dict)


class HoldingTable:
    """Reads the records of Map-Registers of the simple kind, in which xTRs say other things of EIDs that they hold.

    `problem` says why a record is refused.
    """

    def __init__(self, state: MapServerState, problem: Callable[[Sender, EidRecord], str | None]) -> None:
        self._state = state
        self._problem = problem
        self._names: dict[bytes, _Name] = {}
        self._speakers: list[Speaker] = []  # those that have holdings
        self._kept = 0  # names in all holdings

    def read(self, speaker: Speaker, payload: bytes, at: int) -> tuple[Holding, list[Terms]] | None:
        """The EIDs whose records begin at `at`, and what is said of each; None if a record is of another kind."""
        end = len(payload) - XTR_IDENTITY_LENGTH
        key = (payload[at + _MASK_LEN : _end_of_name(payload, at)], end - at)
        holding = speaker.holdings.get(key)
        parts: _Parts = () if holding is None else holding.layout.unpack_from(payload, at)
        if (
            holding is None
            or parts[1::3] != holding.names
            or [mapping.parts for mapping in holding.mappings] != holding.parts
        ):
            parts = _split(payload, at, end)
            holding = self._learn_holding(speaker, key, parts)
            if holding is None:
                return None
        if payload[_COUNT] != len(holding.names):
            return None
        known = speaker.terms.get
        terms: list[Terms] = []
        for said in zip(parts[0::3], parts[2::3], strict=True):
            found = known(said) or self._learn_terms(speaker, said, parts[1])
            if found is None:
                return None
            terms.append(found)
        return holding, terms

    def _learn_holding(self, speaker: Speaker, key: tuple[bytes, int], parts: _Parts) -> Holding | None:
        xtr, names = speaker.sender.xtr, tuple(parts[1::3])
        known: list[_Name] = []
        held: list[Registration] = []
        for octets in names:
            name = self._names.get(octets) or self._learn_name(octets)
            if name is None:
                return None
            if not name.mapping.parts:  # withdrawn since; another may have taken its place
                del self._names[octets]
                return None
            mine = name.mapping.part_of(xtr)
            # Others registered it too, and may go on with that: the merge bit says so.
            if mine is None or (len(name.mapping.parts) > 1 and not speaker.message.merge):
                return None
            known.append(name)
            held.append(mine)
        if not names or len(set(held)) != len(held):
            return None
        mappings = tuple(name.mapping for name in known)
        everybody: dict[tuple[XtrKey, ...], frozenset[XtrKey]] = {}  # one object for those who are the same
        holding = Holding(
            Struct("".join(f"{len(part)}s" for part in parts)),
            names,
            tuple(name.octets for name in known),
            tuple(mapping.eid for mapping in mappings),
            mappings,
            [mapping.parts for mapping in mappings],
            held,
            tuple(everybody.setdefault(mapping.xtrs, frozenset(mapping.xtrs)) for mapping in mappings),
        )
        self._keep(speaker, key, holding)
        return holding

    def _keep(self, speaker: Speaker, key: tuple[bytes, int], holding: Holding) -> None:
        if self._kept + len(holding.names) > _NAMES_KEPT:
            for one in self._speakers:
                one.holdings.clear()
            self._speakers.clear()
            self._kept = 0
        if not speaker.holdings:
            self._speakers.append(speaker)
        replaced = speaker.holdings.get(key)
        self._kept += len(holding.names) - (len(replaced.names) if replaced is not None else 0)
        speaker.holdings[key] = holding

    def _learn_name(self, octets: bytes) -> _Name | None:
        """The mapping of the EID in mask-len, flags, map-version and EID. Only as the Map-Server writes these."""
        eid_at = _FLAGS_END - _MASK_LEN
        try:
            address, end = decode_address(octets, eid_at, len(octets), self._state.config.decode_options)
            eid = Eid.from_wire(address, octets[0])
        except DecodeError:
            return None
        mapping, ours = self._state.registry.table.get(eid), encode_eid(eid)
        written = ours[0] == octets[0] and ours[eid_at:] == octets[eid_at:]
        if mapping is None or end != len(octets) or not written or is_group(eid):
            return None
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        name = self._names[octets] = _Name(mapping, ours)
        return name

    def _learn_terms(self, speaker: Speaker, said: tuple[bytes, bytes], name: bytes) -> Terms | None:
        """What is said in a record, here of the EID in `name`, if its sender may say it of any that it holds."""
        octets = said[0] + name + said[1]
        try:
            record, end = decode_eid_record(octets, 0, len(octets), self._state.config.decode_options)
        except DecodeError:
            return None
        plain = all(isinstance(locator.address, IPAddress) for locator in record.locators)
        if end != len(octets) or not plain or record.is_withdrawal or self._problem(speaker.sender, record) is not None:
            return None
        timeout = self._state.config.registration_timeout
        if speaker.message.use_ttl:
            timeout = record.ttl * _SECONDS_PER_MINUTE
        if len(speaker.terms) >= _TERMS_KEPT:
            speaker.terms.clear()
        terms = Terms.of(record.ttl, record.locators, timeout, speaker.message.proxy_reply)
        speaker.terms[said] = terms
        return terms


def _end_of_name(payload: bytes, at: int) -> int:
    """Where the EID of the record at `at` ends, if it is an IP address or an LCAF of less than 256 octets."""
    begin = at + _FLAGS_END
    afi = payload[begin : begin + 2]
    if afi == _AFI_LCAF and begin + _LCAF_BODY <= len(payload):
        return begin + _LCAF_BODY + payload[begin + _LCAF_LENGTH]
    return begin + (6 if afi == _AFI_IPV4 else 18)


def _split(payload: bytes, at: int, end: int) -> _Parts:
    """The parts of all records, as far as they are of the simple kind; nothing if they do not fit."""
    parts: list[bytes] = []
    while at < end:
        begin = _end_of_name(payload, at)
        afi = payload[begin + _LOCATOR_AFI : begin + _LOCATOR_AFI + 2]
        after = begin + payload[at + _LOCATORS] * (_IPV4_LOCATOR if afi == _AFI_IPV4 else _IPV6_LOCATOR)
        if after > end:
            return ()
        parts += (payload[at : at + _MASK_LEN], payload[at + _MASK_LEN : begin], payload[begin:after])
        at = after
    return parts
