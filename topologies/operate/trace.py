"""One packet on its way, explained by the reference engine of each switch that it meets.

The packet is real: the switches count it, the controller is asked where a switch asks it, and its receiver gets it.
Other packets stay with the engine that they have. Links take it at once, whatever their effects.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from accelerator import host, scale_up
from accelerator.ethernet import PacketError, ethernet
from accelerator.ip import ETHERTYPES, UDP, IPAddress, IpPacket, udp
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket
from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, flag, integer, invalid, only, text, unknown
from softswitch.ports import LinkEnd
from softswitch.reference.trace import NamedValue
from topologies.frames import describe_frame
from topologies.inprocess import Fabric, NotConvergedError
from topologies.linked_switches import CPU_PORT
from topologies.operate import names
from topologies.story import PACKET_IN, PACKET_OUT, value_text
from topologies.walk import Hop, hops

# Passes through switches that one trace follows; and seconds that the control plane has to answer a packet.
PASSES_LIMIT = 512
ANSWER_SECONDS = 5.0

Place = tuple[str, int, bytes]  # a switch, the port that a frame arrives at, the frame


class Trace:
    """`trace`: from `source` to `destination`."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._busy = asyncio.Lock()

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"trace": self.trace}

    async def trace(self, params: Mapping[str, Any], session: Session) -> object:
        """Sends one packet; answers with its hops, and where it ended.

        `source`: an accelerator. `destination`: another, an IP address, or an AccID. `scale_up`: by AccID, where an
        accelerator is named. `source_port`, `destination_port` (UDP), `entropy` (Scale-Up): another flow, another way.
        `ttl`: or hop limit. `size`: octets of payload.
        """
        only(params, "source", "destination", "scale_up", "source_port", "destination_port", "entropy", "ttl", "size")
        name = names.accelerator(self._fabric, params, "source")
        cookie = secrets.token_bytes(16)
        payload = bytes(max(integer(params, "size", 0, 9000, 16) - 16, 0)) + cookie
        frame, switch, port, sent = self._frame(name, params, payload)
        async with self._busy:
            walk = await self._follow((switch, port, frame), cookie)
        return {"source": name, "packet": sent, **walk}

    def _frame(self, name: str, params: Mapping[str, Any], payload: bytes) -> tuple[bytes, str, int, str]:
        """The frame, the switch and port that it enters at, and what it is in words."""
        fabric = self._fabric
        ttl = integer(params, "ttl", 1, 255, 64)
        interface = fabric.interfaces[name]
        target = destination(fabric, name, params)
        if isinstance(target, int):
            entropy = integer(params, "entropy", 0, 0xFFFF, 0)
            packet = ScaleUpPacket(fabric.endpoints[name].acc_id, target, payload, entropy=entropy, hop_limit=ttl)
            kind, octets, flow = ETHERTYPE_SCALE_UP, packet.encode(), scale_up.flow_of(packet)
            said = f"Scale-Up message from AccID {packet.source} to AccID {target}"
        else:
            source = fabric.hosts[name].address
            ports = integer(params, "source_port", 0, 0xFFFF, 49152), integer(params, "destination_port", 0, 0xFFFF, 9)
            try:
                ip = IpPacket(source, target, UDP, udp(source, target, *ports, payload), ttl)
                octets = ip.encode()
            except PacketError as error:
                raise invalid("destination", str(target), str(error)) from None
            kind, flow = ETHERTYPES[ip.version], host.flow_of(ip)
            said = f"UDP from {source} port {ports[0]} to {target} port {ports[1]}"
        if not fabric.attached[name]:
            raise ControlError(f"{name} is attached nowhere; attach it with: lispfabric attach {name}")
        uplink = interface.uplink_of(flow)
        if not uplink.is_up():
            raise ControlError(f"no link of {name} is up; heal one with: lispfabric heal link SWITCH-{name}")
        for switch, plugged in fabric.access_ports:
            if plugged == name:
                port = fabric.plans[switch].port_to(name)
                if bytes.fromhex(port.mac.replace(":", "")) == uplink.router_mac:
                    return ethernet(uplink.router_mac, interface.mac, kind, octets), switch, port.number, said
        raise ControlError(f"{name} has no cable")

    async def _follow(self, start: Place, cookie: bytes) -> dict[str, object]:
        """Carries the packet from switch to switch until nothing of it is left."""
        waiting: deque[Place] = deque([start])
        arrived = asyncio.Event()

        def from_controller(switch: str, packet: bytes) -> bool:
            if cookie not in packet:
                return False
            waiting.append((switch, CPU_PORT, packet))
            arrived.set()
            return True

        found: list[object] = []
        delivered: list[str] = []
        dropped: list[object] = []
        punted = 0
        self._fabric.interceptors.append(from_controller)
        try:
            while len(found) < PASSES_LIMIT:
                if not waiting:
                    if not punted:
                        break
                    arrived.clear()
                    await self._answer(arrived)
                    if not waiting:
                        break
                place = waiting.popleft()
                punted -= place[1] == CPU_PORT
                for hop in self._explain(place):
                    out, ahead, at, up = self._send(hop)
                    waiting += ahead
                    delivered += at
                    punted += up
                    described = self._describe(hop, out)
                    found.append(described)
                    # A copy that would go back is left out, and the others go on: nothing is lost.
                    if hop.dropped is not None and not (out and described["dropped"]["reason"] == "SPLIT_HORIZON"):
                        dropped.append({"switch": hop.switch, **described["dropped"]})
                    dropped += [
                        {"switch": hop.switch, "reason": "LINK_DOWN", "text": f"the link to {one['to']} is down"}
                        for one in out
                        if one["state"] == "link down"
                    ]
        finally:
            self._fabric.interceptors.remove(from_controller)
        if punted > 0 and not delivered:
            dropped.append({"switch": "", "reason": "NO_ANSWER", "text": "the control plane has no way for it"})
        return {"hops": found, "delivered": delivered, "dropped": dropped}

    async def _answer(self, arrived: asyncio.Event) -> None:
        """Until the control plane sends the packet on, or has come to rest without."""
        rest = asyncio.create_task(self._rest())
        back = asyncio.create_task(arrived.wait())
        await asyncio.wait((rest, back), return_when=asyncio.FIRST_COMPLETED)
        for task in (rest, back):
            task.cancel()
        await asyncio.gather(rest, back, return_exceptions=True)

    async def _rest(self) -> None:
        try:
            await asyncio.sleep(0.05)
            await self._fabric.converge(ANSWER_SECONDS)
        except NotConvergedError:
            pass

    def _explain(self, place: Place) -> list[Hop]:
        switch, port, frame = place
        _, events = self._fabric.switches[switch].explain(port, frame)
        return hops((switch, event) for event in events)

    def _send(self, hop: Hop) -> tuple[list[dict[str, Any]], list[Place], list[str], int]:
        """What leaves a switch goes on: in words, the places it reaches, its receivers, and how much was punted."""
        fabric, switch = self._fabric, self._fabric.switches[hop.switch]
        ports = {port.number: port for port in fabric.plans[hop.switch].ports}
        out: list[dict[str, Any]] = []
        ahead: list[Place] = []
        delivered: list[str] = []
        punted = 0
        for number, frame in hop.sent:
            state = "sent"
            if number == CPU_PORT:
                to, state = "the controller", "punted"
                punted += 1
                if switch.on_packet_in is not None:
                    switch.on_packet_in(frame)
            elif number not in ports:
                to, state = "nothing", "link down"
            else:
                planned, port = ports[number], switch.ports[number].port
                to = planned.peer
                if not port.is_up:
                    state = "link down"
                elif isinstance(port, LinkEnd):
                    ahead.append((planned.peer, planned.peer_port, frame))
                else:
                    state = "delivered"
                    delivered.append(to)
                    port.send(frame)
            headers = describe_frame(frame[PACKET_IN if number == CPU_PORT else 0 :])[1:]
            out.append({"port": number, "to": to, "state": state, "headers": headers})
        return out, ahead, delivered, punted

    def _describe(self, hop: Hop, out: list[dict[str, Any]]) -> dict[str, Any]:
        ports = {port.number: port.peer for port in self._fabric.plans[hop.switch].ports}
        from_controller = hop.ingress_port == CPU_PORT
        reason = None if hop.reason is None else hop.reason.name
        return {
            "switch": hop.switch,
            "role": self._fabric.topology.switch(hop.switch).role,
            "port": hop.ingress_port,
            "from": "the controller" if from_controller else ports.get(hop.ingress_port, "nothing"),
            "headers": describe_frame(hop.received[PACKET_OUT if from_controller else 0 :])[1:],
            "lookups": [
                {
                    "table": lookup.table,
                    "key": _named(lookup.key),
                    "hit": lookup.hit,
                    "action": lookup.action,
                    "params": _named(lookup.params),
                }
                for lookup in hop.lookups
                if lookup.key  # keyless tables are the compiler's own, or say something about every packet
            ],
            "changes": [{"field": one.name, "old": one.old, "new": one.new} for one in hop.changes],
            "out": out,
            "dropped": None if hop.dropped is None else {"reason": reason or "PROGRAM", "text": hop.dropped},
        }


