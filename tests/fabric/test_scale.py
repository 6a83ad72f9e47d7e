"""A full PoD: about a thousand accelerators registered, published and installed (draft sections 2 and 4.1)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from controller.dataplane.entries import NextHop
from controller.lisp import Eid
from tests.fabric.observe import IID, Observer, way

ACCELERATORS = 1024


@pytest.mark.requirement("SO-REG-18")
@pytest.mark.requirement("GEN-7", partial=True)  # Scale-Out EIDs
async def test_a_thousand_accelerators_in_a_pod(own_fabric: Observer) -> None:
    fabric = own_fabric.fabric
    first = int(IPv4Address("10.0.16.0"))
    eids = [Eid.of(IID, IPv4Address(first + number)) for number in range(ACCELERATORS)]
    port = fabric.plans["A1"].port_to("acc1")
    for eid in eids:
        fabric.routers["A1"].attach(eid, NextHop(port.number, port.mac, port.peer_mac))
    await fabric.converge(seconds=60)
    registered = {view.eid for view in fabric.mapping_systems["SU-MS-A"].machine.registrations()}
    assert set(eids) <= registered
    for switch in ("A2", "A3", "A4"):
        known = {entry.eid for entry in fabric.routers[switch].machine.map_cache()}
        assert set(eids) <= known
        assert len(await own_fabric.entries(switch, "scale_out_ipv4")) >= ACCELERATORS
    # One RLOC-set serves them all.
    assert len(await own_fabric.entries("A3", "rloc_set")) <= 8
    assert way(await own_fabric.walk("acc2", str(eids[-1].target).split("/")[0])) == ["A2", "S-A", "A1"]
