"""Replication lists in the mapping system: how they are merged, and which of them are accepted (RFC 8378)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from controller.lisp import EidRecord, IPAddress, ReplicationEntry, ReplicationList, RlocRecord, is_group
from controller.lisp.constants import RLE_LEVEL


def merged_replication(locators: Iterable[RlocRecord]) -> list[RlocRecord]:
    """All replication lists among the locators of a mapping as one, which has each RLOC once (RFC 8378 §5.1.3).

    The rest of that locator is taken from the first list. Other locators stay as they are.
    """
    merged: list[RlocRecord] = []
    lists: list[RlocRecord] = []
    for locator in locators:
        (lists if isinstance(locator.address, ReplicationList) else merged).append(locator)
    if not lists:
        return merged
    entries: dict[object, ReplicationEntry] = {}
    for locator in lists:
        assert isinstance(locator.address, ReplicationList)
        for entry in locator.address.entries:
            entries.setdefault(entry.address, entry)
    ordered = sorted(entries.values(), key=_place)
    return [*merged, replace(lists[0], address=ReplicationList(tuple(ordered)))]


def replication_problem(record: EidRecord, rlocs: tuple[IPAddress, ...] | None) -> str | None:
    """Why the locators of a record do not fit its EID; None if they do.

    A group has one locator, a replication list of level 128 (RFC 8378 §5.1.2), and only with RLOCs of the xTR
    that registers it, where those are known: `rlocs`. Nobody else's traffic can so be sent to a stranger. What
    is no group has no replication list.
    """
    lists = [locator for locator in record.locators if isinstance(locator.address, ReplicationList)]
    if not is_group(record.key):
        return "is no group, but has a replication list" if lists else None
    if len(lists) != 1 or len(record.locators) != 1:
        return "a group needs one locator, its replication list"
    assert isinstance(lists[0].address, ReplicationList)
    if not lists[0].address.entries:
        return "the replication list is empty"
    for entry in lists[0].address.entries:
        target = entry.address
        if not isinstance(target, (IPv4Address, IPv6Address)) or target.is_multicast or target.is_unspecified:
            return f"replicates to {target}, which is no unicast address"
        if entry.level != RLE_LEVEL:
            return f"replicates to {target} at level {entry.level} instead of {RLE_LEVEL}"
        if rlocs is not None and target not in rlocs:
            return f"replicates to {target}, which is not the xTR's own"
    return None


def _place(entry: ReplicationEntry) -> tuple[int, int]:
    target = entry.address
    return (target.version, int(target)) if isinstance(target, (IPv4Address, IPv6Address)) else (0, 0)
