"""The group manager: trees, slots, generations, and what follows from failures."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from controller.incc import MAX_CHILDREN, Clear, Ended, GroupManager, GroupSnapshot, InccError, Install, Remove, Work
from tests.incc.networks import Fabric
from tests.incc.switches import Switches

Rig = tuple[Fabric, GroupManager, Switches]


def rig(slots: int = 64, dedicated: bool = False, fabric: Fabric | None = None) -> Rig:
    fabric = fabric or Fabric()
    manager = fabric.manager(slots=slots, dedicated=dedicated)
    return fabric, manager, Switches(fabric, manager)


def form(manager: GroupManager, switches: Switches, name: str, domain: str, members: list[str]) -> None:
    manager.create(name, domain, members=members)
    for member in members:
        switches.take(manager.join(name, member))
    switches.settle()


def test_across_pods_access_routers_borders_and_a_root_combine() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "all", "out", fabric.names)
    view = manager.group("all")
    assert view.state == "active"
    assert view.leaves == ("A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2")
    assert view.root in ("Ax", "Ay", "Dx", "Dy"), "its EID is of PoD A or D"
    assert str(view.eid) in ("10.0.255.1", "40.0.255.1")
    borders = [name for name, branch in view.branches.items() if not branch.members]
    assert [name[0] for name in sorted(borders)] == ["A", "B", "C", "D"]
    assert all(view.branches[name].nodes for name in borders)
    root = view.branches[view.root or ""]
    assert root.parent is None
    assert sum(child.switch[1] in "xy" for child in root.nodes) == 3
    assert all(view.branches[leaf].parent in borders for leaf in view.leaves)


def test_in_a_pod_a_leaf_is_the_root_and_an_only_leaf_needs_nobody() -> None:
    _fabric, manager, switches = rig(fabric=Fabric(each=2))
    form(manager, switches, "two leaves", "up", ["B1.1", "B2.1", "B2.2"])
    view = manager.group("two leaves")
    assert set(view.branches) == {"B1", "B2"}
    assert view.eid == 1000
    form(manager, switches, "one leaf", "up", ["B1.1", "B1.2"])
    view = manager.group("one leaf")
    assert set(view.branches) == {"B1"}
    assert view.eid == 1001


def test_roots_are_spread_over_groups_and_the_same_after_a_restart() -> None:
    def roots() -> list[str | None]:
        fabric, manager, switches = rig(slots=16)
        for number in range(5):
            form(manager, switches, f"g{number}", "out", fabric.names)
        return [view.root for view in manager.groups()]

    assert len(set(roots())) > 1
    assert roots() == roots()


def test_members_are_ranked_as_named_or_as_they_come() -> None:
    _, manager, switches = rig()
    manager.create("named", "out", members=["B1.1", "A1.1", "C1.1"])
    manager.create("counted", "out", size=3)
    for member in ("C1.1", "A1.1", "B1.1"):
        switches.take(manager.join("named", member))
        switches.take(manager.join("counted", member))
    switches.settle()
    assert manager.group("named").members == ("B1.1", "A1.1", "C1.1")
    assert manager.group("counted").members == ("C1.1", "A1.1", "B1.1")


def test_a_multi_homed_member_has_one_leaf_and_moves_to_the_other_with_its_rank() -> None:
    fabric, manager, switches = rig(fabric=Fabric(dual=1, each=1))
    members = ["A12.1", "B1.1", "B12.1"]
    form(manager, switches, "g", "out", members)
    before = manager.group("g")
    assert before.leaves[1:] == ("B1", "B1"), "where another member is anyway"
    leaf = before.leaves[0]
    switches.take(manager.port_status(leaf, fabric.port(leaf, "A12.1"), up=False))
    switches.settle()
    after = manager.group("g")
    assert after.members == before.members
    assert after.leaves[0] == {"A1": "A2", "A2": "A1"}[leaf]
    assert after.leaves[1:] == before.leaves[1:]
    assert after.generation == before.generation + 1
    assert manager.since("g", before.generation) == []
    assert leaf not in after.branches


def test_a_member_that_dies_is_dropped_and_the_others_are_told() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "g", "out", fabric.names)
    before = manager.group("g").generation
    switches.take(manager.died("g", "B2.1"))
    switches.settle()
    view = manager.group("g")
    assert view.members == ("A1.1", "A2.1", "B1.1", "C1.1", "C2.1", "D1.1", "D2.1")
    assert [change.lost for change in manager.since("g", before)] == [("B2.1",)]
    assert [change.reason for change in manager.since("g", before)] == ["B2.1 died"]
    assert switches.ended == [Ended("g", "B2.1", "B2.1 died", ("B2.1",))]
    assert "B2" not in view.branches
    switches.take(manager.join("g", "B2.1"))
    switches.settle()
    assert manager.group("g").members == tuple(fabric.names)
    assert [change.joined for change in manager.since("g", view.generation)] == [("B2.1",)]


def test_a_leaf_that_fails_takes_its_members() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "g", "out", fabric.names)
    switches.take(manager.switch_status("C1", up=False))
    switches.settle()
    view = manager.group("g")
    assert view.members == tuple(name for name in fabric.names if name != "C1.1")
    assert view.state == "active"


@pytest.mark.parametrize("domain", ["out", "up"])
def test_a_root_that_fails_is_replaced_and_the_eid_moves(domain: str) -> None:
    fabric, manager, switches = rig(fabric=Fabric(dual=2, each=0))
    members = fabric.names if domain == "out" else ["A12.1", "A12.2"]
    form(manager, switches, "g", domain, members)
    before = manager.group("g")
    assert before.root is not None
    switches.take(manager.switch_status(before.root, up=False))
    switches.settle()
    after = manager.group("g")
    assert after.root not in (None, before.root)
    assert (after.eid, after.members) == (before.eid, before.members)
    assert switches.registered == {(after.iid, after.eid): after.root}
    switches.check_idle()


def test_a_cut_link_of_a_border_moves_its_children_to_the_other() -> None:
    """Others still spread packets to that border over both fabric switches: some would not arrive."""
    fabric, manager, switches = rig()
    form(manager, switches, "g", "out", fabric.names)
    view = manager.group("g")
    root = view.root or ""
    switches.take(manager.port_status("F1", fabric.port("F1", root), up=False))
    switches.settle()
    after = manager.group("g")
    assert after.state == "active"
    assert after.root not in (None, root)
    switches.check_idle()


def test_new_switches_are_ready_before_the_others_are_touched() -> None:
    fabric, manager, switches = rig(fabric=Fabric(pods="A", dual=1, each=0))
    form(manager, switches, "g", "up", ["A12.1"])
    leaf = manager.group("g").leaves[0]
    other = {"A1": "A2", "A2": "A1"}[leaf]
    switches.take(manager.port_status(leaf, fabric.port(leaf, "A12.1"), up=False))
    steps = []
    while switches.waiting:
        steps += [(type(order), order.switch) for order in switches.waiting[0].orders]
        switches.carry_out()
    assert steps == [(Clear, other), (Install, other), (Remove, leaf)]


def test_slots_are_given_first_fit_and_a_full_switch_is_named() -> None:
    fabric, manager, switches = rig(fabric=Fabric(slots=160))
    form(manager, switches, "one", "out", fabric.names)
    form(manager, switches, "two", "out", fabric.names)
    assert sorted(map(str, manager.slot_ranges("A1").values())) == ["range(0, 64)", "range(64, 128)"]
    with pytest.raises(InccError, match=r"slots = 64: switch A\d has room for 32 in one piece"):
        manager.create("three", "out", members=["A1.1", "A2.1"])
    switches.take(manager.destroy("one"))
    switches.settle()
    form(manager, switches, "three", "out", ["A1.1", "A2.1"])
    assert manager.group("three").branches["A1"].slots == range(64)


def test_a_group_without_room_is_formed_when_there_is_some() -> None:
    _, manager, switches = rig(fabric=Fabric(slots=100))
    form(manager, switches, "one", "up", ["A1.1", "A2.1"])
    manager.create("two", "up", size=2)
    for member in ("A1.1", "A2.1"):
        switches.take(manager.join("two", member))
    assert manager.group("two").state == "broken"
    assert "switch A" in switches.broken["two"]
    switches.take(manager.destroy("one"))
    switches.settle()
    assert manager.group("two").state == "active"


def test_no_switch_has_more_children_than_its_set_has_bits() -> None:
    fabric, manager, switches = rig(fabric=Fabric(pods="A", leaves=70))
    form(manager, switches, "wide", "up", fabric.names)
    view = manager.group("wide")
    assert len(view.branches) == 70
    assert max(len(one.members) + len(one.nodes) for one in view.branches.values()) == MAX_CHILDREN
    crowd = Fabric(pods="A", leaves=1, each=MAX_CHILDREN + 1)
    with pytest.raises(InccError, match="switch A1 would have 65 children; its program combines for 64 at most"):
        crowd.manager().create("crowd", "up", members=crowd.names)


def test_generations_go_on_when_a_number_is_used_again_and_wrap() -> None:
    _fabric, manager, switches = rig()
    form(manager, switches, "g", "up", ["A1.1"])
    switches.take(manager.destroy("g"))
    switches.settle()
    form(manager, switches, "h", "up", ["A1.1"])
    view = manager.group("h")
    assert (view.number, view.generation) == (1, 1)
    for _ in range(300):
        switches.take(manager.switch_status("A1", up=False))
        switches.settle()
        switches.take(manager.switch_status("A1", up=True))
        switches.take(manager.join("h", "A1.1"))
        switches.settle()
    assert manager.group("h").generation == (1 + 300) % 256


def test_what_happens_while_a_group_is_formed_is_not_lost() -> None:
    fabric, manager, switches = rig()
    manager.create("g", "out", members=fabric.names)
    for member in fabric.names:
        switches.take(manager.join("g", member))
    switches.carry_out()  # cleared, not filled
    switches.take(manager.died("g", "A1.1"))
    switches.take(manager.switch_status("Bx", up=False))
    switches.settle()
    switches.check_idle()
    assert manager.group("g").members == tuple(fabric.names[1:])
    switches.take(manager.destroy("g"))
    switches.settle()
    assert not any(switches.entries.values())
    assert manager.groups() == []


def test_a_port_that_a_branch_was_planned_with_fails_before_it_is_there() -> None:
    """The way to the parent still works, so nothing but the results that were to leave by that port would be lost."""
    fabric, manager, switches = rig()
    manager.create("g", "out", members=fabric.names)
    for member in fabric.names:
        switches.take(manager.join("g", member))
    (clearing,) = switches.waiting
    root = next(order for order in clearing.orders if order.branch.parent is None)
    peers = [peer for peer, _ in fabric.links[root.switch]]
    child = next(one for one in root.branch.nodes if peers[one.port - 1] in ("F1", "F2"))
    spine = peers[child.port - 1]
    switches.take(manager.port_status(child.switch, fabric.port(child.switch, spine), up=False))
    switches.settle()
    switches.check_idle()


def test_a_late_member_is_expected_from_the_least_number_on() -> None:
    _, manager, switches = rig()
    manager.create("g", "out", members=["A1.1", "A2.1", "B1.1"], at_least=2)
    switches.take(manager.join("g", "B1.1"))
    assert manager.group("g").state == "gathering"
    switches.take(manager.join("g", "A1.1"))
    switches.settle()
    before = manager.group("g")
    assert before.members == ("A1.1", "B1.1")
    switches.take(manager.join("g", "A2.1"))
    switches.settle()
    after = manager.group("g")
    assert after.members == ("A1.1", "A2.1", "B1.1")
    assert [change.joined for change in manager.since("g", before.generation)] == [("A2.1",)]
    for wrong in (0, 4):
        with pytest.raises(InccError, match=f"at_least = {wrong}: must be 1 to 3, the group's size"):
            manager.create("h", "out", size=3, at_least=wrong)


def test_slots_of_a_group_that_was_being_taken_down_are_free_after_a_restart() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "g", "up", ["A1.1"])
    switches.take(manager.leave("g", "A1.1"))  # its entries are to be removed
    another = fabric.manager()
    switches.restart(another)
    switches.settle()
    assert another.group("g").state == "gathering"
    assert not another.slot_ranges("A1")
    switches.check_idle()


def test_a_group_that_all_have_left_is_forgotten_by_its_switches() -> None:
    _, manager, switches = rig()
    form(manager, switches, "g", "up", ["A1.1", "A2.1"])
    for member in ("A1.1", "A2.1"):
        switches.take(manager.leave("g", member))
    switches.settle()
    assert switches.closed == set()
    switches.check_idle()


def test_slots_that_two_groups_were_kept_with_are_given_once() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "g", "up", ["A1.1"])
    (record,) = manager.records()
    for first in (0, 32, -32):
        other = replace(record, name="h", number=2, eid=1007, slots_at={"A1": record.slots_at["A1"] + first})
        another = fabric.manager()
        assert another.restore(GroupSnapshot((record, other))) == []
        assert list(another.slot_ranges("A1")) == [1]
        assert list(another.adoptable()) == ["g"]


def test_an_emptied_switch_begins_its_groups_anew_and_no_others() -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "all", "out", fabric.names)
    form(manager, switches, "one", "up", ["A1.1"])
    before = {view.name: view.generation for view in manager.groups()}
    switches.entries["B1"].clear()
    switches.take(manager.switch_emptied("B1"))
    switches.settle()
    switches.check_idle()
    after = {view.name: view.generation for view in manager.groups()}
    assert after == {"all": before["all"] + 1, "one": before["one"]}


def test_a_restarted_manager_knows_what_there_was() -> None:
    """A group at work goes on; one that waits for members has no slots; a name that is free again is free."""
    fabric, manager, switches = rig()
    form(manager, switches, "works", "out", fabric.names)
    form(manager, switches, "left", "up", ["A1.1"])
    switches.take(manager.leave("left", "A1.1"))
    form(manager, switches, "gone", "up", ["A2.1"])
    switches.settle()
    switches.take(manager.destroy("gone"))
    numbers = {view.name: view.number for view in manager.groups()}
    before = manager.group("works")
    another = fabric.manager(first_generation=77)
    switches.restart(another)
    assert switches.waiting == []
    assert another.group("works") == before
    assert another.group("left").state == "gathering"
    assert all(another.slot_ranges(name).keys() <= {before.number} for name in before.branches)
    form(another, switches, "gone", "up", ["A2.1"])
    assert another.group("gone").number == numbers["gone"]
    assert another.group("gone").generation == 1, "the next one, not the first of this life"
    switches.check_idle()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domain": "x"}, "group g: there is no domain x any more"),
        ({"members": ("A1.1", "Z")}, r"group g: members\[1\] = Z: is no accelerator"),
    ],
)
def test_what_cannot_be_restored_is_given_up(change: dict[str, object], reason: str) -> None:
    fabric, manager, switches = rig()
    form(manager, switches, "g", "out", ["A1.1", "A2.1"])
    (record,) = manager.records()
    another = fabric.manager()
    assert re.fullmatch(reason, another.restore(GroupSnapshot((replace(record, **change),)))[0])  # type: ignore[arg-type]
    assert another.groups() == []
    assert not another.slot_ranges("A1")


@pytest.mark.requirement("SO-SEG-6", "SU-SEG-6", partial=True)
def test_a_dedicated_domain_has_one_group() -> None:
    _, manager, _ = rig(dedicated=True)
    manager.create("only", "out", members=["A1.1"])
    with pytest.raises(InccError, match=r"domain = out: Instance-ID 4097 is that of group only alone"):
        manager.create("second", "out", members=["A2.1"])
    manager.create("other", "up", members=["A1.1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "x", "size": 2}, "domain = x: there is no such domain; there are out, six, up"),
        ({"domain": "out"}, "size = None: either members or a size"),
        ({"domain": "out", "size": 0}, "size = 0: must be 1 to 32768"),
        ({"domain": "out", "size": 2, "slots": 0}, "slots = 0: must be 1 to 32768"),
        ({"domain": "out", "members": ["A1.1", "Z"]}, r"members\[1\] = Z: is no accelerator"),
        ({"domain": "out", "members": ["A1.1", "A1.1"]}, r"members\[1\] = A1.1: is there twice"),
        ({"domain": "up", "members": ["A1.1", "B1.1"]}, "members = A1.1 in A, B1.1 in B: a Scale-Up group is in one"),
        ({"domain": "out", "size": 2, "name": "g"}, "group = g: exists, and is gathering"),
    ],
)
def test_bad_requests_are_named(arguments: dict[str, object], message: str) -> None:
    _, manager, _ = rig()
    manager.create("g", "out", size=1)
    with pytest.raises(InccError, match=message):
        manager.create(**{"name": "new", **arguments})  # type: ignore[arg-type]


def test_who_cannot_be_a_member_is_told_why() -> None:
    fabric, manager, _ = rig()
    manager.create("g", "out", members=["A1.1", "A2.1"])
    with pytest.raises(InccError, match=r"accelerator = B1\.1: is not one of the members that group g was made for"):
        manager.join("g", "B1.1")
    with pytest.raises(InccError, match="group = x: there is no such group; there are g"):
        manager.join("x", "A1.1")
    fabric.network.set_switch("A1", up=False)
    with pytest.raises(InccError, match=r"accelerator = A1\.1: is not attached to a switch that works"):
        manager.join("g", "A1.1")


def test_eids_are_free_addresses_of_the_roots_pod() -> None:
    _fabric, manager, switches = rig(slots=1)
    for number in range(6):
        form(manager, switches, f"g{number}", "out", ["A1.1", "A2.1"])
    assert sorted(str(view.eid) for view in manager.groups()) == [f"10.0.255.{n}" for n in range(1, 7)]
    manager.create("g6", "out", members=["D1.1"])
    with pytest.raises(InccError, match="domain = out: has no EID left for a group with its root in PoD A"):
        manager.create("g7", "out", members=["A1.1", "A2.1"])
    assert all(isinstance(view.eid, IPv4Address) for view in manager.groups() if view.state == "active")


def test_work_that_is_done_twice_or_never_was_changes_nothing() -> None:
    _, manager, switches = rig()
    manager.create("g", "up", members=["A1.1"])
    outputs = manager.join("g", "A1.1")
    works = [output for output in outputs if isinstance(output, Work)]
    assert manager.done(works[0].serial + 1) == []
    switches.take(outputs)
    switches.settle()
    assert manager.done(works[0].serial) == []
