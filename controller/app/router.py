"""A tunnel router: the xTR's protocol core, the switch it controls, and the translation between the two.

What the map-cache and the database say becomes entries; what the switch sends up becomes a miss, and goes back down
when the miss is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from controller.app.network import Transport
from controller.app.process import MachineProcess
from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import SUBMIT, DropReason, PuntReason
from controller.dataplane.entries import NextHop, Rloc
from controller.dataplane.router_tables import Changes
from controller.lisp import Action, Eid, IPAddress
from controller.lisp.constants import PRIORITY_UNUSABLE
from controller.p4rt.packetio import PacketIn
from controller.xtr import (
    Cause,
    DatabaseChange,
    Kind,
    LocalEid,
    Locator,
    MapCacheChange,
    MapCacheEntry,
    Replay,
    Replication,
    ReplicationChange,
    RlocReachability,
    Xtr,
    XtrConfig,
)

log = logging.getLogger(__name__)

_NEGATIVE: dict[int, DropReason] = {
    Action.DROP_POLICY: DropReason.NEGATIVE_POLICY,
    Action.DROP_AUTH: DropReason.NEGATIVE_AUTH,
}

# Octets of an Ethernet header, and where in an IPv4 header the destination stands.
_ETHERNET = 14
_DESTINATION = slice(_ETHERNET + 16, _ETHERNET + 20)


def usable(locators: Iterable[Locator]) -> list[list[Rloc]]:
    """The locators that packets go to, by weight (RFC 9301 section 5.4); then those that stand in for them, and so on.

    Lower priority values come first. A weight of 0 takes no traffic while another locator of its priority can; where
    all weights are 0 the choice is left to this router: equal shares.
    """
    tiers: dict[tuple[int, bool], list[Rloc]] = {}
    for locator in locators:
        if locator.priority != PRIORITY_UNUSABLE and isinstance(locator.rloc, IPv4Address):
            place = locator.priority, locator.weight == 0
            tiers.setdefault(place, []).append(Rloc(locator.rloc, locator.weight or 1))
    return [tiers[place] for place in sorted(tiers)]


class Router(MachineProcess[Xtr]):
    """One xTR of the fabric.

    Attributes:
        control: its switch.
        punted: packets that came up from the switch.
        resubmitted: packets that went back down after their destination had been resolved.
    """

    def __init__(self, name: str, config: XtrConfig, transport: Transport, control: SwitchControl) -> None:
        super().__init__(name, Xtr(config, self.now()), config.rlocs[0], transport)
        self.control = control
        self.punted = 0
        self.resubmitted = 0
        self._attached: dict[Eid, NextHop] = {}
        self._advertised: set[Eid] = set()
        self._down_ports: set[int] = set()
        self._cut_off: set[IPAddress] = set()
        self.replication: dict[Eid, Replication] = {}
        control.on_packet_in = self.packet_in

    def start(self) -> None:
        """Registers what is advertised from the start and subscribes to what is configured."""
        self.listen()
        self.perform(self.machine.start(self.now()))

    def attach(self, eid: Eid, next_hop: NextHop) -> None:
        """An accelerator with this EID is on a port now (SO-PATH-1): database first, then its registration.

        Raises ValueError when the EID is no IPv4 host.
        """
        if not isinstance(eid.target, IPv4Network) or not eid.is_host:
            raise ValueError(f"{eid}: an accelerator is attached by the address of a host")
        self._attached[eid] = next_hop
        self.control.apply(self.control.tables.add_access_port(next_hop.port, self.machine.config.site_id, eid.iid))
        self.perform(self.machine.attach(eid, self.now()))

    def detach(self, eid: Eid) -> None:
        """The accelerator with this EID is gone (SO-PATH-5)."""
        self._attached.pop(eid, None)
        self.perform(self.machine.detach(eid, self.now()))

    def port_status(self, port: int, up: bool) -> None:
        """A port has gone down or come up: its accelerators are withdrawn, or registered again (SO-PATH-12).

        RLOCs that only this port leads to leave their RLOC-sets, or come back.
        """
        (self._down_ports.discard if up else self._down_ports.add)(port)
        cut_off = self.control.tables.cut_off(self._down_ports)
        changed = sorted(self._cut_off ^ cut_off)
        self._cut_off = cut_off
        self.perform(self.machine.rlocs_routed(changed, up))
        eids = [eid for eid, next_hop in self._attached.items() if next_hop.port == port]
        if up:
            self.perform(self.machine.attach_all(map(LocalEid, eids), self.now()))
        else:
            self.perform(self.machine.withdraw(eids, self.now(), Cause.FAILED))

    def handle(self, output: object) -> None:
        """Takes over what the protocol core changed."""
        match output:
            case MapCacheChange(eid=eid, entry=entry):
                self._map_cache(eid, entry)
            case DatabaseChange(eid=eid, entry=entry):
                self._advertise(eid, entry is not None and not entry.deliver)
            case ReplicationChange(group=group, entry=replication):
                self._replicate(group, replication)
            case Replay(eid=eid, packets=packets):
                for packet in packets:
                    self.resubmitted += 1
                    self.control.packet_out(packet, mode=SUBMIT, iid=eid.iid)
            case RlocReachability(rloc=IPv4Address() as rloc, reachable=reachable):
                self.control.apply(self.control.tables.set_reachable(rloc, reachable))
            case _:
                super().handle(output)

    def packet_in(self, packet: PacketIn) -> None:
        """A packet that the switch did not know what to do with."""
        self.punted += 1
        reason = packet.metadata["reason"]
        if reason != PuntReason.UNKNOWN_DESTINATION:
            log.info("%s: a packet of %d octets for this router itself", self.name, len(packet.payload))
            return
        octets = packet.payload[_DESTINATION]
        iid = packet.metadata["iid"]
        if len(octets) != 4 or not isinstance(iid, int):
            log.warning("%s: packet-in of %d octets: no IPv4 header", self.name, len(packet.payload))
            return
        self.perform(self.machine.miss(Eid.of(iid, IPv4Address(octets)), self.now(), packet.payload))

    def _replicate(self, group: Eid, entry: Replication | None) -> None:
        """What becomes of packets to a group is known; the data plane has no stage for it yet."""
        if entry is None:
            self.replication.pop(group, None)
        else:
            self.replication[group] = entry

    def _map_cache(self, eid: Eid, entry: MapCacheEntry | None) -> None:
        if isinstance(eid.target, IPv4Network):
            self.control.apply(self._translate(eid, eid.target, entry))

    def _translate(self, eid: Eid, prefix: IPv4Network, entry: MapCacheEntry | None) -> Changes:
        tables = self.control.tables
        if entry is None:
            return tables.remove(eid.iid, prefix)
        if entry.kind is Kind.LOCAL:
            return tables.set_local(eid.iid, prefix, self._attached[eid])
        if entry.kind is Kind.FORWARD:
            return tables.set_forward(eid.iid, prefix, *usable(entry.locators))
        if entry.action == Action.SEND_MAP_REQUEST:
            return tables.set_unknown(eid.iid, prefix)
        # Natively-Forward has nowhere to go either: EIDs are not routable in the underlay.
        reason = _NEGATIVE.get(entry.action, DropReason.NEGATIVE_NO_REASON)
        return tables.set_negative(eid.iid, prefix, reason)

    def _advertise(self, eid: Eid, advertised: bool) -> None:
        """A PoD's own subnet: its hosts have entries of their own, everything else in it is unknown."""
        if not isinstance(eid.target, IPv4Network) or advertised == (eid in self._advertised):
            return
        tables = self.control.tables
        if advertised:
            self._advertised.add(eid)
            self.control.apply(tables.set_unknown(eid.iid, eid.target))
        else:
            self._advertised.discard(eid)
            self.control.apply(tables.remove(eid.iid, eid.target))
