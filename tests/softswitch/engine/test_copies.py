"""What becomes of packets: replication, clones, resubmission, recirculation, truncation, digests, the CPU port.

Each packet that leaves says, in the fields of its command, how it came about.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import pytest

from softswitch.state import CloneSession, DigestConfig, DigestList, Replica
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import CPU_PORT, switch_with

NORMAL, INGRESS_CLONE, EGRESS_CLONE, _, _, REPLICATED, _ = range(7)
KEPT, LOST = 0x11, 0x22  # what ingress leaves in the two metadata fields
PAYLOAD = b"payload"
WHOLE = 10 + len(PAYLOAD)


class Seen(NamedTuple):
    """A packet that left."""

    port: int
    kept: int = 0
    lost: int = 0
    instance_type: int = NORMAL
    replica: int = 0
    length: int = WHOLE
    passes: int = 1


def command(op: int, argument: int = 0) -> bytes:
    return bytes([op, argument]) + bytes(8) + PAYLOAD


def run(switch: Switch, op: int, argument: int = 0) -> list[Seen]:
    seen = []
    for port, packet in switch.process(3, command(op, argument)):
        assert packet[:2] == bytes([op, argument])
        assert packet[10:] == PAYLOAD
        replica, length = int.from_bytes(packet[5:7]), int.from_bytes(packet[7:9])
        seen.append(Seen(port, packet[2], packet[3], packet[4], replica, length, packet[9]))
    return seen


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switch(clock: Clock) -> Switch:
    return switch_with("copies", clock)


def test_unicast(switch: Switch) -> None:
    assert run(switch, 0, 7) == [Seen(7)]


def test_a_port_that_was_never_chosen_is_port_0(switch: Switch) -> None:
    assert run(switch, 99) == [Seen(0)]


def test_drops_in_ingress_and_egress(switch: Switch) -> None:
    assert run(switch, 2) == []
    assert run(switch, 14) == []


def test_multicast_leaves_by_instance_then_port(switch: Switch) -> None:
    switch.state.multicast.create_group(5, [Replica(9, 2), Replica(4, 1), Replica(4, 2), Replica(8, 1)])
    copies = [(4, 1), (8, 1), (4, 2), (9, 2)]
    assert run(switch, 1, 5) == [Seen(port, instance_type=REPLICATED, replica=rid) for port, rid in copies]
    assert run(switch, 1, 6) == []  # a group that is not there has no copies


def test_dropping_takes_the_group_back_but_not_the_other_way_round(switch: Switch) -> None:
    switch.state.multicast.create_group(1, [Replica(4)])
    assert run(switch, 10) == []
    assert run(switch, 11, 1) == [Seen(4, instance_type=REPLICATED)]


def test_clones_of_ingress_carry_the_packet_as_it_arrived(switch: Switch) -> None:
    switch.state.clone_sessions.create(CloneSession(100, (Replica(6, 3), Replica(5, 0))))
    clones = [
        Seen(port, kept=KEPT, instance_type=INGRESS_CLONE, replica=rid, passes=0) for port, rid in ((5, 0), (6, 3))
    ]
    assert run(switch, 3, 100) == [*clones, Seen(2)]
    assert run(switch, 3, 101) == [Seen(2)]


def test_a_dropped_packet_can_leave_a_clone(switch: Switch) -> None:
    """And a clone without a field list keeps no metadata."""
    switch.state.clone_sessions.create(CloneSession(0, (Replica(5),)))
    assert run(switch, 15, 0) == [Seen(5, instance_type=INGRESS_CLONE, passes=0)]


def test_clones_of_egress_carry_the_packet_as_it_left(switch: Switch) -> None:
    switch.state.clone_sessions.create(CloneSession(100, (Replica(5, 1),)))
    assert run(switch, 4, 100) == [Seen(2), Seen(5, kept=KEPT, instance_type=EGRESS_CLONE, replica=1)]


def test_a_session_cuts_its_clones(switch: Switch) -> None:
    switch.state.clone_sessions.create(CloneSession(100, (Replica(5),), packet_length_bytes=13))
    clone, original = (packet for _, packet in switch.process(3, command(3, 100)))
    assert (clone[10:], original[10:]) == (PAYLOAD[:3], PAYLOAD)


def test_resubmission_starts_over_with_the_kept_metadata(switch: Switch) -> None:
    assert run(switch, 5) == [Seen(2, kept=KEPT)]


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_recirculation_goes_on_with_the_packet_as_it_left(switch: Switch, passes: int) -> None:
    assert run(switch, 6, passes) == [Seen(2, kept=KEPT if passes > 1 else 0, passes=passes)]


def test_a_packet_that_comes_back_for_ever_is_given_up(switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert run(switch, 12) == []
    assert "dropped after" in caplog.text


@pytest.mark.parametrize("length", [0, 4, 12, 200])
def test_truncation(switch: Switch, length: int) -> None:
    whole = switch.process(3, command(7, 255))[0][1]
    ((_, packet),) = switch.process(3, command(7, length))
    assert packet[2:] == whole[2:length]


def test_there_is_one_queue(switch: Switch) -> None:
    """A packet that asks for a queue of higher priority finds none."""
    assert run(switch, 13) == []


def test_packets_for_the_controller_carry_its_header(switch: Switch) -> None:
    received: list[bytes] = []
    switch.on_packet_in = received.append
    switch.inject(3, command(9))
    ((header, op),) = [(packet[:2], packet[2]) for packet in received]
    assert (int.from_bytes(header) >> 7, int.from_bytes(header) & 0x7F, op) == (3, 5, 9)


def test_packets_from_the_controller_enter_by_its_port(switch: Switch) -> None:
    ((port, packet),) = switch.process(CPU_PORT, (44 << 7).to_bytes(2) + command(0, 7))
    assert (port, packet[0], packet[10:]) == (44, 0, PAYLOAD)


def test_digests_wait_for_a_list_to_fill_or_for_time(switch: Switch, clock: Clock) -> None:
    lists: list[DigestList] = []
    switch.on_digest = lists.append
    stream = switch.state.digests("sample_t")
    run(switch, 8, 1)  # not configured, so nobody is told
    stream.configure(DigestConfig(max_list_size=2, max_timeout_ns=10**9, ack_timeout_ns=10**10))
    for argument in (5, 6, 7, 5, 7):
        assert run(switch, 8, argument) == [Seen(2)]
    assert [digest.samples for digest in lists] == [((5, 3), (6, 3))]
    clock.advance(0.5)
    switch.poll_digests()
    assert len(lists) == 1
    clock.advance(0.5)
    switch.poll_digests()
    assert [digest.samples for digest in lists] == [((5, 3), (6, 3)), ((7, 3),)]
    stream.ack(lists[0].list_id)
    run(switch, 8, 7)  # not acknowledged, so not told again
    run(switch, 8, 5)
    clock.advance(1)
    switch.poll_digests()
    assert [digest.samples for digest in lists[2:]] == [((5, 3),)]


def test_time_and_length_are_those_of_the_switch() -> None:
    """A program reads microseconds since the switch was made."""
    clock = Clock()
    switch = switch_with("copies", clock)
    field = switch.state.program.field("intrinsic_metadata.ingress_global_timestamp")
    assert field is not None
    assert field.name == "standard_metadata.ingress_global_timestamp"
    assert [seen.length for seen in run(switch, 0, 1)] == [WHOLE]
