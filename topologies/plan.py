"""What follows from a topology: port numbers, MAC addresses, and equal-cost underlay routes to every RLOC."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from topologies.schema import Topology


@dataclass(frozen=True, slots=True)
class PortPlan:
    """One port of a switch and what it is plugged into."""

    number: int
    mac: str
    peer: str
    """Name of the switch or accelerator at the other end."""
    peer_port: int
    """Port number there; an accelerator numbers its own from 1."""
    peer_mac: str
    access: bool
    """True when the peer is an accelerator."""


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """Ports and underlay routes of one switch."""

    name: str
    index: int
    """Position in the topology, from 1: the P4Runtime device id."""
    ports: tuple[PortPlan, ...]
    routes: dict[IPv4Address | IPv6Address, tuple[PortPlan, ...]]
    """RLOC to the ports of all its shortest paths, in port order; the switch's own RLOC is not in it."""

    def port_to(self, peer: str) -> PortPlan:
        """The first port that is plugged into `peer`; KeyError if there is none."""
        for port in self.ports:
            if port.peer == peer:
                return port
        raise KeyError(peer)


# Peers of each switch in port order: (name, is accelerator).
Peers = dict[str, list[tuple[str, bool]]]


def port_mac(switch_index: int, port: int) -> str:
    """A locally administered address that names switch and port."""
    return f"02:01:{switch_index >> 8:02x}:{switch_index & 255:02x}:{port >> 8:02x}:{port & 255:02x}"


def _plug(topology: Topology) -> Peers:
    """What each switch is plugged into."""
    peers: Peers = {switch.name: [] for switch in topology.switches}
    for one, other in topology.links:
        peers[one].append((other, False))
        peers[other].append((one, False))
    for accelerator in topology.accelerators:
        for switch in accelerator.attached_to:
            peers[switch].append((accelerator.name, True))
    return peers


def _peer_port(topology: Topology, peers: Peers, switch: str, position: int) -> int:
    """Port number at the far end of the port at `position` (from 0); parallel links pair up in order."""
    peer, access = peers[switch][position]
    if access:
        return topology.accelerator(peer).attached_to.index(switch) + 1
    nth = [name for name, _ in peers[switch][:position]].count(peer)
    return [index for index, (name, _) in enumerate(peers[peer], start=1) if name == switch][nth]


def _distances(ports: dict[str, tuple[PortPlan, ...]], target: str) -> dict[str, int]:
    """Hops from every switch to `target`."""
    distance = {target: 0}
    todo = deque([target])
    while todo:
        here = todo.popleft()
        for port in ports[here]:
            if not port.access and port.peer not in distance:
                distance[port.peer] = distance[here] + 1
                todo.append(port.peer)
    return distance


def plan(topology: Topology) -> dict[str, SwitchPlan]:
    """The plan of every switch, by name."""
    peers = _plug(topology)
    index = {switch.name: number for number, switch in enumerate(topology.switches, start=1)}
    ports: dict[str, tuple[PortPlan, ...]] = {}
    for name, plugged in peers.items():
        planned = []
        for position, (peer, access) in enumerate(plugged):
            far = _peer_port(topology, peers, name, position)
            peer_mac = topology.accelerator(peer).mac if access else port_mac(index[peer], far)
            number = position + 1
            planned.append(PortPlan(number, port_mac(index[name], number), peer, far, peer_mac, access))
        ports[name] = tuple(planned)

    routes: dict[str, dict[IPv4Address | IPv6Address, tuple[PortPlan, ...]]] = {name: {} for name in peers}
    for target in topology.switches:
        if target.rloc is None:
            continue
        distance = _distances(ports, target.name)
        for name in peers:
            if name != target.name and name in distance:
                routes[name][target.rloc] = tuple(
                    port
                    for port in ports[name]
                    if not port.access and distance.get(port.peer, len(peers)) == distance[name] - 1
                )
    return {name: SwitchPlan(name, index[name], ports[name], routes[name]) for name in peers}
