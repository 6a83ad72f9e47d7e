"""Control messages in band: into the underlay by packet-out, through switches, and up again at the right address."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from controller.app.inband import InBandNetwork
from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import PuntReason
from controller.dataplane.entries import NextHop
from controller.lisp import CONTROL_PORT, Datagram, Endpoint, IPAddress
from controller.lisp.ip_udp import decode_udp_packet
from controller.p4rt.packetio import PacketIn
from controller.p4rt.values import FrozenMap
from topologies.plan import plan, server_homes
from topologies.topology_file import load

FOLDER = Path(__file__).resolve().parents[2] / "topologies"
ONE, OTHER, SERVER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), IPv4Address("192.0.2.201")
HOPS = (NextHop(1, "02:01:00:01:00:01", "02:01:00:02:00:01"), NextHop(2, "02:01:00:01:00:02", "02:01:00:03:00:01"))


class FakeControl(SwitchControl):
    """What a switch is asked to send; nothing else of a switch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[tuple[int, bytes]] = []
        self.on_local = lambda _: False

    def packet_out(self, payload: bytes, *, port: int = 0, mode: int = 0, iid: int = 0) -> None:
        assert (mode, iid) == (0, 0)
        self.sent.append((port, payload))


def message(source: IPAddress, destination: IPAddress, port: int = CONTROL_PORT) -> Datagram:
    return Datagram(Endpoint(source, CONTROL_PORT), Endpoint(destination, port), b"a message")


def network(hops: Sequence[NextHop] = HOPS) -> tuple[InBandNetwork, FakeControl, FakeControl]:
    net, one, other = InBandNetwork(), FakeControl("one"), FakeControl("other")
    net.add_switch(one, [ONE, SERVER], {OTHER: hops})
    net.add_switch(other, [OTHER], {ONE: HOPS[:1]})
    return net, one, other


def punted(frame: bytes, reason: PuntReason = PuntReason.TO_LOCAL_RLOC) -> PacketIn:
    return PacketIn(frame, FrozenMap({"reason": int(reason), "ingress_port": 1, "iid": 0, "mtu": 0}))


@pytest.mark.requirement("PR-UDP-1", partial=True)
async def test_a_message_leaves_as_a_packet_of_the_underlay_and_is_handed_over_at_its_address() -> None:
    net, one, other = network()
    got: list[Datagram] = []
    net.listen(OTHER, got.append)
    net.send(message(ONE, OTHER))
    ((port, frame),) = one.sent
    hop = HOPS[port - 1]
    assert frame[:14].hex() == (hop.next_hop_mac + hop.port_mac).replace(":", "") + "0800"
    packet = decode_udp_packet(frame, 14)
    assert (packet.source, packet.destination, packet.source_port, packet.destination_port) == (ONE, OTHER, 4342, 4342)
    assert other.on_local(punted(frame))
    assert got == [message(ONE, OTHER)]
    assert not other.on_local(punted(frame, PuntReason.UNKNOWN_DESTINATION)), "the router's own affair"
    assert one.on_local(punted(frame)), "at the wrong switch it is nobody's"
    assert len(got) == 1


async def test_what_is_at_the_same_switch_does_not_leave_it() -> None:
    net, one, _ = network()
    got: list[Datagram] = []
    net.listen(SERVER, got.append)
    net.send(message(ONE, SERVER))
    assert got == [], "a machine never runs inside another"
    await asyncio.sleep(0)
    assert (got, one.sent) == ([message(ONE, SERVER)], [])


async def test_a_port_that_is_down_is_avoided_while_there_is_another() -> None:
    net, one, _ = network()
    for down, expected in (((1,), {2}), ((2,), {1}), ((), {1, 2}), ((1, 2), {1, 2})):
        for port in (1, 2):
            net.port_status("one", port, port not in down)
        one.sent.clear()
        for number in range(64):
            net.send(Datagram(Endpoint(ONE, 1024 + number), Endpoint(OTHER, CONTROL_PORT), b""))
        assert {port for port, _ in one.sent} == expected


async def test_what_cannot_be_sent_is_counted() -> None:
    net, one, _ = network(())
    net.send(message(ONE, OTHER))
    net.send(message(IPv4Address("192.0.2.9"), OTHER))
    assert (net.lost, one.sent, [item.delivered for item in net.record]) == (2, [], [False, False])
    with pytest.raises(ValueError, match=r"192\.0\.2\.1: is at one already, not at third"):
        net.add_switch(FakeControl("third"), [ONE], {})


@pytest.mark.parametrize("octets", [b"", bytes(14), bytes(60), b"\x45" * 60])
async def test_damage_is_dropped(octets: bytes) -> None:
    net, _, other = network()
    net.listen(OTHER, lambda _: pytest.fail("delivered"))
    assert other.on_local(punted(octets))


async def test_another_port_is_not_the_control_planes() -> None:
    net, one, other = network()
    net.listen(OTHER, lambda _: pytest.fail("delivered"))
    net.send(message(ONE, OTHER, 53))
    assert other.on_local(punted(one.sent[0][1]))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_map_server_has_a_switch_that_all_its_xtrs_reach(file: Path) -> None:
    topology = load(file)
    homes = server_homes(topology)
    assert set(homes) == {node.address for node in topology.mapping_systems()}
    plans = plan(topology, homes)
    users: list[tuple[str, IPv4Address | IPv6Address]] = [
        (switch.name, node.address)
        for pod in topology.pods
        for switch in topology.xtrs(pod.name)
        for node in pod.mapping_system.all_nodes
    ]
    fabric = topology.scale_out_mapping_system
    if fabric is not None:
        borders = [switch.name for switch in topology.switches if switch.role == "border"]
        users += [(name, node.address) for name in borders for node in fabric.all_nodes]
    for name, address in users:
        assert homes[address] == name or plans[name].routes[address]
    if fabric is not None and len(fabric.nodes) == 1:
        assert len({homes[node.address] for node in fabric.all_nodes}) == 2, "no switch takes both with it"
