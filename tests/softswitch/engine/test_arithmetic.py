"""Every operator, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.softswitch.engine.support import only, switch_with

SWITCH = switch_with("arithmetic")

edges = st.sampled_from([0, 1, 2, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF])
words = st.one_of(edges, st.integers(0, 0xFFFF), st.integers(0, 40))


def signed(value: int, width: int = 16) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> width - 1 else value


def saturate(value: int) -> int:
    return max(-0x8000, min(0x7FFF, value))


# By operation: the unsigned value, the signed value and the flag that the program must compute.
Compute = Callable[[int, int, int, int], tuple[int, int, int]]
EXPECTED: list[Compute] = [
    lambda a, b, sa, sb: ((a + b) & 0xFFFF, signed(sa + sb), 0),
    lambda a, b, sa, sb: ((a - b) & 0xFFFF, signed(sa - sb), 0),
    lambda a, b, sa, sb: (a * b, signed(sa * sb), 0),
    lambda a, b, sa, sb: (min(a + b, 0xFFFF), saturate(sa + sb), 0),
    lambda a, b, sa, sb: (max(a - b, 0), saturate(sa - sb), 0),
    lambda a, b, sa, sb: (a << (b & 31) & 0xFFFF, signed(sa << (b & 31)), 0),
    lambda a, b, sa, sb: (a >> (b & 31), sa >> (b & 31), 0),
    lambda a, b, sa, sb: (a & b, signed(sa | sb), 0),
    lambda a, b, sa, sb: (a ^ b, ~sa, 0),
    lambda a, b, sa, sb: (a << 16 | b, signed(-sa), 0),
    lambda a, b, sa, sb: (a << 8, signed(a, 8), 0),
    lambda a, b, sa, sb: (1 if a > b else 2, 1 if sa > sb else -1, 0),
    lambda a, b, sa, sb: (a ^ 0xFFFF, 0, int((sa >= sb and a != b) or sa == -1)),
    lambda a, b, sa, sb: (sa + 1 & 0xFFFF, 0, int(signed(sa + 1) < 0)),
    lambda a, b, sa, sb: (0, 0, 0),
]


@settings(max_examples=300, deadline=None)
@given(op=st.integers(0, len(EXPECTED) - 1), a=words, b=words, sa=words, sb=words)
def test_operators(op: int, a: int, b: int, sa: int, sb: int) -> None:
    packet = bytes([op]) + b"".join(value.to_bytes(2) for value in (a, b, sa, sb)) + b"rest"
    reply = only(SWITCH.process(0, packet))
    assert reply[:9] == packet[:9]
    assert reply[16:] == b"rest"
    result = int.from_bytes(reply[9:13]), int.from_bytes(reply[13:15], signed=True), reply[15]
    assert result == EXPECTED[op](a, b, signed(sa), signed(sb))
