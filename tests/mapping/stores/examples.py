"""Changes to store, what to compare when they are loaded, and what can happen to their octets."""

from __future__ import annotations

from controller.lisp import Endpoint, RlocRecord
from controller.mapping import Contribution, Receipt, Refresh, Snapshot, Subscription, SubscriptionKind, XtrKey
from controller.mapping.content import Terms
from tests.mapping.harness import eid, ip

XTR = XtrKey(40, bytes(range(16)))
HOST = eid("40.0.0.7")


def terms(*locators: RlocRecord, ttl: int = 1440) -> Terms:
    return Terms.of(ttl, locators, 180.0, True)


CONTRIBUTION = Contribution(HOST, XTR, terms(RlocRecord(ip("192.0.40.1"), local=True)), 7)
RECEIPT = Receipt(XTR, 1, 2**64 - 1, bytes(range(32)), b"a Map-Notify", Endpoint(ip("192.0.40.1"), 4342))
SUBSCRIPTION = Subscription(
    eid("40.0.0.0/16"), XTR, SubscriptionKind.TABLE, (ip("192.0.40.1"),), 2**63, muted=frozenset({HOST})
)
ONE_OF_EACH = (CONTRIBUTION, RECEIPT, SUBSCRIPTION)


def long_refresh(nonce: int, records: bytes) -> Refresh:
    number = nonce.to_bytes(8, "big")
    register = b"\x3c\0\1\1" + number + b"\1\2\0\x10" + bytes(16) + records
    return Refresh(RECEIPT._replace(nonce=nonce, register=register, reply=None), records, number + bytes(16))


def contents(snapshot: Snapshot) -> tuple[frozenset[object], ...]:
    """A snapshot without its order, in which nothing is there twice."""
    parts = (snapshot.contributions, snapshot.receipts, snapshot.subscriptions, snapshot.floors, snapshot.gone)
    sets = tuple(frozenset(part) for part in parts)
    assert [len(part) for part in parts] == [len(part) for part in sets]
    return sets


def flipped(octets: bytes, place: int) -> bytes:
    bit = place % (8 * len(octets))
    changed = bytearray(octets)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def shortened(octets: bytes, place: int) -> bytes:
    return octets[: place % len(octets)]


def lengthened(octets: bytes, place: int) -> bytes:
    return octets + bytes([place & 0xFF])
