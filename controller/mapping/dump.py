"""Read-only views of a Map-Server's state, for operators and tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.lisp import Eid, RlocRecord
from controller.mapping.delivery import Channel
from controller.mapping.registry import Registry
from controller.mapping.store import XtrKey


@dataclass(frozen=True, slots=True)
class ContributionView:
    """What one xTR registered: its locators, and when (machine time, seconds) that expires."""

    xtr: XtrKey
    locators: tuple[RlocRecord, ...]
    expires: float


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A mapping as it is published, `ttl` in minutes, and who registered it."""

    eid: Eid
    locators: tuple[RlocRecord, ...]
    ttl: int
    contributions: tuple[ContributionView, ...]


@dataclass(frozen=True, slots=True)
class PendingNotify:
    """A stream of Map-Notifies that an xTR has not acknowledged in full.

    `subscription` is None for notifications to a member of an RLOC-set. `unacknowledged` holds the nonces
    under way, `waiting` the EIDs that come after them.
    """

    xtr: XtrKey
    subscription: Eid | None
    unacknowledged: tuple[int, ...]
    waiting: tuple[Eid, ...]


def registration_views(registry: Registry) -> list[RegistrationView]:
    """All mappings in the order of their EIDs."""
    views: list[RegistrationView] = []
    for eid in sorted(registry.table):
        mapping = registry.table[eid]
        parts = tuple(
            ContributionView(part.xtr, part.terms.content.locators, part.lease.due)
            for part in sorted(mapping.parts, key=lambda part: str(part.xtr))
        )
        views.append(RegistrationView(eid, mapping.content.locators, mapping.content.ttl, parts))
    return views


def pending_notifies(channels: Iterable[Channel]) -> list[PendingNotify]:
    """All streams with something to tell."""
    return [
        PendingNotify(
            channel.key.xtr,
            channel.key.subscription,
            tuple(flight.key.nonce for flight in channel.flights.values()),
            tuple(channel.waiting),
        )
        for channel in channels
        if channel.flights or channel.waiting
    ]
