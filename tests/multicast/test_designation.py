"""Who forwards to groups: one Scale-Up xTR per receiver, one border per Site (draft section 6.3)."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest

from controller.lisp import Eid, MapRegister, group_eid, replicas
from tests.mapping.harness import IID, eid
from tests.multicast.support import (
    BROADCAST,
    CABLES,
    GROUP,
    OTHER_GROUP,
    SCALE_UP_BROADCAST,
    SCALE_UP_GROUP,
    GroupFabric,
    accelerator,
)

ACC_1, ACC_2, ACC_7, ACC_8 = (eid(host) for host in ("10.0.0.1", "10.0.0.2", "40.0.0.7", "40.0.0.8"))

FROM_1 = group_eid(IID, ip_address("239.3.3.3"), ip_address("10.0.0.1"))


def started(pods: str = "AD", **settings: Any) -> GroupFabric:
    fabric = GroupFabric(pods, **settings)
    fabric.start()
    fabric.net.run(5)
    fabric.everybody_up()
    fabric.net.run(5)
    return fabric


def with_members(*members: Eid, group: Eid = GROUP, pods: str = "AD", seconds: float = 60.0) -> GroupFabric:
    fabric = started(pods)
    for one in members:
        fabric.member(one, group)
    fabric.net.run(seconds)
    return fabric


def other_of(name: str) -> str:
    return {"D1": "D2", "D2": "D1", "D3": "D4", "D4": "D3", "A3": "A4", "A4": "A3"}[name]


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-8")
@pytest.mark.parametrize("group", [GROUP, OTHER_GROUP, FROM_1])
def test_one_xtr_of_a_pod_registers_the_replication_list(group: Eid) -> None:
    """D1 and D2 serve accelerators 7 and 8 alike: only the designated one joins, for both."""
    fabric = with_members(ACC_7, ACC_8, group=group)
    chosen = fabric.best(group, "D1 D2")
    assert fabric.registrants("SU-D", group) - {"D3", "D4"} == {chosen}
    assert fabric.lists("SU-D") == {group: [chosen]}
    granted = fabric.designated(group, "D1 D2")
    assert {name: {one.receiver for one in found} for name, found in granted.items()} == {chosen: {ACC_7, ACC_8}}


@pytest.mark.requirement("MH-FWD-8")
def test_the_list_is_joined_as_rfc_8378_says() -> None:
    fabric = with_members(ACC_7)
    chosen = fabric.best(GROUP, "D1 D2")
    registers = [one for _, one in fabric.net.seen(MapRegister, source=chosen) if one.records[0].key == GROUP]
    (record,) = registers[0].records
    assert registers[0].merge
    assert registers[0].xtr is not None
    assert registers[0].xtr.site_id == 40
    assert [str(rloc) for rloc in replicas(record)] == [str(fabric.rloc(chosen))]
    (locator,) = record.locators
    assert [entry.level for entry in locator.address.entries] == [128]  # type: ignore[union-attr]


def test_groups_are_spread_over_the_candidates() -> None:
    fabric = GroupFabric("D")
    groups = [group_eid(IID, ip_address(f"239.0.0.{number}")) for number in range(64)]
    chosen = Counter(fabric.best(group, "D1 D2") for group in groups)
    assert min(chosen["D1"], chosen["D2"]) > 16


def test_nobody_joins_for_an_accelerator_that_is_not_there() -> None:
    fabric = GroupFabric("D")
    fabric.start()
    fabric.join("D1", ACC_7, GROUP)
    fabric.net.run(30)
    assert fabric.lists("SU-D") == {}
    fabric.up("D1", ACC_7)
    fabric.net.run(30)
    assert fabric.lists("SU-D") == {GROUP: ["D1"]}


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-8", "MH-FWD-9")
@pytest.mark.parametrize("how", ["port down", "leave", "withdrawal", "silence"])
def test_another_takes_over_from_the_designated_xtr(how: str) -> None:
    fabric = with_members(ACC_7, ACC_8)
    chosen = fabric.best(GROUP, "D1 D2")
    spare = other_of(chosen)
    within = 10.0
    if how == "port down":
        for one in (ACC_7, ACC_8):
            fabric.down(chosen, one)
    elif how == "leave":
        # It does not know the receivers any more: the other one, which does, notices that the list stays empty.
        for one in (ACC_7, ACC_8):
            fabric.leave(chosen, one, GROUP)
        within = 15.0
    elif how == "withdrawal":
        fabric.down(chosen, ACC_7)
        fabric.down(chosen, ACC_8)
        within = 1.0
    else:
        fabric.node(chosen).up = False
        within = 240.0
    fabric.net.run(within)
    assert list(fabric.designated(GROUP, spare)) == [spare]
    assert fabric.lists("SU-D")[GROUP] == [spare]


def test_one_port_down_moves_one_receiver() -> None:
    """Accelerator 7 loses its port at the designated xTR, accelerator 8 keeps it: now both xTRs are needed."""
    fabric = with_members(ACC_7, ACC_8)
    chosen = fabric.best(GROUP, "D1 D2")
    spare = other_of(chosen)
    fabric.down(chosen, ACC_7)
    fabric.net.run(120)
    assert fabric.lists("SU-D")[GROUP] == ["D1", "D2"]
    granted = fabric.designated(GROUP, "D1 D2")
    assert {name: [one.receiver for one in found] for name, found in granted.items()} == {
        chosen: [ACC_8],
        spare: [ACC_7],
    }
    fabric.up(chosen, ACC_7)
    fabric.net.run(120)
    assert fabric.lists("SU-D")[GROUP] == [chosen]
    assert list(fabric.designated(GROUP, "D1 D2")) == [chosen]


def test_a_better_one_that_comes_back_waits_until_the_other_has_left() -> None:
    """Break before make, seen from the mapping system: the list is never without a change of both."""
    fabric = with_members(ACC_7, ACC_8)
    chosen = fabric.best(GROUP, "D1 D2")
    fabric.node(chosen).up = False
    fabric.net.run(240)
    seen: list[tuple[str, ...]] = []

    def look() -> None:
        now = tuple(fabric.designated(GROUP, "D1 D2"))
        if not seen or seen[-1] != now:
            seen.append(now)

    fabric.net.watch = look
    fabric.node(chosen).up = True
    fabric.restart_xtr(chosen)
    for one in (ACC_7, ACC_8):
        fabric.up(chosen, one)
        fabric.join(chosen, one, GROUP)
    fabric.net.run(60)
    assert seen == [(other_of(chosen),), (), (chosen,)]


@pytest.mark.requirement("MH-FWD-9")
@pytest.mark.parametrize("group", [GROUP, BROADCAST])
def test_one_border_of_a_site_joins_the_lists_of_pod_and_fabric(group: Eid) -> None:
    fabric = with_members(ACC_1, ACC_2, ACC_7, ACC_8, group=group)
    d, a = fabric.best(group, "D3 D4"), fabric.best(group, "A3 A4")
    assert fabric.lists("SO")[group] == sorted([a, d])
    assert fabric.lists("SU-D")[group] == sorted([fabric.best(group, "D1 D2"), d])
    assert fabric.lists("SU-A")[group] == sorted(["A1", "A2", a])
    assert fabric.registrants("SO", group) == {a, d}
    assert {name: len(found) for name, found in fabric.designated(group, "A3 A4 D3 D4").items()} == {a: 2, d: 2}


def test_pods_without_receivers_join_nothing() -> None:
    """Receivers in D only: A sends to the fabric, so its border is in A's list, but not in the fabric's."""
    fabric = with_members(ACC_7)
    assert fabric.lists("SO")[GROUP] == [fabric.best(GROUP, "D3 D4")]
    assert fabric.lists("SU-A")[GROUP] == [fabric.best(GROUP, "A3 A4")]
    assert fabric.lists("SU-D")[GROUP] == [fabric.best(GROUP, "D1 D2")]


@pytest.mark.requirement("MH-FWD-9")
def test_another_border_takes_over() -> None:
    fabric = with_members(ACC_1, ACC_7)
    chosen = fabric.best(GROUP, "D3 D4")
    fabric.node(chosen).up = False
    fabric.net.run(240)
    assert other_of(chosen) in fabric.lists("SO")[GROUP]
    assert chosen not in fabric.lists("SO")[GROUP]
    assert list(fabric.designated(GROUP, other_of(chosen))) == [other_of(chosen)]


def test_a_border_cut_off_from_the_fabric_is_replaced() -> None:
    """It still speaks to its PoD, and is the better candidate there; but it never appears in the fabric's list."""
    fabric = started()
    chosen = fabric.best(GROUP, "D3 D4")
    cut = str(fabric.rloc(chosen)), str(fabric.so_address())
    fabric.net.filter = lambda seen: (seen.source, seen.destination) != cut
    for one in (ACC_1, ACC_7):
        fabric.member(one, GROUP)
    fabric.net.run(30)
    assert other_of(chosen) in fabric.lists("SO")[GROUP]
    assert fabric.designated(GROUP, "D3 D4")[other_of(chosen)]


