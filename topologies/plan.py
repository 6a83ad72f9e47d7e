"""What follows from a topology: port numbers, MAC addresses, and equal-cost underlay routes to every RLOC."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from topologies.schema import NodeConfig, Topology


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
    """RLOC or Map-Server to the ports of all its shortest paths, in port order; the switch's own are not in it."""

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


def server_homes(topology: Topology) -> dict[IPv4Address | IPv6Address, str]:
    """The switch that each Map-Server is at, where control messages travel in band.

    That of a PoD is at a switch of the PoD, that of the fabric at a fabric switch, the nodes of each at different ones
    as far as there are; where there is no such switch, at an xTR.
    """

    def spread(nodes: tuple[NodeConfig, ...], *groups: list[str]) -> dict[IPv4Address | IPv6Address, str]:
        among = next(group for group in groups if group)
        return {node.address: among[number % len(among)] for number, node in enumerate(nodes)}

    homes: dict[IPv4Address | IPv6Address, str] = {}
    for pod in topology.pods:
        inside = [switch for switch in topology.switches if switch.pod == pod.name]
        spines = [switch.name for switch in inside if switch.role == "pod-switch"]
        homes |= spread(pod.mapping_system.all_nodes, spines, [switch.name for switch in inside])
    if topology.scale_out_mapping_system is not None:
        by_role = {
            role: [one.name for one in topology.switches if one.role == role] for role in ("fabric-switch", "border")
        }
        everybody = [switch.name for switch in topology.switches]
        homes |= spread(topology.scale_out_mapping_system.all_nodes, *by_role.values(), everybody)
    return homes


def plan(topology: Topology, servers: Mapping[IPv4Address | IPv6Address, str] | None = None) -> dict[str, SwitchPlan]:
    """The plan of every switch, by name. `servers`: the switches of Map-Servers, to which there are routes then too."""
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

    targets = [(switch.rloc, switch.name) for switch in topology.switches if switch.rloc is not None]
    targets += [] if servers is None else list(servers.items())
    routes: dict[str, dict[IPv4Address | IPv6Address, tuple[PortPlan, ...]]] = {name: {} for name in peers}
    for address, target in targets:
        distance = _distances(ports, target)
        for name in peers:
            if name != target and name in distance:
                routes[name][address] = tuple(
                    port
                    for port in ports[name]
                    if not port.access and distance.get(port.peer, len(peers)) == distance[name] - 1
                )
    return {name: SwitchPlan(name, index[name], ports[name], routes[name]) for name in peers}
