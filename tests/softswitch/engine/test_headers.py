"""Headers in controls: stacks, unions, assignment, validity, variable-length fields."""

from __future__ import annotations

import pytest

from tests.softswitch.engine.support import only, switch_with

SWITCH = switch_with("headers")
STACK, ONE, TWO, SMALL, TEXT = b"AB", b"CD", b"EF", b"G", b"\x03xyz"


def run(op: int, index: int = 0, value: int = 0) -> tuple[int, bytes]:
    """The command's value and what follows the command."""
    packet = bytes([op, index, value]) + STACK + ONE + TWO + SMALL + TEXT
    reply = only(SWITCH.process(0, packet + b"!"))
    assert reply.endswith(b"!")
    return reply[2], reply[3:-1]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (0, b"zAB" + ONE + TWO + SMALL + TEXT),
        (1, b"B" + ONE + TWO + SMALL + TEXT),
        (2, b"A" + ONE + TWO + SMALL + TEXT),  # three places from the front, B falls out at the end
        (12, ONE + TWO + SMALL + TEXT),
        (5, STACK + TWO + TWO + SMALL + TEXT),
        (6, STACK + SMALL + TEXT),
        (8, STACK + ONE + TWO + b"\xbe\xef" + TEXT),
        (9, STACK + ONE + TWO + TEXT),
        (10, STACK + ONE + TWO + SMALL + TEXT + TEXT),
        (11, STACK + b"\0\5" + TWO + SMALL + TEXT),
        (99, STACK + ONE + TWO + SMALL + TEXT),
    ],
    ids=[
        "push",
        "pop",
        "push 3",
        "pop all",
        "assign",
        "assign invalid",
        "union replaces",
        "union empty",
        "varbit",
        "set valid",
        "nothing",
    ],
)
def test_the_packet_that_leaves(op: int, expected: bytes) -> None:
    assert run(op, value=ord("z"))[1] == expected


def test_run_time_index() -> None:
    assert run(3, index=1, value=ord("q"))[1].startswith(b"Aq")
    assert [run(4, index=i)[0] for i in (0, 1)] == [ord("A"), ord("B")]


def test_an_index_beyond_the_stack_touches_nothing() -> None:
    assert run(3, index=200, value=ord("q"))[1] == STACK + ONE + TWO + SMALL + TEXT
    assert run(4, index=200)[0] == 0


def test_equality_of_headers() -> None:
    assert run(7)[0] == 2
    packet = bytes([7, 0, 0]) + STACK + ONE + ONE + SMALL + TEXT
    assert only(SWITCH.process(0, packet))[2] == 1


def test_validity_of_a_union() -> None:
    assert run(9)[0] == 2
