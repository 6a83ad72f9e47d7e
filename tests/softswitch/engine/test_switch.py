"""Switches and links: packets are carried without recursion, and none can keep the process busy for ever."""

from __future__ import annotations

import asyncio
import logging
import sys
from itertools import pairwise

import pytest

from softswitch.ports import HostPort, WorkQueue, make_link
from softswitch.state import ActionCall, DigestConfig, DigestList, Exact
from softswitch.switch import EngineName, Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program, until

FORWARD = 0  # operation of the program "copies": unicast to the port in the argument


def make_switch(queue: WorkQueue, engine: EngineName = "auto") -> Switch:
    switch = Switch(0, clock=Clock(), queue=queue, engine=engine)
    switch.set_program(program("copies"))
    return switch


def command(port: int) -> bytes:
    return bytes([FORWARD, port]) + bytes(8)


def test_packets_go_from_port_to_port_and_are_counted() -> None:
    switch = make_switch(WorkQueue())
    sent: list[bytes] = []
    a, b = HostPort("a"), HostPort("b", on_packet=sent.append)
    switch.add_port(1, a)
    switch.add_port(2, b)
    a.deliver(command(2))
    assert [packet[:2] for packet in sent] == [bytes([FORWARD, 2])]
    counters = {number: port.counters for number, port in switch.ports.items()}
    assert (counters[1].rx_packets, counters[1].rx_bytes, counters[1].tx_packets) == (1, 10, 0)
    assert (counters[2].rx_packets, counters[2].tx_packets, counters[2].tx_bytes) == (0, 1, 10)
    a.deliver(command(7))
    assert switch.unsent == 1
    switch.close()
    assert not switch.ports
    a.deliver(command(2))
    assert len(sent) == 1


@pytest.mark.parametrize("number", [-1, 511, 512, 3])
def test_port_numbers_are_checked(number: int) -> None:
    switch = make_switch(WorkQueue())
    switch.add_port(3, HostPort())
    with pytest.raises(ValueError, match="port"):
        switch.add_port(number, HostPort())
    assert list(switch.ports) == [3]


def test_without_a_program_packets_are_dropped() -> None:
    switch = Switch(0, queue=WorkQueue())
    switch.inject(0, b"x")
    with pytest.raises(RuntimeError, match="no program"):
        switch.process(0, b"x")
    with pytest.raises(RuntimeError, match="no program"):
        _ = switch.state
    with pytest.raises(RuntimeError, match="no CPU port"):
        switch.packet_out(b"x")


def test_a_new_program_begins_with_fresh_state() -> None:
    switch = Switch(0, clock=Clock(), queue=WorkQueue())
    switch.set_program(program("members"))
    table = switch.state.table("MainIngress.ageing")
    table.insert((Exact(1),), ActionCall("MainIngress.answer", (1,)))
    switch.set_program(program("members"))
    assert len(switch.state.table("MainIngress.ageing")) == 0


def chain(queue: WorkQueue, length: int, engine: EngineName = "auto") -> list[Switch]:
    """Switches in a row: port 2 of each leads to port 1 of the next."""
    switches = [make_switch(queue, engine) for _ in range(length)]
    for left, right in pairwise(switches):
        a, b = make_link()
        left.add_port(2, a)
        right.add_port(1, b)
    return switches


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_long_chain_uses_no_stack(engine: EngineName) -> None:
    switches = chain(WorkQueue(), sys.getrecursionlimit() // 4, engine)
    arrived: list[bytes] = []
    switches[-1].add_port(2, HostPort(on_packet=arrived.append))
    switches[0].inject(1, command(2))
    assert len(arrived) == 1
    assert arrived[0][9] == len(switches) & 0xFF  # every switch has counted its pass


def ring(queue: WorkQueue, engine: EngineName = "reference") -> list[Switch]:
    """Two switches with two links between them: what goes out of port 2 circles for ever."""
    switches = chain(queue, 2, engine)
    a, b = make_link()
    switches[1].add_port(2, a)
    switches[0].add_port(1, b)
    return switches


def test_a_ring_stops_at_the_budget_without_an_event_loop() -> None:
    queue = WorkQueue(budget=100)
    switches = ring(queue)
    switches[0].inject(1, command(2))
    passes = [switch.ports[1].counters.rx_packets for switch in switches]
    assert sum(passes) == 101  # the last of them still waits
    assert len(queue) == 1
    queue.run()
    assert sum(switch.ports[1].counters.rx_packets for switch in switches) == 201


async def test_a_ring_leaves_time_to_others() -> None:
    queue = WorkQueue(budget=50)
    switches = ring(queue)
    switches[0].inject(1, command(2))
    for _ in range(10):
        await asyncio.sleep(0)
    circled = sum(switch.ports[1].counters.rx_packets for switch in switches)
    assert circled > 100
    for switch in switches:
        switch.close()
    await until(lambda: not len(queue))


async def test_a_flood_is_bounded_by_the_queue() -> None:
    """Each packet becomes two: the queue fills, refuses, and the process goes on."""
    queue = WorkQueue(capacity=64, budget=500)
    switches = ring(queue)
    for switch in switches:
        switch.state.multicast.create_group(1, [(2, 0), (2, 1)])
    switches[0].inject(1, bytes([1, 1]) + bytes(8))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(queue) <= 64
    assert queue.refused > 0
    assert sum(switch.ports[1].counters.lost for switch in switches) > 0
    for switch in switches:
        switch.close()
    await until(lambda: not len(queue))


async def test_resubmission_for_ever_leaves_time_to_others() -> None:
    queue = WorkQueue(budget=20)
    switch = make_switch(queue, "reference")
    switch.inject(0, bytes([12, 0]) + bytes(8))
    for _ in range(5):
        await asyncio.sleep(0)
        assert len(queue) == 1
    switch.set_program(program("copies"))  # what belonged to the old program is forgotten
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(queue) == 0


def test_a_job_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    queue, done = WorkQueue(), []

    def fail() -> None:
        queue.post(lambda: done.append("after"))
        raise RuntimeError("broken")

    with caplog.at_level(logging.ERROR):
        queue.post(fail)
    assert done == ["after"]
    assert "broken" in caplog.text


def test_ports_going_down_are_reported_once() -> None:
    switch = make_switch(WorkQueue())
    events: list[tuple[int, bool]] = []
    switch.on_port_status = lambda number, up: events.append((number, up))
    port = HostPort()
    switch.add_port(4, port)
    switch.poll_ports()
    port.enabled = False
    switch.poll_ports()
    switch.poll_ports()
    port.enabled = True
    switch.poll_ports()
    assert events == [(4, False), (4, True)]


async def test_run_keeps_time() -> None:
    """Digests that are due are sent without anyone asking."""
    switch = Switch(0, queue=WorkQueue())
    switch.set_program(program("copies"))
    lists: list[DigestList] = []
    switch.on_digest = lists.append
    switch.state.digests("sample_t").configure(DigestConfig(max_timeout_ns=1_000_000))
    running = asyncio.create_task(switch.run())
    switch.inject(0, bytes([8, 5]) + bytes(8))
    await until(lambda: lists)
    running.cancel()
    assert lists[0].samples == ((5, 0),)
