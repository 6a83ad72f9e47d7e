"""Map-Registers that change nothing, recognized by their octets.

Nearly every Map-Register repeats an earlier one in all but nonce and MAC (RFC 9301 §8.2: every minute). Whoever
knows what the earlier one led to need not read it again: if the MAC is right and the nonce is new, the leases begin
anew, and the acknowledgement differs from the last in its nonce and MAC too.

What is remembered of a message holds as long as its lease is `intact`: nothing else has touched the registrations
that it made, or the mappings that they are part of. Everything that is not plainly such a repetition is left to
`registration`, which decides; the two are interchangeable, and a test compares them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final, NamedTuple

from controller.lisp import CONTROL_PORT, Datagram, Endpoint, Key, MapRegister
from controller.lisp.compiled import compiled
from controller.lisp.constants import XTR_IDENTITY_LENGTH, MessageType
from controller.mapping.leases import Lease
from controller.mapping.machine import Send
from controller.mapping.state import Account, MapServerState
from controller.mapping.store import Change, Receipt, Refresh, XtrKey

# A Map-Register and its Map-Notify: first word, nonce, Key ID with algorithm and length of the MAC, MAC, records.
_NONCE: Final = slice(4, 12)
_MAC_LENGTH: Final = 15
_MAC: Final = 16
_REGISTER: Final = int(MessageType.MAP_REGISTER)
_NUMBER: Final = Struct("!Q")
_ZEROS: Final = bytes(255)
_compiled = compiled("controller.mapping._refresh")
_new: Final = tuple.__new__  # what a NamedTuple calls in the end, in half of its time


def is_register(payload: bytes) -> bool:
    """Whether it is a Map-Register that is not obviously too short."""
    return len(payload) > _MAC and payload[0] >> 4 == _REGISTER


class _Reply(NamedTuple):
    """A Map-Notify: the octets before the nonce, between it and the MAC, and after; whereto it goes."""

    first: bytes
    middle: bytes
    mac_length: int
    records: bytes
    destination: Endpoint


class _Known(NamedTuple):
    """A Map-Register that was accepted from `source`, and what it led to.

    `unsigned`: how many octets at the end the MAC does not cover.
    """

    account: Account
    xtr: XtrKey
    key: Key
    digest: Callable[[bytes], bytes] | None
    lease: Lease
    source: Endpoint
    unsigned: int
    reply: _Reply | None


class _Workings(NamedTuple):
    """What the compiled form of `RefreshTable.refresh` works with; see `_refresh.c`, which knows the order."""

    known: dict[bytes, _Known]
    journal: list[Change]
    endpoint: Endpoint
    to_control_port: bool
    receipt: type[Receipt] = Receipt
    refresh: type[Refresh] = Refresh
    datagram: type[Datagram] = Datagram
    send: type[Send] = Send
    register_kind: MessageType = MessageType.MAP_REGISTER
    notify_kind: MessageType = MessageType.MAP_NOTIFY


class RefreshTable:
    """The Map-Registers to recognize; beyond `size` the oldest is forgotten."""

    refresh: Callable[[Datagram, float], tuple[()] | tuple[Send] | None]
    """Process a datagram if it is a Map-Register that renews what an earlier one registered; else None.

    There is no event: nothing has happened. What `_refresh` says, in Python or compiled.
    """

    def __init__(self, state: MapServerState, size: int) -> None:
        self._state = state
        self._size = size
        self._endpoint = state.endpoint
        self._to_control_port = state.config.ack_port == "control"
        self._known: dict[bytes, _Known] = {}
        self.refresh = self._refresh
        if _compiled is not None:
            self.refresh = _compiled.prepare(
                _Workings(self._known, state.journal, self._endpoint, self._to_control_port)
            )

    def _refresh(self, datagram: Datagram, now: float) -> tuple[()] | tuple[Send] | None:
        source, _, payload = datagram
        if len(payload) <= _MAC or payload[0] >> 4 != _REGISTER:
            return None
        length = payload[_MAC_LENGTH]
        end = _MAC + length
        fixed = payload[:4] + payload[12:_MAC] + payload[end:]
        known = self._known.get(fixed)
        if known is None:
            return None
        account, xtr, key, digest, lease, known_source, unsigned, pattern = known
        if not lease.intact:
            del self._known[fixed]
            return None
        if source is not known_source and source.address != known_source.address:
            return None
        nonce_octets = payload[_NONCE]
        (nonce,) = _NUMBER.unpack(nonce_octets)
        if nonce <= account.receipts[key.key_id].nonce:
            return None
        covered = payload[:_MAC] + _ZEROS[:length] + payload[end : len(payload) - unsigned]
        mac = digest(covered) if digest is not None else key.mac(MessageType.MAP_REGISTER, nonce, covered)
        own = payload[_MAC:end]
        if not hmac.compare_digest(mac[:length], own):
            return None
        lease.renew(now)
        reply = None
        if pattern is not None:
            first, middle, reply_length, records, destination = pattern
            head = first + nonce_octets + middle
            covered = head + _ZEROS[:reply_length] + records
            mac = digest(covered) if digest is not None else key.mac(MessageType.MAP_NOTIFY, nonce, covered)
            mac = mac[:reply_length]
            reply = head + mac + records
            own += mac
        receipt = _new(Receipt, (xtr, key.key_id, nonce, payload, reply, source))
        account.receipts[key.key_id] = account.latest = receipt
        alike = source is known_source  # else it is not that alone in which they differ
        self._state.journal.append(_new(Refresh, (receipt, known, nonce_octets + own)) if alike else receipt)
        if reply is None:
            return ()
        answer = _new(Datagram, (self._endpoint, destination if self._to_control_port else source, reply))
        return (_new(Send, (answer,)),)

    def clear(self) -> None:
        """Recognize nothing that came before."""
        self._known.clear()

    def learn(self, message: MapRegister, key: Key, receipt: Receipt, leases: Iterable[Lease]) -> None:
        """Remember a Map-Register all of whose records were just accepted, if one like it would change nothing.

        `leases`: those that now hold its registrations.
        """
        held = tuple(leases)
        eids = {record.key for record in message.records if not record.is_withdrawal}
        if not self._size or len(held) != 1 or len(eids) != len(message.records):
            return
        payload = receipt.register
        end = _MAC + len(message.auth_data)
        unsigned = 0
        if message.xtr is not None:  # the MAC covers what follows the records, or it does not
            covered = payload[:_MAC] + _ZEROS[: len(message.auth_data)] + payload[end:-XTR_IDENTITY_LENGTH]
            mac = key.mac(MessageType.MAP_REGISTER, message.nonce, covered)
            if mac[: len(message.auth_data)] == message.auth_data:
                unsigned = XTR_IDENTITY_LENGTH
        pattern = None
        if receipt.reply is not None:
            reply = receipt.reply
            length = reply[_MAC_LENGTH]
            destination = Endpoint(receipt.source.address, CONTROL_PORT)
            records = reply[_MAC + length :]
            pattern = _Reply(reply[:4], reply[12:_MAC], length, records, destination)
        (lease,) = held
        lease.intact = True
        account = self._state.account(receipt.xtr)
        while len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        known = _Known(account, receipt.xtr, key, key.digest, lease, receipt.source, unsigned, pattern)
        self._known[payload[:4] + payload[12:_MAC] + payload[end:]] = known
