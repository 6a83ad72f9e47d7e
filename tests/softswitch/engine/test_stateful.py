"""State that outlives packets: registers, counters, meters; and hashes and random numbers."""

from __future__ import annotations

import logging
import zlib

import pytest

from softswitch.program.algorithms import CrcParameters
from softswitch.reference.trace import Event, Logged
from softswitch.state import ActionCall, Exact, OutOfRange
from softswitch.switch import EngineName, Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import only, program, switch_with

GREEN, YELLOW, RED = 0, 1, 2


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switch(clock: Clock) -> Switch:
    return switch_with("stateful", clock)


def run(switch: Switch, op: int, index: int = 0, value: int = 0, padding: int = 0) -> int:
    """The command's value afterwards."""
    reply = only(switch.process(0, bytes([op, index]) + value.to_bytes(4) + bytes(padding)))
    return int.from_bytes(reply[2:6])


def test_registers_add_up_in_their_width(switch: Switch) -> None:
    assert [run(switch, 0, index=3, value=v) for v in (5, 7, 0xFFFFFF)] == [5, 12, 11]
    register = switch.state.register("MainIngress.cells")
    assert [register.read(i) for i in (2, 3)] == [0, 11]
    register.write(3, 0x1000000 + 100)
    assert run(switch, 0, index=3, value=1) == 101


def test_beyond_the_end_of_a_register_nothing_is_kept(switch: Switch) -> None:
    assert [run(switch, 0, index=8, value=5) for _ in range(2)] == [5, 5]
    assert list(switch.state.register("MainIngress.cells")) == [0] * 8
    with pytest.raises(OutOfRange, match=r"MainIngress\.cells: index 8 not in 0\.\.7"):
        switch.state.register("MainIngress.cells").read(8)


def test_counters(switch: Switch) -> None:
    for padding in (0, 10, 20):
        run(switch, 1, index=2, padding=padding)
    run(switch, 1, index=8)
    counts = switch.state.counter("MainIngress.counts")
    assert counts.read(2) == (3, 48)
    assert [counts.read(i).packets for i in range(8)] == [0, 0, 3, 0, 0, 0, 0, 0]
    counts.write(2, 1, 2)
    run(switch, 1, index=2)
    assert counts.read(2) == (2, 8)


def test_a_packet_meter_colors_by_both_rates(switch: Switch, clock: Clock) -> None:
    meter = switch.state.meter("MainIngress.packet_meter")
    assert run(switch, 2) == GREEN
    meter.set_config(0, cir=1, cburst=2, pir=2, pburst=4)
    assert [run(switch, 2) for _ in range(6)] == [GREEN, GREEN, YELLOW, YELLOW, RED, RED]
    clock.advance(1)
    assert [run(switch, 2) for _ in range(3)] == [GREEN, YELLOW, RED]
    clock.advance(100)
    assert [run(switch, 2) for _ in range(5)] == [GREEN, GREEN, YELLOW, YELLOW, RED]
    meter.reset(0)
    assert run(switch, 2) == GREEN
    assert meter.read(0) is None


def test_a_byte_meter_counts_octets(switch: Switch) -> None:
    switch.state.meter("MainIngress.byte_meter").set_config(1, cir=1000, cburst=100, pir=1000, pburst=200)
    assert [run(switch, 3, index=1, padding=44) for _ in range(5)] == [GREEN, GREEN, YELLOW, YELLOW, RED]


def test_a_direct_meter_belongs_to_its_entry(switch: Switch) -> None:
    table = switch.state.table("MainIngress.by_index")
    assert run(switch, 4) == 3  # on a miss the meter is not asked
    for index in (0, 1):
        entry = table.insert((Exact(index),), ActionCall("MainIngress.metered"))
        assert entry.meter is not None
        entry.meter.set_config(cir=1, cburst=1, pir=1, pburst=2)
    assert [run(switch, 4, index=0) for _ in range(3)] == [GREEN, YELLOW, RED]
    assert run(switch, 4, index=1) == GREEN


def test_random_numbers_stay_in_their_bounds(switch: Switch) -> None:
    assert {run(switch, 5) for _ in range(200)} == {10, 11, 12}


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (17, zlib.crc32(b"123456789"[:5])),
        (18, 0xFFFF ^ (0x3132 + 0x3334 + 0x3500)),
        (19, 0x3132 ^ 0x3334 ^ 0x3500),
        (20, 0x3132333435 & 0xFFFFFFFF),
        (21, zlib.crc32(b"12345")),
        (23, 100 + zlib.crc32(b"12345") % 7),
    ],
    ids=["crc32", "csum16", "xor16", "identity", "crc32_custom", "base and modulus"],
)
def test_hashes(switch: Switch, op: int, expected: int) -> None:
    assert run(switch, op, index=0x31, value=0x32333435) == expected


def test_custom_crcs_take_other_parameters(switch: Switch) -> None:
    assert run(switch, 16, 0x31, 0x32333435) == run(switch, 22, 0x31, 0x32333435)
    calculation = next(c.name for c in switch.state.program.calculations.values() if c.algorithm == "crc16_custom")
    before = run(switch, 22, 0x31, 0x32333435)
    switch.state.set_crc_parameters(calculation, CrcParameters(16, 0x1021, 0xFFFF, 0, False, False))
    assert run(switch, 22, 0x31, 0x32333435) == 0x4560  # CRC-16/CCITT-FALSE of "12345"
    switch.state.set_crc_parameters(calculation, None)
    assert run(switch, 22, 0x31, 0x32333435) == before


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_log_messages(engine: EngineName, caplog: pytest.LogCaptureFixture) -> None:
    switch = switch_with("stateful", engine=engine)
    with caplog.at_level(logging.INFO):
        run(switch, 24, index=7, value=99)
    (record,) = [record for record in caplog.records if "index 7 value 99" in record.getMessage()]
    assert (record.levelno, record.name.split(".")[:2]) == (logging.INFO, ["softswitch", engine])


def test_log_messages_are_traced(switch: Switch) -> None:
    events: list[Event] = []
    switch.trace = events.append
    switch.set_program(program("stateful"))
    run(switch, 24, index=7, value=99)
    assert any(isinstance(event, Logged) and "index 7 value 99" in event.message for event in events)


def test_a_failed_assertion_drops_the_packet_only(switch: Switch) -> None:
    assert switch.process(0, bytes([25, 0, 0, 0, 0, 1])) == []
    assert run(switch, 25, value=0) == 0
