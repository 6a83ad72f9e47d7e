"""What a Map-Server allows its xTRs to occupy, so that no flood exhausts its memory or its time (RFC 9437 §5)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from controller.mapping.machine import Pace, fail
from controller.mapping.store import XtrKey


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of things and rates per second; each at least 1. What is beyond them is refused, never an error.

    `subscriptions_per_xtr`: of one xTR; of ended ones, whose nonces protect against replays, as many are
    remembered. `subscriptions`: of all xTRs. `registrations_per_xtr`: EIDs that one xTR may register.
    `subscribe_rate`, `subscribe_burst`: subscriptions that one xTR may ask for; what is faster is answered
    like any Map-Request. `notify_rate`, `notify_burst`: unsolicited Map-Notifies to all xTRs.
    """

    subscriptions_per_xtr: int = 8192
    subscriptions: int = 1 << 20
    registrations_per_xtr: int = 1 << 20
    subscribe_rate: float = 100.0
    subscribe_burst: int = 4096
    notify_rate: float = 20_000.0
    notify_burst: int = 8192

    def check(self, place: str) -> None:
        """Raises ConfigError for the first limit that allows nothing."""
        for one in fields(self):
            value = getattr(self, one.name)
            if not value >= 1:
                fail(f"{place}.{one.name}", value, "must be at least 1")


class SubscribePace:
    """How fast each xTR may subscribe. Ask only for xTRs of the configuration: there is one entry for each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._paces: dict[XtrKey, Pace] = {}

    def admit(self, xtr: XtrKey, now: float) -> bool:
        """Whether one more subscription of `xtr` may be taken now; if so it counts."""
        pace = self._paces.get(xtr)
        if pace is None:
            pace = self._paces[xtr] = Pace(self._limits.subscribe_rate, self._limits.subscribe_burst, now)
        return pace.admit(now)
