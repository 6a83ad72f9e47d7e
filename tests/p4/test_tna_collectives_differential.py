"""Collectives go the same way through the TNA program and through that of v1model, whatever comes.

Both run on softswitch, side by side, with the same groups, of members on ports or of switches as well, which begin here
or further up. What comes is in collective_histories.py. What leaves has to be the same for each packet, and as many
have to be dropped for each reason, but for what docs/tofino-collectives.md lists as different.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from controller.dataplane.addresses import AccId
from controller.dataplane.changes import Changes
from controller.dataplane.codepoints import CollectiveKind, Domain, DropReason, Encapsulation
from controller.dataplane.collective_clear import clear_packet
from controller.dataplane.collective_tables import CollectiveBranch, MemberCopy, NodeCopy
from controller.dataplane.entries import mac
from controller.dataplane.router_tables import RouterTables
from controller.p4rt.client import P4RuntimeClient
from ptf_tests.support import scenario
from ptf_tests.support.collective_case import GROUP_EIDS, iid_of, member_address
from ptf_tests.support.collectives import EMPTY, VALUES
from ptf_tests.support.headers import LispGpe, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import VXLAN_ROUTED, hop
from softswitch.switch import Switch
from tests.p4.collective_histories import INCC_OCTETS, Arrival, Child, History
from tests.p4.side_by_side import (
    V1MODEL,
    compared,
    dropped,
    in_tunnel_over_ipv4,
    in_tunnel_over_ipv6,
    running,
    submitted,
)
from tests.p4.tna_on_v1model import NEEDS_P4C, compiled

pytestmark = NEEDS_P4C

Outputs = list[tuple[int, bytes]]

PACKETS = 900
RED_PORTS, BLUE_PORTS, CORE_PORTS = (1, 2, 6), (7, 8), (scenario.CORE, scenario.CORE_2, scenario.CORE_3)
MEMBER_PORTS = (*RED_PORTS, *BLUE_PORTS)
RANK = 0x8005  # of a branch, at its parent
TUNNELS: dict[Encapsulation, type[TunnelHeader]] = {
    Encapsulation.VXLAN_GPE: VxlanGpe,
    Encapsulation.LISP_GPE: LispGpe,
    Encapsulation.VXLAN: Vxlan,
}
REASONS = {
    DropReason.MALFORMED,
    DropReason.NOT_A_MEMBER,
    DropReason.STALE_GENERATION,
    DropReason.BAD_SLOT,
    DropReason.STALE_ROUND,
    DropReason.REPEATED,
    DropReason.ABSORBED,
    DropReason.SLOT_CLEARED,
}
# Octets in front of the header of a collective, by EtherType; its first octet, of a result.
INCC_BEHIND = {b"\x88\xb5": 38, b"\x08\x00": 42, b"\x86\xdd": 62}
RESULT = 1 << 4 | CollectiveKind.RESULT
OWN_RLOCS = {rloc.packed for rloc in scenario.SOURCES}
# The Ethernet header of a frame that TNA makes in a tunnel.
ROUTED = mac(VXLAN_ROUTED["dst"]) + mac(VXLAN_ROUTED["src"])


def members_of(carrier: str) -> tuple[Child, ...]:
    """Three members on ports."""
    return tuple(MemberCopy(rank, hop(port), member_address(carrier, port)) for rank, port in enumerate(RED_PORTS))


def tree_of(carrier: str) -> tuple[Child, ...]:
    """A member, and a switch over each version of IP."""
    return (
        MemberCopy(0, hop(1), member_address(carrier, 1)),
        NodeCopy(0x8001, hop(scenario.CORE_2), ip_address(scenario.OTHER)),
        NodeCopy(0x8002, hop(scenario.CORE_3), ip_address(scenario.OTHER6)),
    )


# What the groups' children are, whether there is a parent, and what tunnels the Instance-IDs have: Scale-Up, Scale-Out.
ROLES: dict[str, tuple[Callable[[str], tuple[Child, ...]], bool, Encapsulation, Encapsulation]] = {
    "root of members": (members_of, False, Encapsulation.VXLAN_GPE, Encapsulation.LISP_GPE),
    "root of a tree": (tree_of, False, Encapsulation.VXLAN, Encapsulation.LISP_GPE),
    "branch of members": (members_of, True, Encapsulation.LISP_GPE, Encapsulation.VXLAN),
    "branch of a tree": (tree_of, True, Encapsulation.VXLAN_GPE, Encapsulation.VXLAN_GPE),
}


def switch_of(scale_up: Encapsulation, scale_out: Encapsulation) -> RouterTables:
    """A switch of two tenants, with links to others."""
    tables = RouterTables(*scenario.SOURCES)
    tables.configure(0, site=scenario.SITE)
    for port in CORE_PORTS:
        tables.add_core_port(port)
    tenants = (scenario.RED, scenario.RED_UP, RED_PORTS), (scenario.BLUE, scenario.BLUE_UP, BLUE_PORTS)
    for out, up, ports in tenants:
        tables.add_instance(out, scale_out, punt_unknown=False)
        tables.add_instance(up, scale_up, punt_unknown=False, domain=Domain.SCALE_UP)
        for port in ports:
            tables.add_access_port(port, scenario.SITE, out, scale_up_iid=up, acc_id=AccId(0x700 + port))
    routes = {
        scenario.PEER: scenario.CORE,
        scenario.PEER6: scenario.CORE,
        scenario.OTHER: scenario.CORE_2,
        scenario.OTHER6: scenario.CORE_3,
    }
    for rloc, port in routes.items():
        tables.set_route(ip_address(rloc), [hop(port)])
    return tables


def groups_of(role: str) -> list[CollectiveBranch]:
    """A group of each carrier, and another tenant's at an EID of theirs."""
    children_of, is_branch, *_ = ROLES[role]
    groups = []
    for index, (carrier, eid) in enumerate(GROUP_EIDS.items()):
        parent = ip_address(scenario.PEER6 if carrier == "IPv6" else scenario.PEER) if is_branch else None
        groups.append(
            CollectiveBranch(7 + index, iid_of(carrier), eid, 1, 20 * index, 4, children_of(carrier), RANK, parent)
        )
    blue = tuple(MemberCopy(rank, hop(port), AccId(0x700 + port)) for rank, port in enumerate(BLUE_PORTS))
    return [*groups, CollectiveBranch(10, scenario.BLUE_UP, GROUP_EIDS["Scale-Up"], 1, 100, 4, blue)]


