"""Control messages over real UDP: addresses and ports, floods, errors, and what is left after the end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import pytest

from controller.app import udp, udp_batch
from controller.app.udp import UdpOptions, UdpTransport
from controller.lisp import CONTROL_PORT, Datagram, Endpoint, IPAddress
from tests.app.own_network import in_own_network, ip, needs_own_network
from tests.app.udp_support import (
    IPV6_LOOPBACK,
    a_moment,
    between,
    control,
    eventually,
    free_port,
    listening,
    local,
    plain_socket,
)
from tests.compiled import FORMS, compiled_part


@pytest.fixture(scope="module", params=FORMS, autouse=True)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything once with the system calls made by Python, and once by compiled code."""
    part = compiled_part("controller.app._udp_batch") if request.param == "compiled" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(udp, "receive", part.receive if part is not None else udp_batch.receive_in_python)
        patch.setattr(udp, "send", part.send if part is not None else udp_batch.send_in_python)
        yield request.param


# ---- addresses and ports ----------------------------------------------------------------------------------------


async def test_a_datagram_leaves_from_its_source_and_arrives_at_its_destination() -> None:
    async with listening(local(1), local(2)) as here, listening(local(3)) as there:
        here.transport.send(between(local(2), local(3), b"from 2"))
        here.transport.send(between(local(1), local(3), b"from 1"))
        await there.hears(b"from 2", b"from 1")
        assert [datagram.source for datagram in there.heard] == [control(local(2)), control(local(1))]
        assert {datagram.destination for datagram in there.heard} == {control(local(3))}


@pytest.mark.parametrize("address", [local(1), IPV6_LOOPBACK], ids=["IPv4", "IPv6"])
async def test_an_answer_goes_to_the_port_that_asked(address: IPAddress) -> None:
    options = UdpOptions(port=free_port(address))
    async with listening(address, options=options) as here:
        with plain_socket(address) as asker:
            asker.sendto(b"?", (str(address), options.port))
            await here.hears(b"?")
            assert here.heard[0].source == Endpoint(address, asker.getsockname()[1])
            here.transport.send(Datagram(here.heard[0].destination, here.heard[0].source, b"!"))
            assert asker.recvfrom(10)[:1] == (b"!",)


async def test_another_port_stands_for_the_control_port() -> None:
    options = UdpOptions(port=free_port(local(1)))
    async with listening(local(1), options=options) as here, listening(local(2), options=options) as there:
        here.transport.send(between(local(1), local(2), b"x"))
        await there.hears(b"x")
        assert there.heard[0] == between(local(1), local(2), b"x")
        with plain_socket(local(3), options.port) as outside:
            here.transport.send(between(local(1), local(3), b"y"))
            assert outside.recvfrom(10) == (b"y", (str(local(1)), options.port))


@pytest.mark.parametrize("length", [0, 1, 548, 65507])
async def test_every_length_arrives_whole(length: int) -> None:
    async with listening(local(1), local(2)) as both:
        payload = Random(length).randbytes(length)
        both.transport.send(between(local(1), local(2), payload))
        await both.hears(payload)


async def test_an_address_is_listened_at_once() -> None:
    async with listening(local(1)) as here:
        with pytest.raises(ValueError, match=f"{local(1)}: something listens there already"):
            here.transport.listen(local(1), here.heard.append)
        with UdpTransport() as other, pytest.raises(OSError, match=f"cannot listen at {local(1)}:4342: .*in use"):
            other.listen(local(1), here.heard.append)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (IPv4Address("192.0.2.1"), r"cannot listen at 192\.0\.2\.1:4342: Cannot assign"),
        (IPv6Address("2001:db8::1"), r"cannot listen at \[2001:db8::1\]:4342: Cannot assign"),
        (IPv4Address("0.0.0.0"), r"0\.0\.0\.0: no address of one host"),
        (IPv6Address("ff02::1"), "ff02::1: no address of one host"),
    ],
)
async def test_an_address_that_is_not_ours_is_refused(address: IPAddress, message: str) -> None:
    with UdpTransport() as transport, pytest.raises((OSError, ValueError), match=message):
        transport.listen(address, lambda _: None)


async def test_several_may_share_an_address_when_all_agree() -> None:
    options = UdpOptions(reuse_port=True)
    async with listening(local(1), options=options) as one, listening(local(1), options=options) as other:
        for number in range(64):
            with plain_socket(local(2)) as sender:
                sender.sendto(bytes([number]), (str(local(1)), CONTROL_PORT))
        await eventually(lambda: len(one.heard) + len(other.heard) == 64)
        assert one.heard
        assert other.heard
        assert sorted(one.payloads + other.payloads) == [bytes([number]) for number in range(64)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", 0), ("port", 65536), ("path_mtu", 575), ("budget", 0), ("queue", 0), ("receive_buffer", 1 << 31)],
)
def test_options_have_limits(field: str, value: int) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"{field} = {value}: must be"):
        UdpOptions(**fields)