def _named(parts: tuple[NamedValue, ...]) -> dict[str, str]:
    return {part.name: value_text(part) for part in parts}


def destination(fabric: Fabric, source: str, params: Mapping[str, Any]) -> IPAddress | int:
    """Where a packet goes: an IP address, or an AccID. Raises ControlError when `source` cannot send there.

    `destination` is an accelerator, an IP address or an AccID; with `scale_up` an accelerator is reached by its AccID,
    without it by its IP address, if both have one.
    """
    value, by_acc_id = text(params, "destination"), flag(params, "scale_up")
    target: IPAddress | int
    if value in fabric.interfaces:
        endpoint, other = fabric.endpoints.get(value), fabric.hosts.get(value)
        if not by_acc_id and other is not None and source in fabric.hosts:
            target = other.address
        elif endpoint is not None:
            target = endpoint.acc_id
        else:
            raise invalid("destination", value, "has no AccID in a Scale-Up Instance-ID")
    elif value.isdecimal() or value.startswith("0x"):
        try:
            target = int(value, 0)
        except ValueError:
            raise invalid("destination", value, "no AccID") from None
        if target > 0xFFFFFFFF:
            raise invalid("destination", value, "an AccID has 32 bits")
    else:
        try:
            target = ip_address(value)
        except ValueError:
            raise unknown("destination", value, fabric.interfaces, "accelerator (or IP address, or AccID)") from None
        if by_acc_id:
            raise invalid("destination", value, "is an IP address, not an AccID")
    if isinstance(target, int) and source not in fabric.endpoints:
        raise invalid("source", source, "has no AccID in a Scale-Up Instance-ID")
    if not isinstance(target, int):
        if source not in fabric.hosts:
            raise invalid("source", source, "has no IP address; send by AccID")
        if fabric.hosts[source].address.version != target.version:
            raise invalid("destination", value, f"{source} has an address of the other IP version")
    return target
