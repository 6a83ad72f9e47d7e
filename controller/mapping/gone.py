"""EIDs that nobody registers any more, as long as subscribers may not have acknowledged that.

What is registered is told again after a restart (`Publisher.resume`). That something is not registered any more has
to be remembered on purpose, or a subscriber that had not heard of it would not until it renews its subscription.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from controller.lisp import Eid
from controller.mapping.store import Change, Gone

_MOST: Final = 1 << 16  # who withdraws more meanwhile has the oldest forgotten
_ROUNDS: Final = 8  # a Map-Notify is sent to each ITR-RLOC in turn until one answers; few xTRs have so many


class GoneTable:
    """Who is gone, the longest gone first. Every change of it also goes to `journal`."""

    def __init__(self, journal: list[Change], eids: Iterable[Eid], delays: tuple[float, ...]) -> None:
        """`delays`: seconds after each transmission of a Map-Notify."""
        self._journal = journal
        self._patience = _ROUNDS * (sum(delays) + delays[-1])
        self._until: dict[Eid, float] = {}
        self._fresh = dict.fromkeys(eids)  # since when is not known yet

    def __iter__(self) -> Iterator[Eid]:
        yield from self._until
        yield from self._fresh

    def add(self, eid: Eid) -> None:
        """It is gone, and subscribers are being told."""
        if self._until.pop(eid, None) is None and eid not in self._fresh:
            self._journal.append(Gone(eid))
        self._fresh[eid] = None

    def discard(self, eid: Eid) -> None:
        """It is registered again."""
        if eid in self._until or eid in self._fresh:
            self._until.pop(eid, None)
            self._fresh.pop(eid, None)
            self._journal.append(Gone(eid, settled=True))

    def settle(self, now: float) -> None:
        """Forget those of whom every subscriber has heard by now, or is given up."""
        self._until |= dict.fromkeys(self._fresh, now + self._patience)
        self._fresh.clear()
        while self._until:
            eid = next(iter(self._until))
            if self._until[eid] > now and len(self._until) <= _MOST:
                break
            del self._until[eid]
            self._journal.append(Gone(eid, settled=True))
