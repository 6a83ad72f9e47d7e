"""The plan: both ends of a link agree, and underlay routes are all the shortest ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.plan import SwitchPlan, plan
from topologies.schema import Topology
from topologies.topology_file import load

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"


@pytest.fixture(scope="module")
def figure1() -> Topology:
    return load(FIGURE1)


@pytest.fixture(scope="module")
def plans(figure1: Topology) -> dict[str, SwitchPlan]:
    return plan(figure1)


def test_both_ends_of_a_link_agree(figure1: Topology, plans: dict[str, SwitchPlan]) -> None:
    ends = 0
    for name, switch in plans.items():
        for port in switch.ports:
            if not port.access:
                far = plans[port.peer].ports[port.peer_port - 1]
                assert (far.peer, far.peer_port) == (name, port.number)
                assert (far.mac, far.peer_mac) == (port.peer_mac, port.mac)
                ends += 1
    assert ends == 2 * len(figure1.links)


def test_every_port_address_is_its_own(plans: dict[str, SwitchPlan]) -> None:
    addresses = [port.mac for switch in plans.values() for port in switch.ports]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.requirement("ARCH-10")
def test_every_rloc_is_reached_from_everywhere_without_a_loop(figure1: Topology, plans: dict[str, SwitchPlan]) -> None:
    rlocs = {switch.rloc: switch.name for switch in figure1.switches if switch.rloc is not None}
    for start in plans:
        for rloc, target in rlocs.items():
            here, hops = {start}, 0
            while here != {target}:
                here = {port.peer for name in here for port in plans[name].routes[rloc]}
                hops += 1
                assert hops <= 6, f"{start} to {target}"


def test_equal_cost_paths_between_borders(plans: dict[str, SwitchPlan], figure1: Topology) -> None:
    rloc = figure1.switch("D3").rloc
    assert rloc is not None
    assert [port.peer for port in plans["A3"].routes[rloc]] == ["F1", "F2"]
    assert [port.peer for port in plans["A1"].routes[rloc]] == ["S-A"]


def test_parallel_links_pair_up_in_order(figure1: Topology) -> None:
    doubled = figure1.model_copy(update={"links": (*figure1.links, ("A1", "S-A"))})
    plans = plan(doubled)
    ports = [port for port in plans["A1"].ports if port.peer == "S-A"]
    assert len({port.peer_port for port in ports}) == 2
    for port in ports:
        assert plans["S-A"].ports[port.peer_port - 1].peer_port == port.number
