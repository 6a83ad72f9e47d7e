"""Effects on links and ports that carry packets: by a clock that a test moves, and by the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from softswitch.ports import DatagramPort, Effects, HostPort, ImpairedPort, LinkEnd, WorkQueue, make_link
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program, until

MS = 1_000_000
DELAY = Effects(delay=2 * MS)


def plugged(ends: tuple[LinkEnd, LinkEnd]) -> tuple[list[bytes], list[bytes]]:
    """Opens both ends; what each of them receives."""
    at_a: list[bytes] = []
    at_b: list[bytes] = []
    ends[0].open(at_a.append)
    ends[1].open(at_b.append)
    return at_a, at_b


def test_each_direction_has_its_effects_and_its_counters() -> None:
    clock = Clock()
    a, b = make_link(effects=Effects(loss=1.0), back=Effects(delay=MS), clock=clock)
    at_a, at_b = plugged((a, b))
    for end in (a, b):
        end.send(b"1")
    clock.advance(0.001)
    b.send(b"2")
    assert (at_a, at_b) == ([b"1"], [])
    assert a.counters is not None
    assert (a.counters.offered, a.counters.lost) == (1, 1)
    assert b.counters is not None
    assert (b.counters.offered, b.counters.delivered) == (2, 1)


def test_both_directions_of_a_link_draw_numbers_of_their_own_and_the_same_every_time() -> None:
    fates = []
    for _ in range(2):
        a, b = make_link(effects=Effects(loss=0.5, seed=4), clock=Clock())
        at_a, at_b = plugged((a, b))
        for index in range(100):
            a.send(bytes([index]))
            b.send(bytes([index]))
        fates.append((at_a, at_b))
    assert fates[0] == fates[1]
    assert fates[0][0] != fates[0][1]


def test_a_cut_loses_what_is_under_way_both_ways() -> None:
    clock = Clock()
    a, b = make_link(effects=DELAY, clock=clock)
    at_a, at_b = plugged((a, b))
    a.send(b"x")
    b.send(b"y")
    b.set_enabled(False)
    b.set_enabled(True)
    clock.advance(1)
    a.send(b"z")
    b.send(b"z")
    clock.advance(1)
    a.send(b"")
    b.send(b"")
    assert (at_a, at_b) == ([b"z"], [b"z"])
    assert a.counters is not None
    assert a.counters.cut == 1


def test_effects_come_and_go_while_a_link_is_up() -> None:
    a, b = make_link(clock=Clock())
    _, at_b = plugged((a, b))
    a.send(b"1")
    a.set_effects(Effects(loss=1.0))
    a.send(b"2")
    assert a.effects == Effects(loss=1.0)
    a.set_effects(None)
    a.send(b"3")
    assert at_b == [b"1", b"3"]
    assert a.counters is None
    a.set_effects(Effects(seed=3))
    assert a.effects is None  # a seed alone does nothing


async def test_the_event_loop_delivers_what_is_due() -> None:
    loop = asyncio.get_running_loop()
    a, b = make_link(effects=Effects(delay=20 * MS))
    arrivals: list[float] = []
    a.open(lambda _: None)
    b.open(lambda _: arrivals.append(loop.time()))
    sent = loop.time()
    for _ in range(3):
        a.send(b"x")
        await asyncio.sleep(0.002)
    assert arrivals == []
    await until(lambda: len(arrivals) == 3)
    assert arrivals[0] >= sent + 0.02
    a.close()


async def test_a_packet_that_overtakes_is_delivered_before_the_timer_of_the_others() -> None:
    a, b = make_link(effects=Effects(delay=60_000 * MS, reorder=0.5, seed=1))
    _, at_b = plugged((a, b))
    for index in range(20):
        a.send(bytes([index]))
    assert 0 < len(at_b) < 20
    a.close()


def ring(effects: Effects, queue: WorkQueue) -> list[Switch]:
    """Two switches with two links between them: what goes out of port 2 circles for ever."""
    switches = [Switch(index, queue=queue) for index in range(2)]
    for index, switch in enumerate(switches):
        switch.set_program(program("copies"))
        near, far = make_link(effects=effects)
        switch.add_port(2, near)
        switches[1 - index].add_port(1, far)
    return switches


@pytest.mark.parametrize("effects", [Effects(rate=10**13), Effects(delay=1), Effects(duplicate=0.001)])
async def test_a_ring_of_links_with_effects_leaves_time_to_others(effects: Effects) -> None:
    switches = ring(effects, WorkQueue(budget=50))
    switches[0].inject(1, bytes([0, 2]) + bytes(8))
    for _ in range(10):
        await asyncio.sleep(0)
    await until(lambda: switches[0].ports[1].counters.rx_packets > 100)
    for switch in switches:
        switch.close()


async def test_effects_begin_and_end_between_switches_that_forward() -> None:
    switches = ring(Effects(), WorkQueue())
    arrived: list[bytes] = []
    switches[1].remove_port(2)
    switches[1].add_port(2, HostPort(on_packet=arrived.append))
    link = switches[0].ports[2].port
    assert isinstance(link, LinkEnd)
    outcomes = []
    for effects in (None, Effects(loss=1.0), None, Effects(duplicate=1.0)):
        link.set_effects(effects)
        arrived.clear()
        switches[0].inject(1, bytes([0, 2]) + bytes(8))
        for _ in range(5):
            await asyncio.sleep(0)
        outcomes.append(len(arrived))
    assert outcomes == [1, 0, 1, 2]
    for switch in switches:
        switch.close()


async def test_a_port_with_effects_both_ways() -> None:
    clock = Clock()
    sent: list[bytes] = []
    received: list[bytes] = []
    host = HostPort(on_packet=sent.append)
    port = ImpairedPort(host, Effects(loss=1.0), DELAY, clock)
    assert not port.is_up
    port.open(received.append)
    assert (port.is_up, port.name) == (True, "host")
    port.send(b"x")
    host.deliver(b"y")
    clock.advance(0.002)
    host.deliver(b"z")
    assert (sent, received) == ([], [b"y"])
    assert {way: counters.offered for way, counters in port.counters.items()} == {"out": 1, "in": 2}
    port.close()
    assert port.counters["in"].cut == 1


async def test_a_port_with_effects_one_way() -> None:
    received: list[bytes] = []
    sent: list[bytes] = []
    host = HostPort(on_packet=sent.append)
    port = ImpairedPort(host, received=Effects(duplicate=1.0))
    port.open(received.append)
    port.send(b"x")
    host.deliver(b"y")
    assert (sent, received) == ([b"x"], [b"y", b"y"])
    assert list(port.counters) == ["in"]
    port.close()


async def test_a_burst_waits_for_a_peer_that_is_slow(tmp_path: Path) -> None:
    """Far more datagrams than the kernel keeps for a socket, sent in one turn of the event loop."""
    received: list[bytes] = []
    a = DatagramPort(str(tmp_path / "a"), str(tmp_path / "b"))
    b = DatagramPort(str(tmp_path / "b"), str(tmp_path / "a"))
    a.open(lambda _: None)
    b.open(received.append)
    packets = [index.to_bytes(2, "big") for index in range(2000)]
    for packet in packets:
        a.send(packet)
    await until(lambda: len(received) == len(packets))
    assert received == packets
    assert a.lost == 0
    a.send(b"and on")
    await until(lambda: received[-1] == b"and on")
    a.close()
    b.close()


async def test_a_burst_for_a_peer_that_goes_away_is_counted(tmp_path: Path) -> None:
    a = DatagramPort(str(tmp_path / "a"), str(tmp_path / "b"))
    b = DatagramPort(str(tmp_path / "b"), str(tmp_path / "a"))
    received: list[bytes] = []
    a.open(lambda _: None)
    b.open(received.append)
    for _ in range(6000):
        a.send(b"x")
    overflowed = a.lost
    assert 1000 < overflowed < 1904  # 4096 wait here, a few in the kernel
    b.close()
    await until(lambda: a.lost > overflowed)
    assert not a.is_up
    b.open(received.append)
    a.send(b"back again")
    await until(lambda: received)
    assert received == [b"back again"]
    a.close()
    b.close()
