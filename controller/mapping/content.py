"""What is said of an EID, in objects that all EIDs share of which the same is said.

A fabric has a million EIDs and few RLOC-sets. So whatever depends on the RLOC-set alone is worked out and kept once:
how it is written, which accelerator ids are in it, and what the Map-Server makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from controller.lisp import Address, RlocRecord
from controller.lisp.record_codec import encode_rloc_set
from controller.lisp.records import sort_locators
from controller.mapping.replication import merged_replication

_KEPT: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Content:
    """An EID-record without its EID: TTL in minutes, and the RLOC-set. Action, flags and version are zero."""

    ttl: int
    locators: tuple[RlocRecord, ...]
    _wire: tuple[bytes, bytes] | None = field(init=False, repr=False, compare=False, default=None)
    _acc_ids: tuple[int, ...] | None = field(init=False, repr=False, compare=False, default=None)
    _hash: int | None = field(init=False, repr=False, compare=False, default=None)

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", hash((self.ttl, self.locators)))
        assert self._hash is not None
        return self._hash

    @property
    def wire(self) -> tuple[bytes, bytes]:
        """The octets of an EID-record before its mask-len, and after its EID. Raises EncodeError."""
        if self._wire is None:
            object.__setattr__(self, "_wire", encode_rloc_set(self.ttl, self.locators))
        assert self._wire is not None
        return self._wire

    @property
    def acc_ids(self) -> tuple[int, ...]:
        """The binary accelerator ids in its metadata."""
        if self._acc_ids is None:
            metadata = (locator.metadata for locator in self.locators)
            found = tuple(one.acc_id for one in metadata if one is not None and one.acc_id is not None)
            object.__setattr__(self, "_acc_ids", found)
        assert self._acc_ids is not None
        return self._acc_ids


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms an xTR registers EIDs: what it says of them, and what it asks for.

    `timeout` in seconds from the last valid Map-Register; `proxy_reply`: the Map-Server may answer for it.
    """

    content: Content
    timeout: float
    proxy_reply: bool
    _alone: Content | None = field(init=False, repr=False, compare=False, default=None)
    _hash: int | None = field(init=False, repr=False, compare=False, default=None)

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", hash((self.content, self.timeout, self.proxy_reply)))
        assert self._hash is not None
        return self._hash

    @property
    def alone(self) -> Content:
        """What is published of an EID that nobody else has registered."""
        if self._alone is None:
            object.__setattr__(self, "_alone", merged_content([(self, 0)]))
        assert self._alone is not None
        return self._alone

    @classmethod
    def of(cls, ttl: int, locators: tuple[RlocRecord, ...], timeout: float, proxy_reply: bool) -> Terms:
        """The one object that stands for these terms, as long as it is in use now and then."""
        return _shared(Terms(Content(ttl, locators), timeout, proxy_reply))


@lru_cache(maxsize=_KEPT)
def _shared(terms: Terms) -> Terms:
    return terms


def merged_content(parts: Iterable[tuple[Terms, int]]) -> Content:
    """Merge registrations, each with its serial number, into what is published (choice C4).

    Every RLOC is listed once, as its owner describes it if the owner registered, else as the latest does; TTL is the
    smallest. All replication lists become one. The Map-Server answers by proxy: no locator is local, none probed, the
    record is not authoritative (RFC 9301 §5.4, requirement PR-REP-1).
    """
    chosen: dict[Address, tuple[bool, int, RlocRecord]] = {}
    ttls: list[int] = []
    for terms, serial in parts:
        ttls.append(terms.content.ttl)
        for locator in terms.content.locators:
            rank = (locator.local, serial)
            held = chosen.get(locator.rloc or locator.address)
            if held is None or rank > held[:2]:
                chosen[locator.rloc or locator.address] = (*rank, locator)
    locators = merged_replication(_as_told_by_proxy(locator) for _, _, locator in chosen.values())
    return Content(min(ttls), sort_locators(locators))


def _as_told_by_proxy(locator: RlocRecord) -> RlocRecord:
    if not locator.local and not locator.probed:
        return locator
    return RlocRecord(
        locator.address,
        locator.priority,
        locator.weight,
        locator.mpriority,
        locator.mweight,
        reachable=locator.reachable,
    )