@pytest.fixture(scope="module")
def tna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("full", tmp_path_factory)


class Both:
    """Both switches, and what has been written to them."""

    def __init__(self, tables: RouterTables, *switches: tuple[Switch, P4RuntimeClient]) -> None:
        self.tables = tables
        self._switches = [switch for switch, _ in switches]
        self._clients = [client for _, client in switches]
        self._there = {entity.key() for entity in tables.desired()}

    def process(self, port: int, frame: bytes) -> tuple[Outputs, Outputs]:
        """What leaves v1model's, and what leaves TNA's."""
        expected, found = (switch.process(port, frame) for switch in self._switches)
        return expected, found

    async def dropped(self) -> tuple[Counter[tuple[str, DropReason]], Counter[tuple[str, DropReason]]]:
        """By both, for each reason."""
        expected, found = [await dropped(client) for client in self._clients]
        return expected, found

    async def form(self, history: History, branch: CollectiveBranch) -> None:
        """Forms a group as the group manager does: nothing is combined while its cells are cleared."""
        await self._write(self.tables.collectives.close(branch.number))
        for cell in history.cells():
            expected, found = self.process(*submitted(clear_packet(cell), 0))
            assert expected == found == []
        await self._write(self.tables.collectives.put(branch))
        history.begin(branch)

    async def _write(self, changes: Changes) -> None:
        new = [entity for entity in changes.put if entity.key() not in self._there]
        for client in self._clients:
            await client.insert(*new)
            await client.modify(*(entity for entity in changes.put if entity not in new))
            await client.delete(*changes.remove)
        self._there |= {entity.key() for entity in new}
        self._there -= {entity.key() for entity in changes.remove}


