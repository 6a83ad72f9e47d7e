"""Whole stacks and variable-length fields are copied; what the parser does to headers besides extracting them."""

from __future__ import annotations

import pytest

from tests.softswitch.engine.support import only, switch_with

SWITCH = switch_with("copying")
TEXT = b"\x03xyz"


def run(op: int, stack: bytes, text: bytes = TEXT) -> tuple[int, int, bytes]:
    """The last index, whether the stack overflowed, and what follows the command."""
    reply = only(SWITCH.process(0, bytes([op, 0, 0]) + stack + text + b"!"))
    assert reply[0] == op
    return reply[1], reply[2], reply[3:]


@pytest.mark.parametrize("stack", [b"\x11", b"\x91\x12", b"\x91\x92\x13"])
def test_the_index_of_the_last_element(stack: bytes) -> None:
    assert run(7, stack) == (len(stack) - 1, 0, b"\x07" + stack + TEXT + b"!")


def test_a_stack_that_overflows_ends_the_parser() -> None:
    last, overflowed, rest = run(7, b"\x91\x92\x93\x14")
    assert (last, overflowed) == (2, 1)
    assert rest == b"\x07\x91\x92\x93\x14" + TEXT + b"!"  # what was not parsed follows as it came


@pytest.mark.parametrize("stack", [b"\x11", b"\x91\x92\x13"])
def test_a_stack_is_copied_with_the_validity_of_its_elements(stack: bytes) -> None:
    changed = bytes([stack[0] & 0x80]) + stack[1:]
    assert run(1, stack)[2] == b"\x01" + changed + stack + TEXT + b"!"


def test_a_stack_without_elements_is_copied_too() -> None:
    assert run(3, b"\x91\x12")[2] == b"\x03" + TEXT + b"!"


@pytest.mark.parametrize("text", [b"\x00", b"\x01a", b"\x08abcdefgh"])
def test_a_variable_length_field_is_copied_with_its_length(text: bytes) -> None:
    assert run(2, b"\x11", text)[2] == b"\x02\x11" + text + text + b"!"


def test_the_parser_makes_headers_valid_and_invalid() -> None:
    assert run(9, b"\x91\x12")[2] == b"\x91\x12" * 2 + TEXT + b"!"