# ---- floods and losses ------------------------------------------------------------------------------------------


async def test_a_flood_leaves_the_event_loop_its_turns() -> None:
    async with listening(local(1), options=UdpOptions(budget=8)) as here:
        with plain_socket(local(2)) as sender:
            for number in range(200):
                sender.sendto(bytes([number]), (str(local(1)), CONTROL_PORT))
        seen = [0]
        while seen[-1] < 200:
            await asyncio.sleep(0)  # one turn of the event loop
            seen.append(len(here.heard))
        assert max(after - before for before, after in pairwise(seen)) == 8
        assert here.payloads == [bytes([number]) for number in range(200)]


async def test_what_the_kernel_has_no_room_for_is_dropped_and_counted() -> None:
    async with listening(local(1), options=UdpOptions(receive_buffer=65536)) as here:
        with plain_socket(local(2)) as sender:
            for _ in range(2000):
                sender.sendto(bytes(400), (str(local(1)), CONTROL_PORT))
        assert here.transport.kernel_drops > 0
        await eventually(lambda: len(here.heard) + here.transport.kernel_drops == 2000)
        assert here.transport.counters.received == len(here.heard) > 0


async def test_a_receiver_that_fails_costs_one_datagram() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    heard: list[bytes] = []

    def receiver(datagram: Datagram) -> None:
        if datagram.payload == b"bad":
            raise RuntimeError("a receiver fails")
        heard.append(datagram.payload)

    async with listening(local(2)) as there:
        with UdpTransport() as here:
            here.listen(local(1), receiver)
            for payload in (b"1", b"bad", b"2"):
                there.transport.send(between(local(2), local(1), payload))
            await eventually(lambda: heard == [b"1", b"2"])
    assert [str(error) for error in reported] == ["a receiver fails"]


async def test_icmp_errors_do_not_break_the_socket() -> None:
    async with listening(local(1)) as here:
        for _ in range(3):
            here.transport.send(between(local(1), local(9), b"nobody is there"))
            await a_moment()
        assert here.transport.counters.sent == 3
        with plain_socket(local(9), CONTROL_PORT) as peer:
            here.transport.send(between(local(1), local(9), b"?"))
            assert peer.recv(10) == b"?"
            peer.sendto(b"!", (str(local(1)), CONTROL_PORT))
            await here.hears(b"!")


async def test_what_cannot_be_sent_is_counted_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(local(1), local(2)) as here:
        transport, counters = here.transport, here.transport.counters
        transport.send(between(local(3), local(2), b"nobody listens at the source"))
        transport.send(Datagram(Endpoint(local(1), 5), control(local(2)), b"nor at this port"))
        assert counters.unbound == 2
        transport.send(between(local(1), IPV6_LOOPBACK, b"another IP version"))
        transport.send(between(local(1), IPv4Address("255.255.255.255"), b"broadcast"))
        transport.send(between(local(1), local(2), bytes(65508)))
        assert counters.refused == 3
        transport.send(between(local(1), local(2), b"fine"))
        await here.hears(b"fine")
        assert (counters.sent, counters.received) == (1, 1)
    assert f"lost, nothing listens at its source: {local(3)}:4342 to {local(2)}:4342 (1 so far)" in caplog.text


@pytest.mark.parametrize(
    ("address", "path_mtu", "longest"),
    [(local(1), None, 548), (local(1), 1500, 1472), (IPV6_LOOPBACK, None, 1232), (IPV6_LOOPBACK, 9000, 8952)],
    ids=["IPv4", "IPv4 with path MTU", "IPv6", "IPv6 with path MTU"],
)
async def test_packets_that_paths_may_not_carry_whole_are_reported(
    address: IPAddress, path_mtu: int | None, longest: int, caplog: pytest.LogCaptureFixture
) -> None:
    options = UdpOptions(port=free_port(address), path_mtu=path_mtu)
    async with listening(address, options=options) as here:
        here.transport.send(between(address, address, bytes(longest)))
        assert here.transport.counters.oversized == 0
        for _ in range(5):
            here.transport.send(between(address, address, bytes(longest + 1)))
        await here.hears(bytes(longest), *[bytes(longest + 1)] * 5)
        assert here.transport.counters.oversized == 5
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    text = f"{longest + 1} octets to {control(address)}: paths are known to carry {longest} whole"
    assert lines == [f"{text} ({count} so far)" for count in (1, 2, 4)]


