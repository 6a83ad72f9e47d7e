"""Map-Registers by which an xTR says something else of EIDs that it has registered, taken without being decoded.

When a path fails or comes back, the RLOC-sets of many EIDs change at once, and to the same few. Such a message
consists of parts that have been seen before: who speaks and how, EIDs that it holds, and what is said of them. Each
part is decoded and checked the first time, by the same code as everywhere, and recognized by its octets from then on.

Everything that is not plainly such a message is left to `registration`, which decides; the two are interchangeable,
and a test compares them. What changes nothing is left to it too: it hands that on to `refresh`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from controller.lisp import (
    CONTROL_PORT,
    STRICT,
    Datagram,
    DecodeError,
    Eid,
    EidRecord,
    Endpoint,
    IPAddress,
    Key,
    MapRegister,
    is_group,
)
from controller.lisp.address_decode import decode_address
from controller.lisp.constants import XTR_IDENTITY_LENGTH, MessageType
from controller.lisp.record_codec import decode_eid_record, encode_eid
from controller.mapping.config import SiteConfig
from controller.mapping.content import Terms
from controller.mapping.leases import MessageLeases, Registration
from controller.mapping.machine import Event, Send
from controller.mapping.publisher import Publisher
from controller.mapping.registry import Mapping, MappingChange
from controller.mapping.state import Account, MapServerState
from controller.mapping.store import Contribution, Receipt, XtrKey

_SECONDS_PER_MINUTE: Final = 60.0
_ZEROS: Final = bytes(255)
# A Map-Register: first word with the record count, nonce, Key ID with algorithm and length of the MAC, MAC, records.
_COUNT: Final = 3
_MAC_LENGTH: Final = 15
_MAC: Final = 16
# An EID-record: TTL and locator count, mask-len, flags and map-version, EID, locators.
_MASK_LEN: Final = 5
_FLAGS_END: Final = 10
# AFI, and for an LCAF the place of the low octet of its length and that of its body.
_AFI_IPV4: Final = b"\x00\x01"
_AFI_IPV6: Final = b"\x00\x02"
_AFI_LCAF: Final = b"\x40\x03"
_LCAF_LENGTH: Final = 7
_LCAF_BODY: Final = 8
# Octets of a locator, and the place of its AFI.
_LOCATOR_AFI: Final = 6
_IPV4_LOCATOR: Final = 12
_IPV6_LOCATOR: Final = 24
_NAMES_KEPT: Final = 1 << 16
_TERMS_KEPT: Final = 1 << 8


@dataclass(frozen=True, slots=True)
class Sender:
    """Who proved to have sent a Map-Register."""

    site: SiteConfig
    xtr: XtrKey
    key: Key


@dataclass(slots=True)
class _Speaker:
    """An xTR with its way of registering: the flags of its messages, its key, and where it is.

    `reply_head`: the first three octets of its acknowledgements, what stands between nonce and MAC, and the length of
    that; None if it wants none. `unsigned`: how much at the end the MAC does not cover. `terms`: what it said of EIDs.
    """

    sender: Sender
    account: Account
    source: Endpoint
    message: MapRegister
    reply_head: tuple[bytes, bytes, int] | None
    unsigned: int
    terms: dict[bytes, Terms] = field(default_factory=dict)


class _Name(NamedTuple):
    """An EID that was registered, and mask-len, zeros and EID as they stand in a record of the Map-Server."""

    mapping: Mapping
    octets: bytes


class _Said(NamedTuple):
    """What a record says: other terms for one of the registrations of a mapping."""

    name: _Name
    held: Registration
    terms: Terms


class AmendmentTable:
    """Who is known well enough; beyond `size` of them all are forgotten. `problem` says why a record is refused."""

    def __init__(
        self,
        state: MapServerState,
        publisher: Publisher,
        problem: Callable[[Sender, EidRecord], str | None],
        size: int,
    ) -> None:
        self._state = state
        self._publisher = publisher
        self._problem = problem
        self._size = size
        self._speakers: dict[bytes, _Speaker] = {}
        self._names: dict[bytes, _Name] = {}

    def clear(self) -> None:
        """Recognize nobody who spoke before."""
        self._speakers.clear()

    def learn(self, message: MapRegister, sender: Sender, receipt: Receipt) -> None:
        """Remember who sent a Map-Register all of whose records were just accepted."""
        if sender.site.profile is not STRICT or message.xtr is None or not self._size:
            return
        payload, reply = receipt.register, receipt.reply
        who = _who(payload)
        if who in self._speakers:
            return
        unsigned = XTR_IDENTITY_LENGTH  # the MAC covers what follows the records, or it does not
        length = len(message.auth_data)
        covered = payload[:_MAC] + _ZEROS[:length] + payload[_MAC + length :]
        mac = sender.key.mac(MessageType.MAP_REGISTER, message.nonce, covered[:-unsigned])
        if mac[:length] != message.auth_data:
            unsigned = 0
        head = (reply[:_COUNT], reply[12:_MAC], reply[_MAC_LENGTH]) if reply is not None else None
        if len(self._speakers) >= self._size:
            self._speakers.clear()
        account = self._state.account(sender.xtr)
        self._speakers[who] = _Speaker(sender, account, receipt.source, message, head, unsigned)

    def amend(self, datagram: Datagram, now: float) -> list[Send | Event] | None:
        """Process a Map-Register if it gives other terms to what its sender has registered; else None."""
        source, _, payload = datagram
        speaker = self._speakers.get(_who(payload))
        if speaker is None or source.address != speaker.source.address:
            return None
        sender, end = speaker.sender, _MAC + payload[_MAC_LENGTH]
        nonce = int.from_bytes(payload[4:12], "big")
        if nonce <= speaker.account.receipts[sender.key.key_id].nonce:
            return None
        said = self._read(speaker, payload, end)
        if said is None or all(one.held.terms is one.terms for one in said):
            return None
        covered = payload[:_MAC] + _ZEROS[: end - _MAC] + payload[end : len(payload) - speaker.unsigned]
        mac = sender.key.mac(MessageType.MAP_REGISTER, nonce, covered)
        if not hmac.compare_digest(mac[: end - _MAC], payload[_MAC:end]):
            return None
        records, changes = self._apply(sender.xtr, said)
        _renew(self._state, said, now)
        reply = self._acknowledgement(speaker, payload, nonce, records)
        self._state.keep_receipt(Receipt(sender.xtr, sender.key.key_id, nonce, payload, reply, source))
        accepted = [one.name.mapping.eid for one in said]
        outputs: list[Send | Event] = [Event("map-register-accepted", partial(accepted_fields, sender.xtr, accepted))]
        if reply is not None:
            port = CONTROL_PORT if self._state.config.ack_port == "control" else source.port
            destination = source if port == source.port else Endpoint(source.address, port)
            outputs.append(Send(Datagram(self._state.endpoint, destination, reply)))
        informed = sender.xtr if reply is not None else None
        return outputs + self._publisher.changed_together(changes, informed)

    def _read(self, speaker: _Speaker, payload: bytes, at: int) -> list[_Said] | None:
        """The records of a message; None if one of them is not of the kind for which this is made."""
        names, terms_of, xtr = self._names, speaker.terms, speaker.sender.xtr
        end = len(payload) - XTR_IDENTITY_LENGTH
        found: list[_Said] = []
        while at < end:
            begin = at + _FLAGS_END
            afi = payload[begin : begin + 2]
            if afi == _AFI_LCAF and begin + _LCAF_BODY <= end:
                begin += _LCAF_BODY + payload[begin + _LCAF_LENGTH]
            else:
                begin += 6 if afi == _AFI_IPV4 else 18
            known = payload[at + _MASK_LEN : begin]
            name = names.get(known) or self._learn_name(known)
            if name is None:
                return None
            parts = name.mapping.parts
            if len(parts) == 1:
                held = parts[0]
                if held.xtr != xtr:
                    return None
            else:
                several = self._one_of_several(speaker, known, name.mapping)
                if several is None:
                    return None
                held = several
            afi = payload[begin + _LOCATOR_AFI : begin + _LOCATOR_AFI + 2]
            locators = begin + payload[at + 4] * (_IPV4_LOCATOR if afi == _AFI_IPV4 else _IPV6_LOCATOR)
            heard = payload[at : at + _MASK_LEN] + payload[begin:locators]
            terms = terms_of.get(heard) or self._learn_terms(speaker, payload, at, locators, heard)
            if terms is None:
                return None
            found.append(_Said(name, held, terms))
            at = locators
        if at != end or len(found) != payload[_COUNT] or len({one.held for one in found}) != len(found):
            return None
        return found

    def _apply(self, xtr: XtrKey, said: list[_Said]) -> tuple[list[bytes], list[MappingChange]]:
        """Take over the new terms; returns the octets of the mappings, and how they changed."""
        state, registry = self._state, self._state.registry
        records: list[bytes] = []
        changes: list[MappingChange] = []
        for (mapping, octets), held, terms in said:
            if held.terms is not terms:
                serial = state.next_serial()
                state.journal.append(Contribution(mapping.eid, xtr, terms, serial))
                change = registry.replace(mapping, held, terms, serial)
                if change is not None:
                    changes.append(change)
            before, after = mapping.content.wire
            records += (before, octets, after)
        return records, changes

    def _acknowledgement(self, speaker: _Speaker, payload: bytes, nonce: int, records: list[bytes]) -> bytes | None:
        if speaker.reply_head is None:
            return None
        first, middle, length = speaker.reply_head
        head = b"".join((first, payload[_COUNT:12], middle))
        octets = b"".join(records)
        mac = speaker.sender.key.mac(MessageType.MAP_NOTIFY, nonce, head + _ZEROS[:length] + octets)
        return head + mac[:length] + octets

    def _one_of_several(self, speaker: _Speaker, known: bytes, mapping: Mapping) -> Registration | None:
        """The sender's part of a mapping that others registered too, and may go on with: the merge bit says so."""
        if not mapping.parts:  # withdrawn since; another may have taken its place
            del self._names[known]
        return mapping.part_of(speaker.sender.xtr) if speaker.message.merge else None

    def _learn_name(self, known: bytes) -> _Name | None:
        """The mapping of the EID in `known`: mask-len, flags, map-version, EID. Only as the Map-Server writes it."""
        eid_at = _FLAGS_END - _MASK_LEN
        try:
            address, end = decode_address(known, eid_at, len(known), self._state.config.decode_options)
            eid = Eid.from_wire(address, known[0])
        except DecodeError:
            return None
        mapping, octets = self._state.registry.table.get(eid), encode_eid(eid)
        written = octets[0] == known[0] and octets[eid_at:] == known[eid_at:]
        if mapping is None or end != len(known) or not written or is_group(eid):
            return None
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        name = self._names[known] = _Name(mapping, octets)
        return name

    def _learn_terms(self, speaker: _Speaker, payload: bytes, at: int, end: int, heard: bytes) -> Terms | None:
        """What the record from `at` to `end` says, if its sender may say it of any EID that it has registered."""
        if end > len(payload) - XTR_IDENTITY_LENGTH:
            return None
        try:
            record, after = decode_eid_record(payload, at, end, self._state.config.decode_options)
        except DecodeError:
            return None
        plain = all(isinstance(locator.address, IPAddress) for locator in record.locators)
        if after != end or not plain or record.is_withdrawal or self._problem(speaker.sender, record) is not None:
            return None
        timeout = self._state.config.registration_timeout
        if speaker.message.use_ttl:
            timeout = record.ttl * _SECONDS_PER_MINUTE
        if len(speaker.terms) >= _TERMS_KEPT:
            speaker.terms.clear()
        terms = Terms.of(record.ttl, record.locators, timeout, speaker.message.proxy_reply)
        speaker.terms[heard] = terms
        return terms


def accepted_fields(xtr: XtrKey, eids: list[Eid]) -> dict[str, object]:
    """What is told of an accepted Map-Register."""
    return {"xtr": str(xtr), "eids": " ".join(map(str, eids))}


def _renew(state: MapServerState, said: list[_Said], now: float) -> None:
    """Hold what a message brought by a new lease, or go on with the one that holds just that."""
    lease = said[0].held.lease
    timeouts = {one.terms.timeout for one in said}
    if lease.held == [one.held for one in said] and timeouts == {lease.timeout}:
        lease.intact = False
        lease.renew(now)
        return
    leases = MessageLeases(now)
    for one in said:
        state.registry.hold(one.held, leases.of(one.terms.timeout))


def _who(payload: bytes) -> bytes:
    """What the messages of a speaker have in common: flags, key, algorithm, length of the MAC, xTR-ID and Site-ID."""
    return payload[:_COUNT] + payload[12:_MAC] + payload[-XTR_IDENTITY_LENGTH:]
