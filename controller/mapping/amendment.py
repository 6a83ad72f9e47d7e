"""Map-Registers by which an xTR says something else of EIDs that it has registered, taken without being decoded.

When a path fails or comes back, the RLOC-sets of many EIDs change at once, and to the same few. Such a message
consists of parts that have been seen before: who speaks and how, EIDs that it holds, and what is said of them. Each
part is decoded and checked the first time, by the same code as everywhere, and recognized by its octets from then on.

Everything that is not plainly such a message is left to `registration`, which decides; the two are interchangeable,
and a test compares them. What changes nothing is left to it too: it hands that on to `refresh`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Final

from controller.lisp import CONTROL_PORT, STRICT, Datagram, Eid, EidRecord, Endpoint, MapRegister
from controller.lisp.constants import XTR_IDENTITY_LENGTH, MessageType
from controller.mapping.content import Terms
from controller.mapping.holdings import Holding, HoldingTable, Sender, Speaker
from controller.mapping.leases import MessageLeases
from controller.mapping.machine import Event, Send
from controller.mapping.publisher import Publisher
from controller.mapping.registry import JointChange
from controller.mapping.state import MapServerState
from controller.mapping.store import Contribution, Contributions, Receipt, XtrKey

_ZEROS: Final = bytes(255)
# A Map-Register: first word with the record count, nonce, Key ID with algorithm and length of the MAC, MAC, records.
_COUNT: Final = 3
_MAC_LENGTH: Final = 15
_MAC: Final = 16


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
        self._holdings = HoldingTable(state, problem)
        self._size = size
        self._speakers: dict[bytes, Speaker] = {}

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
        self._speakers[who] = Speaker(sender, account, receipt.source, message, head, unsigned)

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
        said = self._holdings.read(speaker, payload, end)
        if said is None:
            return None
        holding, terms = said
        if all(held.terms is one for held, one in zip(holding.held, terms, strict=True)):
            return None
        covered = payload[:_MAC] + _ZEROS[: end - _MAC] + payload[end : len(payload) - speaker.unsigned]
        mac = sender.key.mac(MessageType.MAP_REGISTER, nonce, covered)
        if not hmac.compare_digest(mac[: end - _MAC], payload[_MAC:end]):
            return None
        changes = self._apply(sender.xtr, holding, terms)
        _renew(self._state, holding, terms, now)
        reply = self._acknowledgement(speaker, payload, nonce, holding)
        self._state.keep_receipt(Receipt(sender.xtr, sender.key.key_id, nonce, payload, reply, source))
        accepted = partial(accepted_fields, sender.xtr, holding.eids)
        outputs: list[Send | Event] = [Event("map-register-accepted", accepted)]
        if reply is not None:
            port = CONTROL_PORT if self._state.config.ack_port == "control" else source.port
            destination = source if port == source.port else Endpoint(source.address, port)
            outputs.append(Send(Datagram(self._state.endpoint, destination, reply)))
        informed = sender.xtr if reply is not None else None
        return outputs + self._publisher.changed(changes, informed)

    def _apply(self, xtr: XtrKey, holding: Holding, terms: list[Terms]) -> list[JointChange]:
        """Take over the new terms; returns how the mappings changed."""
        state, held, one = self._state, holding.held, terms[0]
        serial = state.next_serial
        all_of_them = zip(holding.mappings, held, terms, holding.xtrs, strict=True)
        if terms.count(one) == len(terms) and all(part.terms is not one for part in held):
            state.journal.append(Contributions(holding.eids, xtr, one, serial))
            changes = state.registry.replace(all_of_them, serial)
        else:
            others = [item for item in all_of_them if item[1].terms is not item[2]]
            state.journal += [Contribution(part.eid, xtr, said, serial) for _, part, said, _ in others]
            changes = state.registry.replace(others, serial)
        state.used_serial(serial)
        return changes

    def _acknowledgement(self, speaker: Speaker, payload: bytes, nonce: int, holding: Holding) -> bytes | None:
        if speaker.reply_head is None:
            return None
        contents = [mapping.content for mapping in holding.mappings]
        before, after = contents[0].wire
        if contents.count(contents[0]) == len(contents):
            octets = b"".join((before, (after + before).join(holding.octets), after))
        else:
            parts = zip(contents, holding.octets, strict=True)
            octets = b"".join(chain.from_iterable((one.wire[0], name, one.wire[1]) for one, name in parts))
        first, middle, length = speaker.reply_head
        head = b"".join((first, payload[_COUNT:12], middle))
        mac = speaker.sender.key.mac(MessageType.MAP_NOTIFY, nonce, head + _ZEROS[:length] + octets)
        return head + mac[:length] + octets


def accepted_fields(xtr: XtrKey, eids: Iterable[Eid]) -> dict[str, object]:
    """What is told of an accepted Map-Register."""
    return {"xtr": str(xtr), "eids": " ".join(map(str, eids))}


def _renew(state: MapServerState, holding: Holding, terms: list[Terms], now: float) -> None:
    """Hold what a message brought by a new lease, or go on with the one that holds just that."""
    lease = holding.held[0].lease
    timeouts = {one.timeout for one in terms}
    if lease.held == holding.held and timeouts == {lease.timeout}:
        lease.intact = False
        lease.renew(now)
        return
    leases = MessageLeases(now)
    for held, one in zip(holding.held, terms, strict=True):
        state.registry.hold(held, leases.of(one.timeout))


def _who(payload: bytes) -> bytes:
    """What the messages of a speaker have in common: flags, key, algorithm, length of the MAC, xTR-ID and Site-ID."""
    return payload[:_COUNT] + payload[12:_MAC] + payload[-XTR_IDENTITY_LENGTH:]
