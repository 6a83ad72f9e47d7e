"""The state of a running fabric, as rows for people and programs; each has the filters that make sense for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from p4.v1 import p4runtime_pb2

from controller.app.control import Method, Session
from controller.app.control_errors import only, optional_integer, optional_text, unknown
from controller.dataplane.codepoints import DropReason
from controller.lisp import Action, IPAddress, RlocRecord
from controller.mapping.store import XtrKey
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import CounterCell, DirectCounter
from controller.p4rt.matches import Lpm
from topologies.inprocess import Fabric
from topologies.operate import names
from topologies.roles import eids_of, group_of, xtr_id

Row = dict[str, Any]


class Show:
    """`show.registrations`, `.map-cache`, `.subscriptions`, `.groups`, `.rlocs`, `.drops`, and `names`."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        topology = fabric.topology
        self._xtrs: dict[tuple[int, object], str] = {}
        for switch in topology.switches:
            if switch.rloc is not None and switch.pod is not None:
                pod = topology.pod(switch.pod)
                self._xtrs[pod.site_id, xtr_id(pod, switch)] = switch.name

    def methods(self) -> dict[str, Method]:
        """By name."""
        shown: dict[str, Method] = {
            "show.registrations": self.registrations,
            "show.map-cache": self.map_cache,
            "show.subscriptions": self.subscriptions,
            "show.groups": self.groups,
            "show.rlocs": self.rlocs,
            "show.drops": self.drops,
        }
        return shown | {"names": self.names}

    async def names(self, params: Mapping[str, Any], session: Session) -> object:
        """What there is in this fabric, by kind, for whoever completes a command line."""
        only(params)
        fabric = self._fabric
        return {
            "accelerators": names.accelerators(fabric),
            "switches": list(fabric.plans),
            "xtrs": list(fabric.routers),
            "map_servers": list(fabric.mapping_systems),
            "links": names.links(fabric),
            "pods": [pod.name for pod in fabric.topology.pods],
        }

    async def registrations(self, params: Mapping[str, Any], session: Session) -> object:
        """What is registered with each Map-Server, as it is published, and who registered it until when."""
        wanted, iid = self._filters(params)
        rows: list[Row] = []
        for name, system in self._fabric.mapping_systems.items():
            for view in system.machine.registrations():
                by = [
                    {"xtr": self._xtr_name(one.xtr), "expires_s": round(one.expires - system.now(), 1)}
                    for one in view.contributions
                ]
                if iid in (None, view.eid.iid) and any(wanted(str(one["xtr"])) for one in by):
                    rlocs = [self._locator(locator) for locator in view.locators]
                    row = {"map_server": name, "iid": view.eid.iid, "eid": str(view.eid.target), "rlocs": rlocs}
                    rows.append(row | {"ttl_minutes": view.ttl, "registered_by": by})
        return rows

    async def map_cache(self, params: Mapping[str, Any], session: Session) -> object:
        """The map-cache of each xTR; `expires_s` is null for what is attached there, `iid` of an RLOC for all but
        extranets.
        """
        wanted, iid = self._filters(params)
        rows: list[Row] = []
        for name, router in self._fabric.routers.items():
            for entry in router.machine.map_cache() if wanted(name) and name not in self._fabric.failed else ():
                if iid not in (None, entry.eid.iid):
                    continue
                action = entry.action.name if isinstance(entry.action, Action) else str(entry.action)
                rlocs = [
                    {
                        "name": self._fabric.name_of(one.rloc),
                        "rloc": str(one.rloc),
                        "priority": one.priority,
                        "weight": one.weight,
                        "reachable": one.reachable,
                        "iid": one.iid,
                    }
                    for one in entry.locators
                ]
                row = {"xtr": name, "iid": entry.eid.iid, "eid": str(entry.eid.target), "kind": entry.kind.value}
                row |= {"action": action if entry.kind.value == "negative" else None, "rlocs": rlocs}
                left = None if entry.expires is None else round(entry.expires - router.now(), 1)
                rows.append(row | {"source": entry.source.value, "expires_s": left})
        return rows

    async def subscriptions(self, params: Mapping[str, Any], session: Session) -> object:
        """Who is told of changes of which EID-prefix, and what of that has not been acknowledged."""
        wanted, iid = self._filters(params)
        rows: list[Row] = []
        for name, system in self._fabric.mapping_systems.items():
            pending = {(one.xtr, one.subscription): one for one in system.machine.pending()}
            for one in system.machine.subscriptions():
                xtr = self._xtr_name(one.xtr)
                if iid not in (None, one.eid.iid) or not wanted(xtr):
                    continue
                stream = pending.get((one.xtr, one.eid))
                untold = 0 if stream is None else len(stream.unacknowledged) + len(stream.waiting)
                row = {"map_server": name, "iid": one.eid.iid, "eid": str(one.eid.target), "xtr": xtr}
                rows.append(row | {"kind": one.kind.value, "nonce": f"{one.nonce:#018x}", "unacknowledged": untold})
        return rows

    async def groups(self, params: Mapping[str, Any], session: Session) -> object:
        """Where each xTR sends the packets of a group: to accelerators, to xTRs of the PoD, to other PoDs."""
        wanted, iid = self._filters(params)
        holders = {eid: one.name for one in self._fabric.topology.accelerators for eid in self._eids(one.name)}
        rows: list[Row] = []
        for name, router in self._fabric.routers.items():
            for entry in router.machine.replication() if wanted(name) and name not in self._fabric.failed else ():
                if iid in (None, entry.group.iid):
                    row = {"xtr": name, "iid": entry.group.iid, "group": self._group(entry.group)}
                    row["receivers"] = [holders.get(eid, str(eid.target)) for eid in entry.receivers]
                    row["pod"] = [self._fabric.name_of(rloc) for rloc in entry.pod]
                    row["fabric"] = [self._fabric.name_of(rloc) for rloc in entry.fabric]
                    rows.append(row)
        return rows

    async def rlocs(self, params: Mapping[str, Any], session: Session) -> object:
        """The RLOCs that each xTR uses: how many EIDs are behind them, whether they can be reached, what was sent."""
        wanted, _ = self._filters(params, iid=False)
        chosen = [name for name in self._fabric.routers if wanted(name) and name not in self._fabric.failed]
        counted = await asyncio.gather(*(self._routes(name) for name in chosen))
        rows: list[Row] = []
        for name, routes in zip(chosen, counted, strict=True):
            machine = self._fabric.routers[name].machine
            health = {one.rloc: one for one in machine.rloc_health()}
            eids: Counter[IPAddress] = Counter()
            for entry in machine.map_cache():
                if entry.kind.value == "forward":
                    eids.update(locator.rloc for locator in entry.locators)
            for rloc in sorted(eids.keys() | health.keys()):
                known = health.get(rloc)
                row: Row = {"xtr": name, "rloc": str(rloc), "name": self._fabric.name_of(rloc), "eids": eids[rloc]}
                row["routed"] = known is None or known.routed
                row["answers"] = None if known is None else known.answers
                trip = None if known is None else known.round_trip
                row["round_trip_ms"] = None if trip is None else round(trip * 1000, 3)
                row["packets"], row["octets"] = routes.get(rloc, (0, 0))
                rows.append(row)
        return rows

    async def drops(self, params: Mapping[str, Any], session: Session) -> object:
        """Packets that switches dropped, by reason: in `ingress`, or `copies` that replication left out."""
        wanted, _ = self._filters(params, iid=False, field="switch")
        chosen = [name for name in self._fabric.plans if wanted(name)]
        found = await asyncio.gather(*(self._dropped(name) for name in chosen))
        return [row for rows in found for row in rows]

    def _filters(
        self, params: Mapping[str, Any], *, iid: bool = True, field: str = "xtr"
    ) -> tuple[Callable[[str], bool], int | None]:
        """Which switches, and which Instance-ID, are wanted. Raises ControlError."""
        only(params, "pod", field, *(("iid",) if iid else ()))
        pod, name = optional_text(params, "pod"), optional_text(params, field)
        pods = [one.name for one in self._fabric.topology.pods]
        if pod is not None and pod not in pods:
            raise unknown("pod", pod, pods, "PoD")
        if name is not None:
            (names.switch if field == "switch" else names.xtr)(self._fabric, params, field)
        number = optional_integer(params, "iid", 0, 0xFFFFFF) if iid else None
        known = sorted({one.iid for one in self._fabric.topology.instances})
        if number is not None and number not in known:
            raise unknown("iid", str(number), map(str, known), "Instance-ID")
        place = {switch.name: switch.pod for switch in self._fabric.topology.switches}
        return lambda switch: name in (None, switch) and pod in (None, place.get(switch)), number

    def _xtr_name(self, key: XtrKey) -> str:
        return self._xtrs.get((key.site_id, key.identity), str(key))

    def _locator(self, locator: RlocRecord) -> Row:
        name = str(locator.address) if locator.rloc is None else self._fabric.name_of(locator.rloc)
        return {
            "name": name,
            "rloc": str(locator.rloc or locator.address),
            "priority": locator.priority,
            "weight": locator.weight,
            "iid": locator.iid,
        }

    def _eids(self, accelerator: str) -> Iterable[Any]:
        return eids_of(self._fabric.topology, self._fabric.topology.accelerator(accelerator))

    def _group(self, eid: Any) -> str:  # noqa: ANN401 - any EID
        """A group as the topology writes it, where it is in it."""
        topology = self._fabric.topology
        for one in topology.groups:
            if group_of(one) == eid:
                return str(one.address) if one.source is None else f"{one.address} from {one.source}"
        for other in topology.scale_up_groups:
            if group_of(other) == eid:
                return f"{other.number:#x}"
        return str(eid.target)

    def _client(self, switch: str) -> P4RuntimeClient:
        return self._fabric.controls[switch].client

    async def _routes(self, switch: str) -> dict[IPAddress, tuple[int, int]]:
        """Packets and octets that a switch has sent to each RLOC, by its underlay routes."""
        client = self._client(switch)
        found: dict[IPAddress, tuple[int, int]] = {}
        for version, table in ((4, "underlay_ipv4"), (6, "underlay_ipv6")):
            query = p4runtime_pb2.Entity()
            query.direct_counter_entry.table_entry.table_id = client.codec.info.tables[table].id
            for cell in await client.read_entities(query):
                if isinstance(cell, DirectCounter):
                    match = next((one for one in cell.entry.match.values() if isinstance(one, Lpm)), None)
                    if match is not None:
                        octets = match.value.to_bytes(4 if version == 4 else 16, "big")
                        found[ip_address(octets)] = cell.data.packets, cell.data.octets
        return found

    async def _dropped(self, switch: str) -> list[Row]:
        client = self._client(switch)
        rows: list[Row] = []
        for counter, where in (("drops", "ingress"), ("pruned_copies", "copies"), ("absorbed", "collectives")):
            if counter not in client.codec.info.counters:
                continue  # where collectives have a pipe of their own
            query = p4runtime_pb2.Entity()
            query.counter_entry.counter_id = client.codec.info.counters[counter].id
            for cell in await client.read_entities(query):
                if isinstance(cell, CounterCell) and cell.data.packets:
                    known = cell.index in DropReason._value2member_map_
                    reason = DropReason(cell.index).name if known else str(cell.index)
                    row = {"switch": switch, "where": where, "reason": reason}
                    rows.append(row | {"packets": cell.data.packets, "octets": cell.data.octets})
        return rows
