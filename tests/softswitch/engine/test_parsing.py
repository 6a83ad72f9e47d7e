"""Parser constructs. The program reports in front of the packet what its parser has done."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from softswitch.state import Exact, Ternary
from softswitch.switch import Switch
from tests.softswitch.engine.support import only, switch_with

NO_ERROR, TOO_SHORT, OUT_OF_BOUNDS, TOO_MANY, BAD_MAGIC, TIMEOUT, HEADER_TOO_SHORT = range(7)
FIRST, LABEL_0, LABEL_2, OPTIONS, SMALL_0, LARGE_0, ITEM_1 = (1 << i for i in range(7))


class Report(NamedTuple):
    error: int
    marked: int
    looked: int
    flags: int
    signed: int


@pytest.fixture
def switch() -> Switch:
    return switch_with("parsing")


def parse(switch: Switch, packet: bytes) -> Report:
    """The report; the packet behind it must be whole, for nothing is removed."""
    reply = only(switch.process(0, packet))
    assert reply[6:] == packet
    return Report(reply[0], reply[1], int.from_bytes(reply[2:4]), reply[4], int.from_bytes(reply[5:6], signed=True))


def label(value: int, bottom: int, ttl: int = 9) -> bytes:
    return (value << 12 | bottom << 8 | ttl).to_bytes(4)


def test_a_packet_too_short_for_the_first_header(switch: Switch) -> None:
    assert parse(switch, b"\x00") == Report(TOO_SHORT, 0, 0, 0, 0)


def test_lookahead_reads_without_taking(switch: Switch) -> None:
    assert parse(switch, b"\x70\x00\xab\xcd") == Report(NO_ERROR, 0, 0xABCD, FIRST, 0)
    assert parse(switch, b"\x70\x00\xab") == Report(TOO_SHORT, 0, 0, FIRST, 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_stack_fills_until_the_bottom(switch: Switch, count: int) -> None:
    packet = b"\0\0" + b"".join(label(i, i == count - 1) for i in range(count)) + b"behind"
    flags = FIRST | LABEL_0 | (LABEL_2 if count == 3 else 0)
    assert parse(switch, packet) == Report(NO_ERROR, 0, 0, flags, 0)


def test_a_full_stack_takes_no_more(switch: Switch) -> None:
    packet = b"\0\0" + label(1, 0) * 4
    assert parse(switch, packet) == Report(OUT_OF_BOUNDS, 0, 0, FIRST | LABEL_0 | LABEL_2, 0)


def test_verify_keeps_what_was_extracted(switch: Switch) -> None:
    assert parse(switch, b"\0\0" + label(1, 0, ttl=0)) == Report(TOO_MANY, 0, 0, FIRST | LABEL_0, 0)


@pytest.mark.parametrize(
    ("length", "present", "error"),
    [
        (0, 0, NO_ERROR),
        (1, 1, NO_ERROR),
        (40, 40, NO_ERROR),
        (5, 4, TOO_SHORT),
        (41, 60, HEADER_TOO_SHORT),
        (41, 9, TOO_SHORT),
    ],
)
def test_variable_length(switch: Switch, length: int, present: int, error: int) -> None:
    report = parse(switch, bytes([1, 0, length]) + bytes(range(present)) + (b"" if error else b"payload"))
    assert (report.error, report.flags) == (error, FIRST if error else FIRST | OPTIONS)


def test_unions_and_stacks_of_them(switch: Switch) -> None:
    small, large = b"\x55\x01", b"\xaa\x02\x03\x04"
    assert parse(switch, b"\2\0" + small + large + b"\0").flags == FIRST | SMALL_0 | ITEM_1
    assert parse(switch, b"\2\0" + large + b"\0").flags == FIRST | LARGE_0
    assert parse(switch, b"\2\0" + large * 3).error == OUT_OF_BOUNDS


@pytest.mark.parametrize(
    ("skip", "error", "looked"),
    [(0, NO_ERROR, 0x1011), (3, NO_ERROR, 0x1314), (6, TOO_SHORT, 0x1011), (9, TOO_SHORT, 0x1011)],
)
def test_advance(switch: Switch, skip: int, error: int, looked: int) -> None:
    """What is skipped is gone: the packet leaves without it."""
    packet = bytes([3, skip]) + bytes(range(0x10, 0x16))
    reply = only(switch.process(0, packet))
    assert reply[0] == error
    assert int.from_bytes(reply[2:4]) == looked
    assert reply[6:] == (packet[:2] + packet[2 + skip :] if skip <= 6 else packet)


def test_verify_with_lookahead(switch: Switch) -> None:
    assert parse(switch, b"\4\0\x42\x42").marked == 42
    assert parse(switch, b"\4\0\x42\x43") == Report(BAD_MAGIC, 0, 0x4243, FIRST, 0)


def test_a_parser_that_never_ends_is_stopped(switch: Switch) -> None:
    assert parse(switch, b"\5\0\1\2").error == TIMEOUT


def test_value_sets_change_at_run_time(switch: Switch) -> None:
    special = switch.state.value_set("Parse.special_kinds")
    assert parse(switch, b"\x77\0\0\0").marked == 0
    special.set_members([(Exact(0x76),), (Ternary(0x07, 0x0F),)])
    assert [parse(switch, bytes([kind, 0, 0, 0])).marked for kind in (0x77, 0x76, 0x75)] == [99, 99, 0]
    special.clear()
    assert parse(switch, b"\x77\0\0\0").marked == 0


@pytest.mark.parametrize(("octet", "half"), [(0x40, 0x20), (0xFF, -1), (0x80, -64), (0x7F, 63), (0xFE, -1)])
def test_masked_transition_and_signed_metadata(switch: Switch, octet: int, half: int) -> None:
    assert parse(switch, bytes([0x8A, octet, 0, 0])).signed == half