@pytest.mark.requirement("MH-FWD-8")
@pytest.mark.parametrize("group", [SCALE_UP_GROUP, SCALE_UP_BROADCAST])
def test_scale_up_groups(group: Eid) -> None:
    """Accelerators by name, a group by name; no border, and nothing in the fabric."""
    members = [accelerator("D", 7), accelerator("D", 8)]
    fabric = GroupFabric("AD", broadcast=(SCALE_UP_BROADCAST,))
    fabric.start()
    for one in members:
        fabric.cables[one] = ("D1", "D2")
        for name in ("D1", "D2"):
            fabric.up(name, one)
            if group == SCALE_UP_GROUP:
                fabric.join(name, one, group)
    fabric.net.run(60)
    chosen = fabric.best(group, "D1 D2")
    assert fabric.lists("SU-D")[group] == [chosen]
    assert fabric.lists("SO") == {}
    said = [record for _, message in fabric.net.seen(MapRegister, since=5.0) for record in message.records]
    assert [record for record in said if record.key in (SCALE_UP_GROUP, SCALE_UP_BROADCAST)] == [], "all has been said"
    for name in ("D1", "D2"):
        assert fabric.send(name, members[0], group) == Counter({members[1]: 1})


def test_everybody_attached_receives_broadcast() -> None:
    fabric = started(broadcast=(BROADCAST,))
    fabric.net.run(60)
    d = fabric.best(BROADCAST, "D3 D4")
    assert fabric.lists("SU-D")[BROADCAST] == sorted([fabric.best(BROADCAST, "D1 D2"), d])
    for one, names in fabric.cables.items():
        for name in names:
            everybody_else = {eid(host) for host in CABLES} - {one}
            assert fabric.send(name, one, BROADCAST) == Counter(dict.fromkeys(everybody_else, 1))
    for name in ("D1", "D2"):
        fabric.down(name, ACC_7)
    fabric.net.run(60)
    assert ACC_7 not in fabric.send("A1", ACC_1, BROADCAST)


