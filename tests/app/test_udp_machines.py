"""A Map-Server and xTRs that talk over real UDP, each with a transport of its own as separate processes have."""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Address
from random import Random

from controller.app.mapping_system import MappingSystem
from controller.app.process import MachineProcess
from controller.app.udp import UdpTransport
from controller.lisp import CONTROL_PORT, IPAddress, MapNotify, decode
from controller.xtr import Xtr, access_xtr
from tests.app.own_network import in_own_network, needs_own_network
from tests.app.udp_support import HOST, KEY, eventually, local, plain_socket, pod, register, server_config


class XtrProcess(MachineProcess[Xtr]):
    """An xTR without a switch."""

    def handle(self, output: object) -> None:
        """There is nothing that would follow the map-cache."""


async def registration_reaches_the_other_router(server: IPAddress, one: IPAddress, other: IPAddress) -> None:
    described = pod((one, other))
    with UdpTransport() as at_server, UdpTransport() as at_one, UdpTransport() as at_other:
        system = MappingSystem("SU-D", server_config(server, one, other), at_server)
        system.listen()
        routers: list[XtrProcess] = []
        for number, (rloc, transport) in enumerate([(one, at_one), (other, at_other)]):
            config = access_xtr(
                xtr_id=bytes([number]) * 16,
                site_id=40,
                rlocs=(rloc,),
                map_server=server,
                keys=(KEY,),
                subnets=described.subnets,
            )
            router = XtrProcess(f"D{number}", Xtr(config, XtrProcess.now()), rloc, transport)
            router.listen()
            router.perform(router.machine.start(router.now()))
            routers.append(router)
        first, second = routers
        await eventually(lambda: second.machine.subscriptions())
        first.perform(first.machine.attach(HOST, first.now()))
        await eventually(lambda: HOST in [entry.eid for entry in second.machine.map_cache()])
        (entry,) = [entry for entry in second.machine.map_cache() if entry.eid == HOST]
        assert [locator.rloc for locator in entry.locators] == [one]
        await eventually(lambda: not first.machine.pending())
        first.perform(first.machine.detach(HOST, first.now()))
        await eventually(lambda: HOST not in [entry.eid for entry in second.machine.map_cache()])
        assert system.machine.registrations() == []
        system.stop()
        for router in routers:
            router.stop()
        for transport in (at_server, at_one, at_other):
            assert transport.counters.oversized == transport.counters.refused == transport.counters.unbound == 0


async def test_map_server_and_xtrs_over_ipv4() -> None:
    await registration_reaches_the_other_router(local(1), local(2), local(3))


@needs_own_network
def test_map_server_and_xtrs_over_ipv6() -> None:
    addresses = [IPv6Address(f"2001:db8::{number}") for number in (1, 2, 3)]
    in_own_network(
        *(f"address add {address}/128 dev lo nodad" for address in addresses),
        run=lambda: asyncio.run(registration_reaches_the_other_router(*addresses)),
    )


async def test_malformed_datagrams_change_nothing() -> None:
    random = Random(4342)
    server, rloc = local(1), local(2)
    good = register(rloc, server).payload
    with UdpTransport() as transport, plain_socket(rloc, CONTROL_PORT) as peer:
        system = MappingSystem("SU-D", server_config(server, rloc), transport)
        system.listen()
        garbage = [b"", *(random.randbytes(random.randrange(1, 600)) for _ in range(300))]
        garbage += [good[: random.randrange(len(good))] for _ in range(100)]
        for octets in garbage:
            peer.sendto(octets, (str(server), CONTROL_PORT))
        await eventually(lambda: transport.counters.received == len(garbage))
        assert {noted.event.name for noted in system.events} == {"message-dropped"}
        assert len(system.events) == len(garbage)
        assert system.machine.registrations() == []
        peer.sendto(good, (str(server), CONTROL_PORT))
        await eventually(system.machine.registrations)
        assert isinstance(decode(peer.recv(65535)), MapNotify)
        system.stop()
