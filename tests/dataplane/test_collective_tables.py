"""The entries of a group on one switch: at work, closed, gone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from controller.dataplane.collective_tables import MAX_CHILDREN, CollectiveBranch, MemberCopy, NodeCopy
from controller.dataplane.entries import NextHop
from controller.dataplane.router_tables import RouterTables
from controller.p4rt.actions import Action
from controller.p4rt.entities import TableEntry

HOP = NextHop(3, "02:00:00:00:00:03", "02:00:00:00:01:03")
PARENT = IPv4Address("10.9.9.9")
BRANCH = CollectiveBranch(
    number=7,
    iid=4097,
    eid=IPv4Address("10.0.255.1"),
    generation=9,
    first_slot=64,
    slots=16,
    children=(MemberCopy(0, HOP, IPv4Address("10.0.0.1")), NodeCopy(0x8001, HOP, IPv4Address("10.9.0.2"))),
    rank=0x8002,
    parent=PARENT,
)


@pytest.fixture
def tables() -> RouterTables:
    return RouterTables(IPv4Address("10.9.0.1"))


def entry(tables: RouterTables) -> Action | None:
    """What the switch does with the group's packets."""
    found = [one for one in tables.desired() if isinstance(one, TableEntry) and one.table == "collective"]
    assert len(found) <= 1
    if not found:
        return None
    assert isinstance(found[0].action, Action)
    return found[0].action


def test_a_closed_group_keeps_its_entry_without_a_slot_and_nothing_else(tables: RouterTables) -> None:
    before = tables.desired()
    tables.collectives.put(BRANCH)
    at_work = tables.desired()
    tables.collectives.close(7)
    closed = entry(tables)
    assert closed is not None
    assert (closed.name, closed.params["group"], closed.params["generation"]) == ("collective_root", 7, 9)
    assert {closed.params[name] for name in ("first_slot", "slots", "everyone", "replicas")} == {0}
    assert len(tables.desired()) == len(before) + 1
    tables.collectives.put(BRANCH)
    assert {one.key(): one for one in tables.desired()} == {one.key(): one for one in at_work}
    tables.collectives.remove(7)
    assert tables.desired() == before


def test_what_is_closed_is_forgotten_or_gives_way_to_another_eid(tables: RouterTables) -> None:
    before = tables.desired()
    tables.collectives.put(BRANCH)
    tables.collectives.close(7)
    changes = tables.collectives.put(replace(BRANCH, eid=IPv4Address("10.0.255.2"), generation=10))
    assert [one.match["eid"] for one in changes.remove if isinstance(one, TableEntry)] != []
    action = entry(tables)
    assert action is not None
    assert action.params["generation"] == 10
    tables.collectives.close(7)
    tables.collectives.remove(7)
    assert tables.desired() == before


def test_what_is_not_there_is_not_closed(tables: RouterTables) -> None:
    before = tables.desired()
    assert not tables.collectives.close(7)
    assert not tables.collectives.remove(7)
    assert tables.desired() == before


def test_a_group_is_put_once_and_has_children_within_the_bits_of_a_set(tables: RouterTables) -> None:
    tables.collectives.put(BRANCH)
    with pytest.raises(ValueError, match="group 7: is there already"):
        tables.collectives.put(BRANCH)
    for count in (0, MAX_CHILDREN + 1):
        crowd = tuple(MemberCopy(rank, HOP, IPv4Address("10.0.0.1")) for rank in range(count))
        with pytest.raises(ValueError, match=f"group 8: {count} children, must be 1 to 64"):
            tables.collectives.put(replace(BRANCH, number=8, children=crowd))
