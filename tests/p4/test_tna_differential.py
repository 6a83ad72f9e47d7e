"""Packets that nobody has thought of go the same way through the TNA program and through that of v1model.

Both run on softswitch, side by side, with the same entries. Packets are valid ones, of which most are then damaged:
bits flipped, cut off, padded, octets set to values that mean something. What leaves has to be the same, octet for octet
but for the flow label of a tunnel (docs/tofino.md), also what goes to the controller and why; and as many have to be
dropped for each reason. A packet with a damaged header and a wrong checksum is counted for either.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.packet import Packet

from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import Domain, Encapsulation
from controller.dataplane.entries import access_port, core_port, instance, site_of_rloc, switch_context
from controller.dataplane.replication import Receiver, ReplicaRouter, ReplicationList
from controller.dataplane.router_tables import RouterTables
from controller.p4rt.entities import State
from ptf_tests.support import scenario
from ptf_tests.support.headers import Lisp, LispGpe, ScaleUp, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, carrying, hop, scale_up, tunnel, udp
from tests.p4.side_by_side import V1MODEL, compared, dropped, running
from tests.p4.tna_on_v1model import NEEDS_P4C, compiled

pytestmark = NEEDS_P4C

PACKETS = 1500
TELLING = (0, 1, 4, 5, 6, 8, 0x0C, 17, 0x45, 0x46, 0xFF)


def replicating() -> list[State]:
    """A designated border with accelerators, lists of every kind, and receivers here, in its PoD and in others."""
    tables = RouterTables(*scenario.SOURCES)
    near, far, far_over_ipv6 = (ip_address(rloc) for rloc in (scenario.PEER, scenario.OTHER, scenario.PEER6))
    for rloc, port in ((near, scenario.CORE), (far, scenario.CORE_2), (far_over_ipv6, scenario.CORE_3)):
        tables.set_route(rloc, [hop(port)])
    routers = frozenset(
        ReplicaRouter(rloc, site) for rloc, site in ((near, scenario.SITE), (far, 0), (far_over_ipv6, 0))
    )
    lists: tuple[tuple[int, Endpoint | None, tuple[Endpoint, Endpoint]], ...] = (
        (scenario.RED, ip_address("239.1.1.1"), (ip_address(scenario.HERE), ip_address("10.0.0.2"))),
        (scenario.RED, ip_address("ff05::1"), (ip_address(scenario.HERE6), ip_address("fd00:10::2"))),
        (scenario.RED, None, (ip_address(scenario.HERE), ip_address("10.0.0.2"))),
        (scenario.RED_UP, AccId(0xF0000001), (AccId(7), AccId(8))),
    )
    ports = (scenario.RED_PORT, scenario.BLUE_PORT)
    for iid, group, eids in lists:
        receivers = frozenset(Receiver(hop(port), eid) for port, eid in zip(ports, eids, strict=True))
        tables.set_replication(ReplicationList(iid, group, None, receivers, routers))
    return [
        *tables.desired(),
        switch_context(0, scenario.SITE),
        *(core_port(port) for port in (scenario.CORE, scenario.CORE_2, scenario.CORE_3)),
        *(
            access_port(port, scenario.SITE, scenario.RED, scale_up_iid=scenario.RED_UP, acc_id=AccId(acc_id))
            for port, acc_id in zip(ports, (7, 8), strict=True)
        ),
        instance(scenario.RED, Encapsulation.VXLAN_GPE, punt_unknown=True),
        instance(scenario.RED_UP, Encapsulation.VXLAN_GPE, punt_unknown=False, domain=Domain.SCALE_UP),
        site_of_rloc(near, scenario.SITE),
    ]


SCENARIOS: dict[str, Callable[[], Sequence[State]]] = {
    "access, unknown punted": lambda: scenario.dual_stack_xtr(Encapsulation.VXLAN_GPE, punt_unknown=True),
    "access, over IPv6": lambda: scenario.dual_stack_xtr(
        Encapsulation.LISP, scale_up=Encapsulation.VXLAN, to=scenario.TO_PEER6
    ),
    "two tenants": lambda: scenario.access_xtr(Encapsulation.VXLAN),
    "border": lambda: scenario.border_pxtr(Encapsulation.LISP_GPE),
    "underlay": scenario.underlay_switch,
    "replication": replicating,
}


@pytest.fixture(scope="module", params=["forwarding", "full"])
def tna(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(request.param, tmp_path_factory)


def payload(draw: random.Random) -> Packet:
    """A packet of an accelerator, to somebody here, there, nowhere or many."""
    ttl, tos = draw.choice((0, 1, 2, 64, 64, 64, 64, 255)), draw.randrange(256)
    data = bytes(draw.randrange(60))
    kind = draw.randrange(3)
    if kind == 0:
        ends = (
            draw.choice((scenario.HERE, scenario.THERE)),
            draw.choice(
                (scenario.HERE, scenario.THERE, scenario.THERE, "50.1.1.1", "239.1.1.1", "224.0.0.1", "255.255.255.255")
            ),
        )
        sport, dport = draw.randrange(65536), draw.choice((4791, 4789, 4341, 80))
        return udp(*ends, ttl=ttl, tos=tos, data=data, sport=sport, dport=dport)
    if kind == 1:
        ends = (
            draw.choice((scenario.HERE6, scenario.THERE6)),
            draw.choice((scenario.HERE6, scenario.THERE6, scenario.THERE6, "fd00:50::1", "ff05::1", "ff02::1")),
        )
        return udp(*ends, ttl=ttl, tos=tos, data=data)
    return scale_up(
        draw.choice((7, 7, 8)),
        draw.choice((7, 8, 8, 99, 0xF0000001, 0xFFFFFFFF)),
        data=data,
        hop_limit=ttl,
        ecn=draw.randrange(4),
        virtual_channel=draw.randrange(8),
        reorder=draw.randrange(2),
        entropy=draw.randrange(65536),
    )


def tunnelled(draw: random.Random, inner: Packet) -> Packet:
    """In a tunnel to this router or another."""
    header = draw.choice((Lisp, LispGpe, Vxlan, VxlanGpe))(
        iid=draw.choice((scenario.RED, scenario.RED, scenario.RED_UP, scenario.BLUE, 5))
    )
    if isinstance(inner, ScaleUp):
        inner = arriving(scenario.CORE, inner)
        header = LispGpe(iid=header.iid) if isinstance(header, Lisp) else header
    source, targets = draw.choice(
        (
            (scenario.PEER, (scenario.OWN, scenario.OWN, scenario.PEER, scenario.OTHER)),
            (scenario.PEER6, (scenario.OWN6, scenario.OWN6, scenario.PEER6, scenario.OTHER6)),
        )
    )
    ttl, tos = draw.choice((0, 1, 2, 64, 64, 64)), draw.randrange(256)
    return tunnel(*carrying(header, inner), src=source, dst=draw.choice(targets), ttl=ttl, tos=tos)


def damaged(draw: random.Random, frame: bytearray) -> bytes:
    """As it is, in four of ten cases; else flipped, cut off, padded, or with an octet that means something."""
    chance = draw.random()
    if chance < 0.3:
        for _ in range(draw.choice((1, 1, 2, 4))):
            frame[draw.randrange(min(len(frame), draw.choice((80, 200))))] ^= 1 << draw.randrange(8)
    elif chance < 0.42:
        del frame[draw.randrange(14, len(frame) + 1) :]
    elif chance < 0.5:
        frame += bytes(draw.randrange(30))
    elif chance < 0.6:
        frame[draw.randrange(12, min(len(frame), 100))] = draw.choice(TELLING)
    return bytes(frame)


def arrival(draw: random.Random) -> tuple[int, bytes]:
    """A port and what comes there."""
    if draw.random() < 0.5:
        port, packet = draw.choice((scenario.CORE, scenario.CORE_2)), tunnelled(draw, payload(draw))
    else:
        port, packet = (
            draw.choice((scenario.RED_PORT, scenario.RED_PORT, scenario.BLUE_PORT, scenario.CORE)),
            payload(draw),
        )
    return port, damaged(draw, bytearray(bytes(arriving(port, packet))))


@pytest.mark.parametrize("role", SCENARIOS)
async def test_whatever_comes_goes_the_same_way(role: str, tna: Path, tmp_path: Path) -> None:
    entries = SCENARIOS[role]()
    draw = random.Random(role)
    async with running(V1MODEL, entries, tmp_path) as (one, its), running(tna, entries, tmp_path) as (other, others):
        passed = copied = 0
        for number in range(PACKETS):
            port, frame = arrival(draw)
            expected, found = compared(one.process(port, frame)), compared(other.process(port, frame))
            passed, copied = passed + bool(expected), copied + (len(expected) > 1)
            assert found == expected, f"packet {number}, port {port}: {frame.hex()}"
        assert passed > PACKETS // 40
        assert copied > 50 or role != "replication"
        assert await dropped(its) == await dropped(others)
