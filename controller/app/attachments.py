"""The accelerators on a router's ports: which EIDs are where, and what a port stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from controller.app.accelerator_names import AcceleratorNames
from controller.dataplane.entries import NextHop
from controller.lisp import Eid


@dataclass(frozen=True, slots=True)
class AccessPort:
    """What the port of an accelerator stands for: one Instance-ID a domain, 0 for none, and its AccID."""

    scale_out_iid: int = 0
    scale_up_iid: int = 0
    acc_id: int = 0


class Attachments:
    """Who is attached. `scale_up_iids`: the Instance-IDs of the Scale-Up domain; `names`: of the PoD's accelerators."""

    def __init__(self, names: AcceleratorNames, scale_up_iids: frozenset[int]) -> None:
        self._names = names
        self._scale_up_iids = scale_up_iids
        self._hops: dict[Eid, NextHop] = {}
        self._ports: dict[int, AccessPort] = {}

    def add(self, eid: Eid, next_hop: NextHop) -> AccessPort:
        """An EID is on a port now; returns what the port stands for. Raises ValueError naming what does not fit.

        An accelerator has one Instance-ID in each domain: everything about a tenant follows from the port.
        """
        known = self._ports.get(next_hop.port, AccessPort())
        if isinstance(eid.target, (IPv4Network, IPv6Network)):
            if not eid.is_host:
                raise ValueError(f"{eid}: an accelerator is attached by the address of a host")
            acc_id = known.acc_id
        else:
            said = self._names.acc_id(eid)
            if said is None:
                raise ValueError(f"{eid}: no name of an accelerator of this PoD ({self._names.prefix}...)")
            if known.acc_id not in (0, said):
                raise ValueError(f"{eid}: port {next_hop.port} has the accelerator of AccID {known.acc_id}")
            acc_id = said
        field = "scale_up_iid" if eid.iid in self._scale_up_iids else "scale_out_iid"
        taken = getattr(known, field)
        if taken not in (0, eid.iid):
            raise ValueError(f"{eid}: port {next_hop.port} is of Instance-ID {taken}")
        port = replace(known, acc_id=acc_id, **{field: eid.iid})
        self._hops[eid] = next_hop
        self._ports[next_hop.port] = port
        return port

    def remove(self, eid: Eid) -> None:
        """An EID is not attached any more; a port that nobody is left on can be given to somebody else."""
        hop = self._hops.pop(eid, None)
        if hop is not None and not self.on_port(hop.port):
            del self._ports[hop.port]

    def on_port(self, port: int) -> list[Eid]:
        """The EIDs on a port, in the order in which they came."""
        return [eid for eid, hop in self._hops.items() if hop.port == port]

    def links(self, port: int | None = None) -> dict[tuple[int, int], NextHop]:
        """Where there are IP hosts, on one port or on any: the next hop for each port and IP version."""
        return {
            (hop.port, eid.target.version): hop
            for eid, hop in self._hops.items()
            if isinstance(eid.target, (IPv4Network, IPv6Network)) and port in (None, hop.port)
        }

    def get(self, eid: Eid) -> NextHop | None:
        """Where an EID is; None if it is not attached."""
        return self._hops.get(eid)

    def __getitem__(self, eid: Eid) -> NextHop:
        return self._hops[eid]
