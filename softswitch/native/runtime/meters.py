"""Two-rate three-color meters; the same cells as :mod:`softswitch.state.meters`."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    BUCKET_BURST,
    BUCKET_FILLED,
    BUCKET_RATE,
    BUCKET_TOKENS,
    METER_COMMITTED,
    METER_CONFIGURED,
    METER_ORIGIN,
    METER_PEAK,
)
from softswitch.native.words import u64, word

_US_PER_S = 1_000_000


@word
def bucket_take(bucket: int, amount: int, elapsed_us: int) -> int:
    """Fill a bucket up to now, then take amount if there is enough."""
    rate = u64[bucket + BUCKET_RATE]
    produced = elapsed_us // _US_PER_S * rate + elapsed_us % _US_PER_S * rate // _US_PER_S
    tokens = u64[bucket + BUCKET_TOKENS] + (produced - u64[bucket + BUCKET_FILLED])
    tokens = min(u64[bucket + BUCKET_BURST], tokens)
    u64[bucket + BUCKET_FILLED] = produced
    enough = tokens >= amount
    if enough:
        tokens -= amount
    u64[bucket + BUCKET_TOKENS] = tokens
    return enough


@word
def meter_execute(cell: int, amount: int, now_ns: int) -> int:
    """Account a packet; 0 green, 1 yellow, 2 red."""
    if u64[cell + METER_CONFIGURED] == 0:
        return 0
    elapsed_us = (now_ns - u64[cell + METER_ORIGIN]) // 1000
    if bucket_take(cell + METER_PEAK, amount, elapsed_us) == 0:
        return 2
    if bucket_take(cell + METER_COMMITTED, amount, elapsed_us) == 0:
        return 1
    return 0