def as_on_tna(outputs: Outputs, arrival: Arrival) -> Outputs:
    """What v1model sends, where TNA is known to send it otherwise.

    An answer to a switch goes back by the way that the repeat came. A Scale-Up frame has the virtual channel of that in
    the tunnel, not of the tunnel, and in a tunnel an Ethernet header that is always the same.
    """
    made = []
    came_in = _scale_up(arrival.frame) if _tunnelled(arrival.frame) else 0
    for port, frame in outputs:
        octets, behind, begin = bytearray(frame), _tunnelled(frame), _scale_up(frame)
        transit = behind and _outer(frame, 0) not in OWN_RLOCS
        if behind and not transit and len(outputs) == 1 and _outer(frame, 1) == _outer(arrival.frame, 0):
            port, octets[:12] = arrival.port, arrival.frame[6:12] + arrival.frame[:6]
        if begin and behind and not transit:
            octets[behind : behind + 12] = ROUTED
        if begin and came_in and not transit:
            octets[begin + 1] = octets[begin + 1] & 0x1F | arrival.frame[came_in + 1] & 0xE0
        made.append((port, bytes(octets)))
    return made


def _tunnelled(frame: bytes) -> int:
    """Where, behind a tunnel's headers, the packet begins; 0: there is no tunnel."""
    return 50 if in_tunnel_over_ipv4(frame) else 70 if in_tunnel_over_ipv6(frame) else 0


def _scale_up(frame: bytes) -> int:
    """Where a Scale-Up header begins, in a tunnel or not; 0: there is none."""
    begin = _tunnelled(frame) + 14
    return begin if frame[begin - 2 : begin] == b"\x88\xb5" else 0


def _outer(frame: bytes, end: int) -> bytes:
    """Source (0) or destination (1) of the outermost IP header."""
    start, octets = (26, 4) if frame[12:14] == b"\x08\x00" else (22, 16)
    return frame[start + end * octets : start + (end + 1) * octets]


def without_unwanted(outputs: Outputs) -> Outputs:
    """What TNA sends, without values that are behind a member's packet, who does not want them."""
    made, values = [], set()
    for port, frame in outputs:
        start = INCC_BEHIND[frame[12:14]] if port in MEMBER_PORTS and frame[12:14] in INCC_BEHIND else len(frame)
        end, incc = start + INCC_OCTETS, frame[start : start + INCC_OCTETS]
        if len(incc) == INCC_OCTETS and incc[0] == RESULT and len(frame) >= end + 4 * VALUES:
            values.add(frame[end : end + 4 * VALUES])
            rank, target = incc[6:8], incc[12:14]
            if incc[2] & EMPTY and target not in (rank, b"\xff\xff"):
                frame = frame[:end] + frame[end + 4 * VALUES :]
        made.append((port, frame))
    assert len(values) < 2, "the same for all"
    return made


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("role", ROLES)
async def test_collectives_go_the_same_way(role: str, seed: int, tna: Path, tmp_path: Path) -> None:
    *_, scale_up, scale_out = ROLES[role]
    tables, draw = switch_of(scale_up, scale_out), random.Random(f"{role} {seed}")
    before = tables.desired()
    histories = [
        History(
            draw,
            branch,
            TUNNELS[scale_out if branch.iid == scenario.RED else scale_up],
            member_ports=MEMBER_PORTS,
            core_ports=CORE_PORTS,
        )
        for branch in groups_of(role)
    ]
    async with running(V1MODEL, before, tmp_path) as one, running(tna, before, tmp_path) as other:
        both = Both(tables, one, other)
        for history in histories:
            await both.form(history, history.branch)
        cut = headless = copied = alone = 0
        for number in range(PACKETS):
            history = draw.choice(histories)
            if draw.random() < 0.005:
                await both.form(history, replace(history.branch, generation=history.branch.generation % 255 + 1))
            arrival = history.next()
            expected, found = both.process(arrival.port, arrival.frame)
            history.learn(arrival, expected)
            cut, headless = cut + arrival.cut, headless + arrival.headless
            copied, alone = copied + (len(expected) > 1), alone + (len(expected) == 1)
            assert compared(without_unwanted(found)) == compared(as_on_tna(expected, arrival)), (
                f"packet {number}, port {arrival.port}: {arrival.frame.hex()}"
            )
        expected_drops, drops = await both.dropped()
        # On TNA a parser drops what is cut off within its values, and does not count it; what is cut off before them is
        # a packet like any other, to an EID that nobody knows.
        expected_drops["drops", DropReason.MALFORMED] -= cut + headless
        expected_drops["drops", DropReason.UNKNOWN_DESTINATION] += headless
        assert drops == expected_drops
        assert copied > PACKETS // 20
        assert alone > PACKETS // 40
        assert {reason for _, reason in drops} >= REASONS
