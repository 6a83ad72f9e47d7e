"""Which nonces an xTR has seen in notifications: what tells news from replays (RFC 9437 §6)."""

from __future__ import annotations

from enum import Enum, auto

from controller.lisp import Eid
from controller.mapping.machine import EidTable, NonceUse
from controller.xtr.nonces import NonceKeeper


class Verdict(Enum):
    """What the nonce of a notification says about one of its records."""

    NEW = auto()
    REPEATED = auto()
    """The last one again: its acknowledgement was lost (choice C11)."""
    OLD = auto()


class Ledger:
    """The last nonce believed, per mapping system, EID of a record, and counter.

    By EID, because publications of different EIDs overtake each other on the way, and none of them may be
    lost by that. By counter, because those of subscriptions and of member notifications have nothing to do
    with each other; an xTR's own subscriptions begin in a range that tells them apart.
    """

    def __init__(self, nonces: NonceKeeper) -> None:
        self._nonces = nonces
        self._seen: dict[tuple[str, bool], EidTable[int]] = {}

    @staticmethod
    def is_publication(nonce: int) -> bool:
        """Whether a nonce continues that of a subscription."""
        return nonce >= NonceUse.SUBSCRIPTION.lowest

    def is_acknowledgement(self, link: str, nonce: int) -> bool:
        """Whether a nonce is that of a Map-Register that was sent to a link, ever since the start."""
        return self._nonces.registered(link, nonce)

    def see(self, link: str, eid: Eid, nonce: int) -> None:
        """Note the nonce of what was just believed about `eid`."""
        publication = self.is_publication(nonce)
        self._nonces.believe(link, nonce, publication=publication)
        self._seen.setdefault((link, publication), EidTable())[eid] = nonce

    def verdict(self, link: str, eid: Eid, nonce: int, floor: int = -1) -> Verdict:
        """Judge the nonce of a notification about `eid`; what is not above `floor` is settled.

        So is what an earlier life of the process has seen.
        """
        publication = self.is_publication(nonce)
        seen = self._table(link, publication).get(eid)
        last = max(floor, -1 if seen is None else seen, self._nonces.floor(link, publication=publication))
        if nonce == last:
            return Verdict.REPEATED
        return Verdict.NEW if nonce > last else Verdict.OLD

    def highest(self, link: str, prefix: Eid) -> int:
        """The greatest nonce of a publication about an EID that `prefix` covers; -1 if there was none."""
        return max((nonce for _, nonce in self._table(link, True).inside(prefix)), default=-1)

    def settle(self, link: str, prefix: Eid, floor: int) -> None:
        """Forget the nonces of publications about EIDs in `prefix` that are below a floor."""
        table = self._table(link, True)
        for eid in [eid for eid, nonce in table.inside(prefix) if nonce < floor]:
            table.pop(eid)

    def _table(self, link: str, publication: bool) -> EidTable[int]:
        return self._seen.get((link, publication)) or EidTable()
