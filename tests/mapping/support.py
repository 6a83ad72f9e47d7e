"""What tests of publications have in common: EIDs, and what a peer was told."""

from __future__ import annotations

from collections.abc import Sequence

from controller.lisp import DistinguishedName, Eid, MapNotify
from tests.mapping.harness import IID, Bench, Peer, eid, messages, rlocs

HOST = eid("40.0.0.7")
SUBNET = eid("40.0.0.0/16")
GATEWAY = Eid(IID, DistinguishedName("pETR"))


def told(outputs: Sequence[object], peer: Peer) -> list[tuple[str, int, list[str]]]:
    """EID, TTL and RLOCs of every record in Map-Notifies to a peer."""
    return [
        (str(record.key.target), record.ttl, rlocs(record))
        for message in messages(outputs, MapNotify, to=peer)
        for record in message.records
    ]


def retransmissions(bench: Bench, peer: Peer, until: float) -> list[tuple[float, MapNotify]]:
    """Let time pass; returns when which Map-Notify went to a peer."""
    found: list[tuple[float, MapNotify]] = []
    while (due := bench.server.next_deadline()) is not None and due <= until:
        found += [(due, message) for message in messages(bench.server.tick(due), MapNotify, to=peer)]
    return found
