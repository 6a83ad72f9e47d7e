"""A router or a link fails: RLOC-sets lose a locator in one write, and get it back (section 4.4; RFC 9301 §7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address

import pytest
import pytest_asyncio
from p4.v1 import p4runtime_pb2

from controller.app.xtr_settings import ProbingSettings
from controller.lisp import Datagram, MapReply, MapRequest
from controller.p4rt.actions import ActionSet
from controller.xtr import Probing
from tests.fabric.observe import FIGURE1, Observer, eid, observed, way
from topologies.topology_file import load

FAST = ProbingSettings(interval=0.8, jitter=0.2, timeout=0.15, tries=3, down_interval=0.2)


@pytest_asyncio.fixture
async def fabric() -> AsyncIterator[Observer]:
    """Figure 1 with fast probes."""
    async with observed(load(FIGURE1).model_copy(update={"probing": FAST})) as observer:
        yield observer


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any state may be waited for
            await asyncio.sleep(0.01)


def silence(fabric: Observer, name: str) -> None:
    """Probes of a router are lost: the router has failed, but its mapping system does not know yet."""
    rloc = fabric.fabric.topology.switch(name).rloc
    probes = {IPv4Address(rloc)} if rloc is not None else set()

    def lost(datagram: Datagram) -> bool:
        return datagram.destination.address in probes and datagram.payload[:1] == b"\x12"  # Map-Request, P

    fabric.fabric.network.drop = lost


def reachable(fabric: Observer, switch: str, rloc: str) -> bool:
    found = fabric.fabric.topology.switch(rloc).rloc
    return all(
        locator.reachable
        for entry in fabric.fabric.routers[switch].machine.map_cache()
        for locator in entry.locators
        if locator.rloc == found
    )


def spy(fabric: Observer, switch: str) -> list[str]:
    """The updates that a switch is written from now on: operation and table."""
    client = fabric.fabric.controls[switch].client
    written: list[str] = []
    submit = client.submit

    async def noted(request: p4runtime_pb2.WriteRequest) -> None:
        for update in request.updates:
            kind = p4runtime_pb2.Update.Type.Name(update.type)
            table = client.codec.describe(update.entity).partition("[")[0].rpartition(".")[2]
            written.append(f"{kind} {table}")
        await submit(request)

    client.submit = noted  # type: ignore[method-assign]
    return written


async def members(fabric: Observer, switch: str) -> list[list[str]]:
    """The locators of each RLOC-set on a switch, read over P4Runtime."""
    found = []
    for entry in await fabric.entries(switch, "rloc_set"):
        assert isinstance(entry.action, ActionSet)
        rlocs = [IPv4Address(action.action.params["rloc"]) for action in entry.action.actions]
        found.append(sorted(map(fabric.fabric.name_of, rlocs)))
    return sorted(found)


async def test_a_silent_router_leaves_in_one_write_and_comes_back(fabric: Observer) -> None:
    for host in ("40.0.0.7", "20.0.0.3", "30.0.0.5"):
        await fabric.resolve("acc1", host)
    assert await members(fabric, "A1") == [["A2"], ["A3", "A4"]]
    before = fabric.fabric.routers["A1"].machine.map_cache()
    written = spy(fabric, "A1")

    silence(fabric, "A3")
    await until(lambda: not reachable(fabric, "A1", "A3"))
    await fabric.settle()
    assert written == ["MODIFY rloc_set"]
    assert await members(fabric, "A1") == [["A2"], ["A4"]]
    hops = await fabric.walk("acc1", "40.0.0.7", count=12)
    assert "A3" not in way(hops)
    assert way(hops).count("A4") == 12

    written.clear()
    fabric.fabric.network.drop = lambda _: False
    await until(lambda: reachable(fabric, "A1", "A3"))
    await fabric.settle()
    assert written == ["MODIFY rloc_set"]
    assert await members(fabric, "A1") == [["A2"], ["A3", "A4"]]
    after = fabric.fabric.routers["A1"].machine.map_cache()
    assert [entry.eid for entry in after] == [entry.eid for entry in before]  # nothing was asked for anew


async def test_probes_go_bare_from_router_to_router_only(fabric: Observer) -> None:
    await fabric.resolve("acc1", "40.0.0.7")
    await asyncio.sleep(0.5)
    probes = [seen for seen in fabric.sent(MapRequest) if seen.message.probe]  # type: ignore[union-attr]
    routers = set(fabric.fabric.routers)
    assert probes
    assert not any(seen.encapsulated for seen in probes)
    assert {seen.destination for seen in probes} <= routers
    answers = [seen for seen in fabric.sent(MapReply) if seen.message.probe]  # type: ignore[union-attr]
    assert {seen.nonce for seen in probes} >= {seen.nonce for seen in answers}
    assert len(answers) >= len(probes) - len(routers) ** 2
    assert all(record.authoritative for seen in answers for record in seen.records)


async def test_a_link_that_fails_takes_the_rlocs_behind_it(own_fabric: Observer) -> None:
    """Port state alone, without probes: D3's RLOC is behind two links of A4, and leaves with the second."""
    fabric = own_fabric
    await fabric.resolve("acc1", "40.0.0.7")
    switch, plan = fabric.fabric.switches["A4"], fabric.fabric.plans["A4"]
    links = [switch.ports[plan.port_to(name).number].port for name in ("F1", "F2")]
    written = spy(fabric, "A4")
    links[0].set_enabled(False)  # type: ignore[attr-defined]
    await asyncio.sleep(1.2)  # a switch looks at its ports once a second
    assert reachable(fabric, "A4", "D3")
    assert written == []
    links[1].set_enabled(False)  # type: ignore[attr-defined]
    await until(lambda: not reachable(fabric, "A4", "D3"))
    await fabric.settle()
    assert "DELETE rloc_set" in written  # and A4, which leads nowhere now, learns of other ways
    assert ["D3", "D4"] not in await members(fabric, "A4")
    for link in links:
        link.set_enabled(True)  # type: ignore[attr-defined]
    await until(lambda: reachable(fabric, "A4", "D3"))
    await fabric.settle()
    assert ["D3", "D4"] in await members(fabric, "A4")
    assert fabric.locators("A4", "40.0.0.0/16") == ["D3", "D4"]
    assert eid("40.0.0.0/16") in [entry.eid for entry in fabric.fabric.routers["A4"].machine.map_cache()]


def test_probing_is_off_unless_a_topology_says_so() -> None:
    assert load(FIGURE1).probing is None
    assert ProbingSettings().probing() == Probing()
    with pytest.raises(ValueError, match=r"probing\.tries"):
        ProbingSettings(tries=0)