class Congestion:
    """A link on which packets stay in the sender's buffer until the address of the neighbour is resolved."""

    here, there = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    options = UdpOptions(queue=50, budget=16)

    def __init__(self) -> None:
        self.offered = 0
        self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._wire.bind(("far", 0))
        self._wire.settimeout(2)

    @classmethod
    def observe(cls, scenario: Callable[[Congestion, UdpTransport], Awaitable[None]]) -> None:
        async def observe() -> None:
            with UdpTransport(cls.options) as transport:
                transport.listen(cls.here, lambda _: None)
                link = cls()
                with link._wire:
                    await scenario(link, transport)

        def run() -> None:
            Path("/proc/sys/net/ipv4/neigh/near/unres_qlen_bytes").write_text(str(1 << 24))
            asyncio.run(observe())

        devices = ("link add near type veth peer name far", "address add 192.0.2.1/24 dev near")
        in_own_network(*devices, "link set near up", "link set far up", run=run)

    def offer(self, transport: UdpTransport) -> None:
        transport.send(between(self.here, self.there, self.offered.to_bytes(4, "big") * 100))
        self.offered += 1
        assert self.offered < 10_000, "the kernel's buffer has no end"

    def resolve(self) -> None:
        ip(f"neighbour replace {self.there} lladdr 02:00:00:00:00:02 dev near nud permanent")

    def arrived(self, count: int) -> list[int]:
        payloads = [self._wire.recv(65535)[28:] for _ in range(count)]  # without the IP and UDP headers
        assert all(payload == payload[:4] * 100 for payload in payloads)
        return [int.from_bytes(payload[:4], "big") for payload in payloads]


@needs_own_network
def test_without_room_in_the_kernel_datagrams_wait_up_to_a_limit() -> None:
    async def scenario(link: Congestion, transport: UdpTransport) -> None:
        counters = transport.counters
        while not counters.overflowed:
            link.offer(transport)
        assert counters.delayed == link.options.queue
        waited = counters.sent
        await a_moment()
        assert counters.sent == waited > 0
        link.resolve()
        await eventually(lambda: counters.sent == link.offered - 1)
        assert link.arrived(counters.sent) == list(range(link.offered - 1))
        busy = process_time()
        await asyncio.sleep(0.1)
        assert process_time() - busy < 0.05, "nothing waits, and yet something runs"

    Congestion.observe(scenario)


@needs_own_network
def test_no_datagram_overtakes_one_that_waits() -> None:
    async def scenario(link: Congestion, transport: UdpTransport) -> None:
        while transport.counters.delayed < 20:
            link.offer(transport)
        link.resolve()
        for _ in range(5):
            link.offer(transport)
        assert transport.counters.delayed == 25
        await eventually(lambda: transport.counters.sent == link.offered)
        link.offer(transport)
        assert transport.counters.delayed == 25
        assert link.arrived(link.offered) == list(range(link.offered))

    Congestion.observe(scenario)


@needs_own_network
def test_what_waits_is_lost_at_the_end() -> None:
    async def scenario(link: Congestion, transport: UdpTransport) -> None:
        while not transport.counters.delayed:
            link.offer(transport)
        sent = transport.counters.sent
        transport.close()
        transport.listen(link.here, lambda _: None)  # most likely with the number of the closed socket
        link.resolve()
        await a_moment()
        assert transport.counters.sent == sent
        link.offer(transport)
        assert link.arrived(sent + 1) == [*range(sent), sent + 1]

    Congestion.observe(scenario)


# ---- the end ----------------------------------------------------------------------------------------------------


async def test_nothing_is_left_after_closing() -> None:
    before = set(os.listdir("/proc/self/fd"))
    transport = UdpTransport()
    heard: list[Datagram] = []
    for number in (1, 2, 3):
        transport.listen(local(number), heard.append)
    transport.forget(local(3))
    transport.forget(local(3))
    transport.send(between(local(1), local(2), b"too late"))
    transport.close()
    transport.close()
    await a_moment()
    assert set(os.listdir("/proc/self/fd")) == before
    assert heard == []
    transport.send(between(local(1), local(2), b"after the end"))
    assert transport.counters.unbound == 1
    async with listening(local(1), local(2)) as again:
        again.transport.send(between(local(1), local(2), b"again"))
        await again.hears(b"again")


async def test_a_receiver_may_close_the_transport() -> None:
    async with listening(local(2)) as there:
        with UdpTransport() as here:
            heard: list[bytes] = []

            def receiver(datagram: Datagram) -> None:
                heard.append(datagram.payload)
                here.close()

            here.listen(local(1), receiver)
            for payload in (b"1", b"2"):
                there.transport.send(between(local(2), local(1), payload))
            await eventually(lambda: heard)
            await a_moment()
            assert heard == [b"1"]
            assert here.counters.failed == 0


def test_listening_needs_an_event_loop_and_leaks_nothing_without() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with UdpTransport() as transport, pytest.raises(RuntimeError, match="no running event loop"):
        transport.listen(local(1), lambda _: None)
    assert set(os.listdir("/proc/self/fd")) == before
