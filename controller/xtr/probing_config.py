"""How an xTR watches the locators of its map-cache."""

from __future__ import annotations

from dataclasses import dataclass

from controller.mapping.machine import fail


@dataclass(frozen=True, slots=True)
class Probing:
    """RLOC-probing (RFC 9301 §7.1). Times in seconds.

    Each RLOC of the map-cache is probed every `interval`, give or take the share `jitter` of it, so that the
    probes of many xTRs do not come together. A probe without an answer within `timeout` is repeated; after
    `tries` of them the RLOC is unreachable, and is probed every `down_interval` until it answers.

    Raises ConfigError for a number out of its range.
    """

    interval: float = 60.0
    jitter: float = 0.25
    timeout: float = 1.0
    tries: int = 3
    down_interval: float = 10.0

    def __post_init__(self) -> None:
        for name in ("interval", "timeout", "tries", "down_interval"):
            if getattr(self, name) <= 0:
                fail(f"probing.{name}", getattr(self, name), "must be positive")
        if not 0 <= self.jitter < 1:
            fail("probing.jitter", self.jitter, "must be at least 0 and less than 1")
        if self.interval * (1 - self.jitter) <= self.timeout * self.tries:
            fail("probing.interval", self.interval, f"does not leave time for {self.tries} tries")
