"""Where nonces begin.

Nonces of registrations, subscriptions and publications are counters, and a receiver drops what is not
greater than the last (RFC 9301 §5.6, RFC 9437 §5). A counter that begins at the wall clock stays ahead of
every counter of an earlier life of the process, whether or not anything was stored (choice C3).

The three uses begin in different quarters of the 64 bits, because an xTR meets all of them in Map-Notifies:
an acknowledgement of its own Map-Register, a notification to a member of an RLOC-set, whose counter is the
Map-Server's (choice C18), and a publication, which continues the nonce of the xTR's subscription. A message
that comes late is then never compared with a counter that it does not belong to.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from controller.lisp.constants import MAX_NONCE

COUNTER_LIMIT: Final = MAX_NONCE - 2**32
"""A counter that a peer starts above this is refused: it would leave no nonces to continue with."""

_RANDOM_BITS: Final = 20
_CLOCK_BITS: Final = 42  # of milliseconds: until the year 2109


class NonceUse(IntEnum):
    """What a counter is for; the upper two bits of its nonces."""

    REGISTRATION = 0
    MEMBER = 1
    SUBSCRIPTION = 2

    @property
    def lowest(self) -> int:
        """The smallest nonce of this use."""
        return self << _CLOCK_BITS + _RANDOM_BITS


class NonceSource:
    """Gives the first nonce of each counter, and nonces that count nothing.

    `unix_ms` is the wall clock in milliseconds when the machine's own clock shows `now` (seconds); from then
    on only the machine's clock counts. `entropy(n)` returns n random bits.
    """

    def __init__(self, unix_ms: int, now: float, entropy: Callable[[int], int] = secrets.randbits) -> None:
        self._unix_ms = unix_ms
        self._started = now
        self._entropy = entropy
        self._last_ms = 0

    @classmethod
    def from_clock(cls, now: float) -> NonceSource:
        """A source that begins at the present wall clock."""
        return cls(time.time_ns() // 1_000_000, now)

    def unpredictable(self) -> int:
        """64 random bits: for a request that is matched with its answer and compared with nothing."""
        return self._entropy(64)

    def first(self, use: NonceUse, now: float) -> int:
        """The first nonce of a counter.

        Milliseconds above 20 random bits: greater than every counter of that use begun before, as long as
        none of them advanced by more than a million a millisecond.
        """
        self._last_ms = max(self._last_ms + 1, self._unix_ms + int((now - self._started) * 1000))
        return use.lowest | self._last_ms << _RANDOM_BITS | self._entropy(_RANDOM_BITS)
