"""Who is designated: highest random weight (RFC 8584 §3), and the right to begin.

Everyone ranks the candidates alike, so the election needs no messages. When to begin does, because views of
the candidates differ for a while after each change. What an xTR registers anyway serves as the lock: the
receiver's EID, and the entry in the replication list. It registers both first, and forwards only after the
mapping system has acknowledged both with mappings in which no rival has both too. Of two that want to, the one
that the mapping system hears later sees the other and waits until that has left; and each leaves the moment
it hears of a better one. So the old one stops before the new one starts (break before make), whatever is lost,
late or doubled on the way.

What is acknowledged is a lease: it ends when the mapping system would have forgotten it, counted from the moment
when the refresh was sent, which is never later than the mapping system's own count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from controller.lisp import Eid, IPAddress
from controller.lisp.address_encode import encode_address
from controller.lisp.replication import any_source


class Proof(NamedTuple):
    """An acknowledged Map-Register: when it was `sent`, and whose RLOCs the mapping had then."""

    sent: float
    rlocs: frozenset[IPAddress]


def rank(group: Eid, candidates: Iterable[IPAddress]) -> list[IPAddress]:
    """Candidates for a group, the best first: SHA-256 over group and RLOC decides, not who asks.

    All sources of a group have the same order. Instance-IDs and groups spread evenly over the candidates, and
    of all groups only those of a candidate that goes or comes change hands.
    """
    address, _ = any_source(group).to_wire()
    key = encode_address(address)
    return sorted(set(candidates), key=lambda rloc: hashlib.sha256(key + rloc.packed).digest(), reverse=True)


@dataclass(slots=True)
class Unit:
    """What one xTR is to be found for: a receiver of a group, or a whole Site at its border.

    `wanted`: since when this xTR claims it; an acknowledgement counts only if it answers what was sent from
    then on. `absent`: since when nobody better has been in the list. `rivalled`: since when an acknowledged
    list has had a rival. `granted`: this xTR is the designated one.
    """

    wanted: float | None = None
    absent: float | None = None
    rivalled: float | None = None
    granted: bool = False

    def claim(self, better: list[IPAddress], listed: frozenset[IPAddress], patience: float, now: float) -> float | None:
        """Decide whether to claim: at once if nobody is `better`, or if all of those fail to join for long enough.

        Each of them is given `patience` of its own, so that the next in rank goes first. A claim stands until
        somebody better is in the list. Returns when to look again.
        """
        if listed.intersection(better):
            self.renounce()
            return None
        if self.absent is None:
            self.absent = now
        due = self.absent + patience * len(better)
        if self.wanted is None and now >= due:
            self.wanted = now
        return due if self.wanted is None else None

    def grant(self, rivals: frozenset[IPAddress], leased_until: float, hold: float | None, now: float) -> float | None:
        """Decide whether the claim holds, after the mapping system has acknowledged it. Returns when to look again.

        `rivals`: who might forward too, as far as the acknowledgements go. `hold`: one that does not leave is
        waited for only so long; None: until it leaves.
        """
        if self.granted or not rivals:
            self.granted, self.rivalled = True, None
            return leased_until
        if self.rivalled is None:
            self.rivalled = now
        if hold is not None and now >= self.rivalled + hold:
            self.granted = True
            return leased_until
        return self.rivalled + hold if hold is not None else None

    def lapse(self, now: float) -> None:
        """A lease is over: nothing that was acknowledged before counts any more."""
        if self.granted:
            self.granted, self.rivalled, self.wanted = False, None, now

    def renounce(self) -> None:
        """Somebody else is to do it."""
        self.wanted = self.absent = self.rivalled = None
        self.granted = False
