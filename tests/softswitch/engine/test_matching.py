"""Every kind of match, against tables filled by the control plane and by the program."""

from __future__ import annotations

import pytest

from softswitch.state import ActionCall, Exact, Lpm, Match, Optional_, Range, Ternary
from softswitch.switch import Switch
from tests.softswitch.engine.support import only, switch_with

ANSWER = "MainIngress.answer"


def ask(switch: Switch, table: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> tuple[int, int, int]:
    """The answer's hit, value and path."""
    query = bytes([table, a]) + b.to_bytes(2) + (c << 4 | d).to_bytes(2)
    reply = only(switch.process(0, query))
    assert reply[:1] == b"\xee"
    assert reply[1:6] == query[1:]
    return reply[6], int.from_bytes(reply[7:9]), reply[9]


def fill(switch: Switch, table: str, *entries: tuple[Match, int, int]) -> None:
    for match, value, priority in entries:
        switch.state.table(f"MainIngress.{table}").insert(match, ActionCall(ANSWER, (value,)), priority)


@pytest.fixture
def switch() -> Switch:
    return switch_with("matches")


def test_exact(switch: Switch) -> None:
    fill(switch, "exact_table", ((Exact(1), Exact(2)), 10, 0), ((Exact(1), Exact(3)), 11, 0))
    assert ask(switch, 0, a=1, c=2) == (1, 10, 0)
    assert ask(switch, 0, a=1, c=3) == (1, 11, 0)
    assert ask(switch, 0, a=2, c=2) == (2, 0, 0)


def test_longest_prefix(switch: Switch) -> None:
    fill(
        switch,
        "lpm_table",
        ((Exact(1), Lpm(0x1200, 8)), 8, 0),
        ((Exact(1), Lpm(0x1230, 12)), 12, 0),
        ((Exact(1), Lpm(0x1234, 16)), 16, 0),
        ((Exact(2), Lpm(0, 0)), 100, 0),
    )
    assert [ask(switch, 1, a=1, b=b)[:2] for b in (0x1234, 0x1235, 0x1299, 0x1300)] == [
        (1, 16),
        (1, 12),
        (1, 8),
        (2, 0xFFFF),
    ]
    assert ask(switch, 1, a=2, b=0x1234) == (1, 100, 0)


def test_ternary_priority_and_action_run(switch: Switch) -> None:
    fill(
        switch,
        "ternary_table",
        ((Ternary(0x10, 0xF0), Lpm(0, 0), Exact(5)), 1, 10),
        ((Ternary(0x11, 0xFF), Lpm(0xAB00, 8), Exact(5)), 2, 20),
        ((Ternary(0, 0), Lpm(0, 0), Exact(6)), 3, 1),
    )
    assert ask(switch, 2, a=0x11, b=0xABCD, d=5) == (0, 2, 1)
    assert ask(switch, 2, a=0x11, b=0x1234, d=5) == (0, 1, 1)
    assert ask(switch, 2, a=0x77, d=6) == (0, 3, 1)
    assert ask(switch, 2, a=0x77, d=7) == (0, 0, 2)


def test_of_equal_priorities_the_lower_handle_wins(switch: Switch) -> None:
    """Handles are given lowest first, so an entry in a freed place comes before those added earlier."""
    table = switch.state.table("MainIngress.ternary_table")
    first, second, third = ((Ternary(0, mask), Lpm(0, 0), Exact(0)) for mask in (1, 2, 4))
    fill(switch, "ternary_table", (first, 1, 5), (second, 2, 5))
    assert ask(switch, 2)[1] == 1
    table.delete(first, 5)
    assert ask(switch, 2)[1] == 2
    fill(switch, "ternary_table", (third, 3, 5))
    assert ask(switch, 2)[1] == 3


def test_ranges(switch: Switch) -> None:
    anything = Ternary(0, 0)
    fill(
        switch,
        "range_table",
        ((Range(10, 20), Range(0, 0xFFF), anything), 1, 5),
        ((Range(15, 15), Range(100, 200), anything), 2, 9),
        ((Range(0, 255), Range(0, 0xFFF), Ternary(0x0100, 0x0F00)), 3, 1),
    )
    assert [ask(switch, 3, a=a, b=b, c=c)[1] for a, b, c in ((10, 0, 0), (20, 0, 0), (15, 0, 100), (15, 0, 99))] == [
        1,
        1,
        2,
        1,
    ]
    assert ask(switch, 3, a=21)[1] == 0
    assert ask(switch, 3, a=21, b=0xF1FF)[1] == 3


def test_optional(switch: Switch) -> None:
    fill(
        switch,
        "optional_table",
        ((Optional_(1), Optional_(2)), 12, 3),
        ((Optional_(1), Optional_(None)), 10, 2),
        ((Optional_(None), Optional_(None)), 99, 1),
    )
    assert [ask(switch, 4, a=a, d=d)[1] for a, d in ((1, 2), (1, 3), (2, 2))] == [12, 10, 99]


def test_validity_and_expressions_as_keys(switch: Switch) -> None:
    fill(switch, "valid_table", ((Exact(1), Exact(1), Exact(0x0AB0)), 5, 0))
    assert ask(switch, 5, b=0xFABF)[1] == 5
    assert ask(switch, 5, b=0xFACF)[1] == 0


def test_constant_entries_in_program_order(switch: Switch) -> None:
    assert ask(switch, 6, a=0x10, b=0x2000) == (0, 1, 0)
    assert ask(switch, 6, a=0x1F, b=0x3333) == (0, 1, 0)
    assert ask(switch, 6, a=0x20, b=0x3333) == (0, 3, 30)
    assert ask(switch, 6, a=0x20, b=0x3334) == (0, 7, 70)


def test_constant_prefixes(switch: Switch) -> None:
    assert [ask(switch, 7, b=b)[1] for b in (0x1234, 0x1299, 0x2234)] == [12, 8, 0]


def test_exit_ends_the_control(switch: Switch) -> None:
    assert only(switch.process(0, bytes([8, 0, 0, 0, 0, 0])))[:1] == b"\x08"
