"""Mapping systems of two nodes: one can die, or come back with what it knew then, and nothing is lost by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import DistinguishedName, Eid, MapNotify, MapRegister, MapRequest
from controller.mapping import ConfigError, MapServer, MemoryStore
from controller.xtr import Xtr, XtrConfig
from tests.mapping.harness import SCALE_UP_IID, Fabric, eid, ip, nonce_source

ACC_7 = Eid(SCALE_UP_IID, DistinguishedName("POD-D-AccID-7"))
SECOND = {"SU-D": ip("192.0.40.101"), "SU-A": ip("192.0.10.101"), "SO": ip("192.0.0.101")}
D1, D2, D3, D4 = (f"192.0.40.{number}" for number in (1, 2, 3, 4))


class TwinFabric(Fabric):
    """PoDs whose mapping systems, and the one between them, have a second node: "SU-D2", "SO2"."""

    def __init__(self, pods: str, *, follow_names: bool = False) -> None:
        super().__init__(pods, follow_names=follow_names)
        for name in [name for name in self.net.nodes if name.startswith("S")]:
            self.stores[f"{name}2"] = MemoryStore()
            config = replace(self.server(name).config, address=SECOND[name])
            server = MapServer(config, self.stores[f"{name}2"], 0.0, nonces=nonce_source(77))
            self.net.add(f"{name}2", server, [config.address])

    def config(self, name: str) -> XtrConfig:
        alone = super().config(name)
        seconds = {"scale-up": SECOND[f"SU-{name[0]}"], "scale-out": SECOND["SO"]}
        links = [
            replace(link, name=f"{link.name}{node}", address=address, system=link.name)
            for link in alone.links
            for node, address in (("", link.address), ("-2", seconds[link.name]))
        ]
        return replace(alone, links=tuple(links))


def started(*, follow_names: bool = False) -> TwinFabric:
    fabric = TwinFabric("AD", follow_names=follow_names)
    fabric.start()
    fabric.net.run(5)
    return fabric


@pytest.mark.requirement("SO-MS-4", "SU-MS-3")
def test_everything_is_registered_with_and_followed_at_both_nodes() -> None:
    fabric = started(follow_names=True)
    fabric.attach("D1", "40.0.0.7")
    fabric.net.do(fabric.node("D2"), lambda now: fabric.xtr("D2").attach(ACC_7, now))
    fabric.net.run(1)
    for one, other in (("SU-D", "SU-D2"), ("SO", "SO2")):
        assert fabric.registered(one) == fabric.registered(other)
        assert {found.eid for found in fabric.server(one).subscriptions()} == {
            found.eid for found in fabric.server(other).subscriptions()
        }
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1]
    assert fabric.cache("D3")["POD-D-AccID-7"] == [D2]
    fabric.detach("D1", "40.0.0.7")
    fabric.net.run(1)
    assert "40.0.0.7/32" not in fabric.cache("D3"), "gone when neither node knows it"
    assert [entry.eid for entry in fabric.xtr("D1").database()] == []


@pytest.mark.requirement("SO-MS-4")
@pytest.mark.parametrize("dead", ["SO", "SO2"])
def test_publication_of_subnets_goes_on_when_a_node_dies(dead: str) -> None:
    fabric = started()
    fabric.node(dead).up = False
    at = fabric.net.now
    fabric.net.do(fabric.node("D3"), lambda now: fabric.xtr("D3").withdraw([fabric.subnet("D")], now))
    fabric.net.run(1)
    assert fabric.cache("A3")["40.0.0.0/16"] == [D4], "published by the other node, at once"
    xtr = fabric.xtr("D3")
    links = ("scale-up", "scale-out")
    fabric.net.do(fabric.node("D3"), lambda now: xtr.attach(fabric.subnet("D"), now, links=links, deliver=False))
    fabric.net.run(1)
    assert fabric.cache("A3")["40.0.0.0/16"] == [D3, D4]
    asked = [message for _, message in fabric.net.seen(MapRequest, at)]
    assert asked == []
    fabric.net.run(400)
    assert fabric.cache("A3")["40.0.0.0/16"] == [D3, D4], "nor does it end with the dead node's leases"


@pytest.mark.requirement("SU-MS-3", "SO-MS-4")
def test_resolution_and_its_subscriptions_go_on_at_the_other_node() -> None:
    fabric = started()
    fabric.attach("D1", "40.0.0.7")
    fabric.net.do(fabric.node("D1"), lambda now: fabric.xtr("D1").attach(ACC_7, now))
    fabric.miss("A1", "40.0.0.7")
    fabric.net.run(1)
    for name in ("SU-A", "SU-D"):
        fabric.node(name).up = False
    xtr, at = fabric.xtr("D2"), fabric.net.now
    fabric.net.do(fabric.node("D2"), lambda now: xtr.miss(ACC_7, now, b"frame"))
    fabric.net.run(5)
    assert fabric.node("D2").replayed() == [b"frame"]
    ((_, answer),) = [
        (seen, message)
        for seen, message in fabric.net.seen(MapNotify, at, source="SU-D2", destination="D2")
        if message.records[0].key == ACC_7
    ]
    assert answer.records[0].locators
    assert fabric.node("D2").events("mapping-system-failed-over")
    fabric.net.run(120)  # A1 finds out with its next registrations, at the latest when a renewal is due
    fabric.attach("A1", "10.0.0.1")
    fabric.net.run(10)
    followed = [found.eid for found in fabric.server("SU-A2").subscriptions()]
    assert eid("32.0.0.0/3") in followed, "what it had asked for is followed at the other node now"
    fabric.net.do(fabric.node("D1"), lambda now: fabric.xtr("D1").detach(ACC_7, now))
    fabric.net.run(1)
    entries = {entry.eid: entry.kind.value for entry in fabric.xtr("D2").map_cache()}
    assert entries.get(ACC_7) != "forward"


@pytest.mark.requirement("SO-PATH-7")
def test_a_dead_node_does_not_keep_what_was_detached() -> None:
    fabric = started()
    fabric.attach("D1", "40.0.0.7")
    fabric.net.run(1)
    fabric.node("SU-D2").up = False
    fabric.detach("D1", "40.0.0.7")
    fabric.net.run(0.5)
    assert [entry.state.value for entry in fabric.xtr("D1").database()] == ["withdrawn"]
    fabric.net.run(10)
    assert fabric.xtr("D1").database() == [], "one node has agreed, the other one is silent"
    at = fabric.net.now
    fabric.net.run(300)
    later = [record.key for _, message in fabric.net.seen(MapRegister, at, source="D1") for record in message.records]
    assert eid("40.0.0.7") not in later


def test_a_node_that_comes_back_is_brought_up_to_date() -> None:
    fabric = started()
    fabric.attach("D1", "40.0.0.7")
    fabric.net.run(1)
    fabric.node("SU-D").up = False
    fabric.attach("D2", "40.0.0.7")
    fabric.net.run(1)
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1, D2]
    fabric.node("SU-D").up = True
    fabric.restart_server("SU-D")
    fabric.net.run(130)
    assert fabric.registered("SU-D")["40.0.0.7/32"] == [D1, D2]
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1, D2]
    fabric.node("SU-D2").up = False
    fabric.detach("D2", "40.0.0.7")
    fabric.net.run(300)
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1]


def test_nodes_of_one_mapping_system_serve_the_same_eids() -> None:
    config = TwinFabric("D").config("D1")
    first, second = config.links
    with pytest.raises(ConfigError, match=r"links\[1\].prefixes = scale-up-2: differ from those of scale-up"):
        replace(config, links=(first, replace(second, prefixes=())))
    with pytest.raises(ConfigError, match=r"links.prefixes = .*: is there twice"):
        replace(config, links=(first, replace(second, system="another")))
    assert isinstance(Xtr(config, 0.0), Xtr)