@pytest.mark.requirement("MH-FWD-4", "MH-FWD-5", partial=True)  # state, not packets
@pytest.mark.parametrize("sender", [("A1", ACC_1), ("A2", ACC_2), ("D1", ACC_7), ("D2", ACC_7), ("D1", ACC_8)])
@pytest.mark.parametrize("members", [(ACC_1, ACC_2, ACC_7, ACC_8), (ACC_7, ACC_8), (ACC_1, ACC_8)])
def test_each_receiver_gets_one_copy(sender: tuple[str, Eid], members: tuple[Eid, ...]) -> None:
    """From designated and other xTRs, in the own PoD and across the fabric; the sender gets none back."""
    fabric = with_members(*members)
    name, source = sender
    assert fabric.send(name, source, GROUP) == Counter(dict.fromkeys(set(members) - {source}, 1))


@pytest.mark.requirement("MH-FWD-4", "MH-FWD-5", partial=True)
def test_the_split_horizon() -> None:
    """What comes from the fabric goes to the PoD only, what goes to the fabric never names the own Site."""
    fabric = with_members(ACC_1, ACC_2, ACC_7, ACC_8)
    for letter in "AD":
        name = fabric.best(GROUP, f"{letter}3 {letter}4")
        entry = fabric.entry(name, GROUP)
        assert entry is not None
        assert {fabric.name_at(rloc)[0] for rloc in entry.fabric} == set("AD") - {letter}
        assert {fabric.name_at(rloc)[0] for rloc in entry.pod} == {letter}
        assert fabric.rloc(other_of(name)) not in entry.pod
        assert not entry.receivers
        idle = fabric.entry(other_of(name), GROUP)
        assert idle is None or not idle


def test_who_joined_any_source_hears_each_source_once() -> None:
    """A list for one source beside that for any: a packet goes to the union of both."""
    fabric = started()
    from_1 = group_eid(IID, ip_address("239.1.1.1"), ip_address("10.0.0.1"))
    fabric.member(ACC_7, GROUP)
    fabric.member(ACC_8, from_1)
    fabric.member(ACC_2, from_1)
    fabric.net.run(60)
    assert fabric.send("A1", ACC_1, GROUP) == Counter({ACC_2: 1, ACC_7: 1, ACC_8: 1})
    assert fabric.send("A2", ACC_2, GROUP) == Counter({ACC_7: 1})


def test_after_everybody_left_nothing_remains() -> None:
    fabric = with_members(ACC_1, ACC_7, ACC_8)
    for one in (ACC_1, ACC_7, ACC_8):
        for name in fabric.cables[one]:
            fabric.leave(name, one, GROUP)
    fabric.net.run(60)
    for server in ("SU-A", "SU-D", "SO"):
        assert fabric.lists(server) == {}
    for _, xtr in fabric.xtrs():
        assert xtr.replication() == []
        assert xtr.designations() == []
        assert xtr.pending() == []
