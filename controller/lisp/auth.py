"""Authentication Data of Map-Register, Map-Notify and Map-Notify-Ack (RFC 9301 §5.6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Algorithm(IntEnum):
    """Algorithm IDs (RFC 9301 §12.5)."""

    NONE = 0
    HMAC_SHA1_96 = 1
    HMAC_SHA256_128 = 2
    HMAC_SHA256_128_HKDF = 3


@dataclass(frozen=True, slots=True)
class Key:
    """A pre-shared key: `secret` octets as configured, its 8-bit `key_id`, and what to do with it."""

    key_id: int
    algorithm: Algorithm
    secret: bytes = field(repr=False)
