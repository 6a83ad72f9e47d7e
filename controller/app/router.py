"""A tunnel router: the xTR's protocol core, the switch it controls, and the translation between the two.

What the map-cache and the database say becomes entries; what the switch sends up becomes a miss, and goes back down
when the miss is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from controller.app import too_big
from controller.app.accelerator_names import AcceleratorNames
from controller.app.attachments import Attachments
from controller.app.border_sides import BorderSides
from controller.app.group_forwarding import GroupForwarding
from controller.app.listeners import Listeners, Membership
from controller.app.membership import changes_in
from controller.app.network import Transport
from controller.app.process import MachineProcess
from controller.app.punted import destination_of
from controller.app.querier import Querier, query
from controller.app.switch_control import SwitchControl
from controller.dataplane.addresses import AccId
from controller.dataplane.addresses import Eid as DataPlaneEid
from controller.dataplane.codepoints import SUBMIT, DropReason, PuntReason
from controller.dataplane.entries import NextHop, Rloc
from controller.dataplane.router_tables import Changes
from controller.lisp import Action, DistinguishedName, Eid, IPAddress, Metadata, is_group
from controller.lisp.constants import PRIORITY_UNUSABLE
from controller.lisp.replication import can_receive
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
    ReplicationChange,
    RlocReachability,
    Xtr,
    XtrConfig,
)
from controller.xtr.nonces import NonceStore

log = logging.getLogger(__name__)

_NEGATIVE: dict[int, DropReason] = {
    Action.DROP_POLICY: DropReason.NEGATIVE_POLICY,
    Action.DROP_AUTH: DropReason.NEGATIVE_AUTH,
}


def usable(locators: Iterable[Locator], versions: frozenset[int] = frozenset({4})) -> list[list[Rloc]]:
    """The locators that packets go to, by weight (RFC 9301 section 5.4); then those that stand in for them, and so on.

    `versions`: the IP versions that this router has an RLOC of. Lower priority values come first. A weight of 0 takes
    no traffic while another locator of its priority can; where all weights are 0 the choice is left to this router:
    equal shares.
    """
    tiers: dict[tuple[int, bool], list[Rloc]] = {}
    for locator in locators:
        if locator.priority != PRIORITY_UNUSABLE and locator.rloc.version in versions:
            place = locator.priority, locator.weight == 0
            tiers.setdefault(place, []).append(Rloc(locator.rloc, locator.weight or 1))
    return [tiers[place] for place in sorted(tiers)]


# Sampled packets that a router remembers.
SAMPLES_KEPT = 256


class Router(MachineProcess[Xtr]):
    """One xTR of the fabric.

    Attributes:
        control: its switch.
        punted: packets that came up from the switch because it did not know what to do with them.
        sampled: copies of forwarded packets that came up; samples: the last of them, each with its time.
        resubmitted: packets that went back down after their destination had been resolved.
    """

    def __init__(
        self,
        name: str,
        config: XtrConfig,
        transport: Transport,
        control: SwitchControl,
        *,
        names: AcceleratorNames | None = None,
        scale_up_iids: frozenset[int] = frozenset(),
        nonces: NonceStore | None = None,
    ) -> None:
        """`names`: of the PoD's accelerators; `scale_up_iids`: the Instance-IDs of the Scale-Up domain;
        `nonces`: where the xTR's nonces outlive it.
        """
        super().__init__(name, Xtr(config, self.now(), store=nonces), config.rlocs[0], transport)
        self.control = control
        self.punted = 0
        self.sampled = 0
        self.samples: deque[tuple[float, PacketIn]] = deque(maxlen=SAMPLES_KEPT)
        self.resubmitted = 0
        self._names = names or AcceleratorNames()
        self._attached = Attachments(self._names, scale_up_iids)
        self._acc_ids: dict[Eid, AccId] = {}
        self._holders: dict[tuple[int, AccId], Eid] = {}
        self._advertised: set[Eid] = set()
        self._versions = frozenset(rloc.version for rloc in config.rlocs)
        self._down_ports: set[int] = set()
        self._cut_off: set[IPAddress] = set()
        self._sides = BorderSides(config)
        self._cabled: dict[Eid, tuple[IPAddress, ...]] = {}
        self._listeners = Listeners()
        self._querier = Querier()
        self._to_ask: set[int] = set()
        self._groups = GroupForwarding(control.tables, config, self._names)
        control.on_packet_in = self.packet_in

    def start(self) -> None:
        """Registers what is advertised from the start and subscribes to what is configured."""
        self.listen()
        self._querier.start(self.now())
        self.perform(self.machine.start(self.now()))

    def attach(self, eid: Eid, next_hop: NextHop, cabled: tuple[IPAddress, ...] = ()) -> None:
        """An accelerator with this EID is on a port now (SO-PATH-1): database first, then its registration.

        The EID is the address of a host, or the name of an accelerator of the PoD. `cabled`: the RLOCs of all routers
        that it has a port at, as far as known. Raises ValueError for any other EID, and when the port belongs to
        another accelerator or tenant.
        """
        port = self._attached.add(eid, next_hop)
        entry = self.control.tables.add_access_port(
            next_hop.port,
            self.machine.config.site_id,
            port.scale_out_iid,
            scale_up_iid=port.scale_up_iid,
            acc_id=port.acc_id,
        )
        self.control.apply(entry)
        self._cabled[eid] = cabled
        self.perform(self.machine.attach_all([self._local(eid)], self.now()))
        self._ask_soon(next_hop.port)

    def detach(self, eid: Eid) -> None:
        """The accelerator with this EID is gone (SO-PATH-5)."""
        self._attached.remove(eid)
        self._cabled.pop(eid, None)
        self._memberships(self._listeners.forget(eid))
        self.perform(self.machine.detach(eid, self.now()))

    def announce(self, eid: Eid, metadata: Metadata) -> None:
        """An EID that no accelerator has is registered with this router's RLOC: that of a group of collectives.

        Again with other `metadata`, it is registered anew.
        """
        self.perform(self.machine.attach_all([LocalEid(eid, deliver=False, metadata=metadata)], self.now()))

    def renounce(self, eid: Eid) -> None:
        """What was announced is withdrawn."""
        self.perform(self.machine.detach(eid, self.now()))

    def join(self, port: int, group: Eid) -> None:
        """The accelerator on a port wants what is sent to a group of its Instance-ID.

        It stays so until `leave`, whatever the accelerator reports. A multihomed accelerator joins at all of its
        routers. Raises ValueError when no accelerator that can receive the group is on the port, ConfigError for what
        is no group.
        """
        receiver = self._on(port, group)
        outputs = self.machine.join(receiver, group, self.now())
        self._listeners.configure(Membership(receiver, group))
        self.perform(outputs)

    def leave(self, port: int, group: Eid) -> None:
        """The accelerator on a port wants a group no more, unless it has reported it. Raises as `join`."""
        receiver = self._on(port, group)
        if self._listeners.release(Membership(receiver, group)):
            self.perform(self.machine.leave(receiver, group, self.now()))

    def port_status(self, port: int, up: bool) -> None:
        """A port has gone down or come up: its accelerators are withdrawn, or registered again (SO-PATH-12).

        RLOCs that only this port leads to leave their RLOC-sets, or come back. A border that no port leads to its PoD
        any more, or to other PoDs, withdraws what it advertises.
        """
        (self._down_ports.discard if up else self._down_ports.add)(port)
        cut_off = self.control.tables.cut_off(self._down_ports)
        changed = sorted(self._cut_off ^ cut_off)
        self._cut_off = cut_off
        self.perform(self.machine.rlocs_routed(changed, up))
        self._review_sides()
        eids = self._attached.on_port(port)
        if up:
            self.perform(self.machine.attach_all(map(self._local, eids), self.now()))
            self._ask_soon(port)
        else:
            self.perform(self.machine.withdraw(eids, self.now(), Cause.FAILED))

    def _review_sides(self) -> None:
        """A border that has lost one side, or has it back, says so to those who would reach it from the other."""
        if self._sides.changed(self.control.tables.routed(), self._cut_off):
            advertised, now = self._sides.advertised, self.now()
            if self._sides.withdrawn:
                self.perform(self.machine.withdraw([local.eid for local in advertised], now, Cause.FAILED))
            else:
                self.perform(self.machine.attach_all(advertised, now))

    def next_deadline(self) -> float | None:
        """When the machine, a membership that is not renewed, or the next query is due."""
        deadlines = (one.next_deadline() for one in (self.machine, self._listeners, self._querier))
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self) -> None:
        """Does what is due; accelerators are asked for memberships, and those that have not been renewed end."""
        if self._querier.due(self.now()):
            self._ask_for_groups()
        self._memberships(self._listeners.expired(self.now()))
        super().tick()

    def handle(self, output: object) -> None:
        """Takes over what the protocol core changed."""
        match output:
            case MapCacheChange(eid=eid, entry=entry):
                self._map_cache(eid, entry)
            case DatabaseChange(eid=eid, entry=entry):
                self._advertise(eid, entry is not None and not entry.deliver)
            case ReplicationChange():
                self.control.apply(self._groups.changed(output, self._attached.get))
            case Replay(eid=eid, packets=packets):
                for packet in packets:
                    self.resubmitted += 1
                    self.control.packet_out(packet, mode=SUBMIT, iid=eid.iid)
            case RlocReachability(rloc=rloc, reachable=reachable):
                self.control.apply(self.control.tables.set_reachable(rloc, reachable))
            case _:
                super().handle(output)

    def packet_in(self, packet: PacketIn) -> None:
        """A packet that the switch did not know what to do with, or a sampled copy of one that it did."""
        reason = packet.metadata["reason"]
        if reason == PuntReason.SAMPLE:
            self.samples.append((self.now(), packet))
            self.sampled += 1
            return
        self.punted += 1
        if reason == PuntReason.TOO_BIG:
            self._too_big(packet)
            return
        if reason == PuntReason.MEMBERSHIP:
            self._membership(packet)
            return
        if reason != PuntReason.UNKNOWN_DESTINATION:
            log.info("%s: a packet of %d octets for this router itself", self.name, len(packet.payload))
            return
        iid = packet.metadata["iid"]
        assert isinstance(iid, int)
        try:
            eid = destination_of(packet.payload, iid, self._names)
        except ValueError as error:
            log.warning("%s: packet-in of Instance-ID %d: %s", self.name, iid, error)
            return
        if is_group(eid):
            # Nobody is known to listen. From now on this router hears of it, but the packet has nowhere to wait.
            self.perform(self.machine.follow(eid, self.now()))
        else:
            self.perform(self.machine.miss(eid, self.now(), packet.payload))

    def _local(self, eid: Eid) -> LocalEid:
        """An attached accelerator's database entry: a name is registered with the AccID beside each RLOC."""
        acc_id = self._names.acc_id(eid)
        metadata = None if acc_id is None else Metadata(acc_id=acc_id)
        return LocalEid(eid, metadata=metadata, cabled=self._cabled.get(eid, ()))

    def _on(self, port: int, group: Eid) -> Eid:
        """The EID, of those that can receive a group, of the accelerator on a port. Raises ValueError without one."""
        for eid in self._attached.on_port(port):
            if can_receive(eid, group):
                return eid
        raise ValueError(f"port {port}: no accelerator that can receive {group}")

    def _too_big(self, packet: PacketIn) -> None:
        """A packet that does not fit into the tunnel: its fragments go on, or its sender is told."""
        mtu, iid = packet.metadata["mtu"], packet.metadata["iid"]
        assert isinstance(mtu, int)
        assert isinstance(iid, int)
        for frame in too_big.answers(packet.payload, mtu, self.machine.config.rlocs):
            self.control.packet_out(frame, mode=SUBMIT, iid=iid)

    def _membership(self, packet: PacketIn) -> None:
        """An accelerator says which groups it wants; what cannot be is logged."""
        port, iid = packet.metadata["ingress_port"], packet.metadata["iid"]
        assert isinstance(port, int)
        assert isinstance(iid, int)
        try:
            changes = changes_in(packet.payload)
            self._memberships(self._listeners.report(iid, changes, lambda group: self._on(port, group), self.now()))
        except ValueError as error:
            log.warning("%s: a report of membership on port %d: %s", self.name, port, error)
        self.perform(())  # another deadline may be the next one now

    def _ask_soon(self, port: int) -> None:
        """One query for all that is attached to a port now, however many EIDs that are."""
        if port not in self._to_ask:
            self._to_ask.add(port)
            asyncio.get_running_loop().call_soon(self._ask_new, port)

    def _ask_new(self, port: int) -> None:
        self._to_ask.discard(port)
        if not self._stopped:
            self._ask_for_groups(port)

    def _ask_for_groups(self, port: int | None = None) -> None:
        """Queries of IGMP or MLD, to the accelerator on one port or to all."""
        rlocs = self.machine.config.rlocs
        source = next((rloc for rloc in rlocs if isinstance(rloc, IPv4Address)), IPv4Address(0))
        for (number, version), hop in self._attached.links(port).items():
            self.control.packet_out(query(version, hop, source), port=number)

    def _memberships(self, changes: Iterable[tuple[Membership, bool]]) -> None:
        for (receiver, group), joins in changes:
            change = self.machine.join if joins else self.machine.leave
            self.perform(change(receiver, group, self.now()))

    def _map_cache(self, eid: Eid, entry: MapCacheEntry | None) -> None:
        target = self._target(eid, entry)
        if target is not None:
            self.control.apply(self._translate(eid, target, entry))

    def _target(self, eid: Eid, entry: MapCacheEntry | None) -> DataPlaneEid | None:
        """What the data plane knows an EID as; None if it has nothing to do with it."""
        if isinstance(eid.target, (IPv4Network, IPv6Network)):
            return eid.target
        if not isinstance(eid.target, DistinguishedName):
            return None
        if entry is None:
            gone = self._acc_ids.pop(eid, None)
            if gone is not None:
                del self._holders[eid.iid, gone]
            return gone
        told = self._names.acc_id_of(entry)
        known = self._acc_ids.get(eid)
        if told is None:
            return known
        taken = AccId(told)
        holder = self._holders.get((eid.iid, taken), eid)
        if holder != eid:
            log.warning("%s: %s says it is AccID %d, which %s is: not forwarded to", self.name, eid, told, holder)
            return None
        if known is not None and known != taken:
            del self._holders[eid.iid, known]
            self.control.apply(self.control.tables.remove(eid.iid, known))
        self._acc_ids[eid] = taken
        self._holders[eid.iid, taken] = eid
        return taken

    def _translate(self, eid: Eid, prefix: DataPlaneEid, entry: MapCacheEntry | None) -> Changes:
        tables = self.control.tables
        if entry is None:
            return tables.remove(eid.iid, prefix)
        if entry.kind is Kind.LOCAL:
            attached = eid if entry.provider is None else Eid(entry.provider, eid.target)
            return tables.set_local(eid.iid, prefix, self._attached[attached])
        if entry.kind is Kind.FORWARD:
            tiers = usable(entry.locators, self._versions)
            return tables.set_forward(eid.iid, prefix, *tiers, provider=entry.provider)
        if entry.action == Action.SEND_MAP_REQUEST:
            return tables.set_unknown(eid.iid, prefix)
        # Natively-Forward has nowhere to go either: EIDs are not routable in the underlay.
        reason = _NEGATIVE.get(entry.action, DropReason.NEGATIVE_NO_REASON)
        return tables.set_negative(eid.iid, prefix, reason)

    def _advertise(self, eid: Eid, advertised: bool) -> None:
        """A PoD's own subnet: its hosts have entries of their own, everything else in it is unknown."""
        if not isinstance(eid.target, (IPv4Network, IPv6Network)) or advertised == (eid in self._advertised):
            return
        tables = self.control.tables
        if advertised:
            self._advertised.add(eid)
            self.control.apply(tables.set_unknown(eid.iid, eid.target))
        else:
            self._advertised.discard(eid)
            self.control.apply(tables.remove(eid.iid, eid.target))
