"""Replication lists: what the switch is told always leads to what is desired, and numbers survive a restart."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dataplane.addresses import AccId
from controller.dataplane.changes import Changes
from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.entries import UNLIMITED, NextHop, instance
from controller.dataplane.numbers import Numbers
from controller.dataplane.replication import GROUP_LIMIT, Receiver, ReplicaRouter, ReplicationList
from controller.dataplane.router_tables import RouterTables
from controller.p4rt.actions import Action
from controller.p4rt.entities import Key, MulticastGroup, State, TableEntry

OWN, OWN6 = IPv4Address("192.0.2.3"), IPv6Address("2001:db8::3")
GROUP = IPv4Address("239.1.1.1")


def hop(port: int) -> NextHop:
    return NextHop(port, f"02:00:00:00:{port:02x}:01", f"02:00:00:00:{port:02x}:02")


RECEIVERS = [Receiver(hop(port), IPv4Address(f"10.0.0.{port}")) for port in (1, 2, 3)]
ROUTERS = [ReplicaRouter(IPv4Address(f"192.0.2.{n}"), site) for n, site in ((11, 7), (12, 0), (13, 0))]
LISTS = [(1, None, GROUP), (1, IPv4Address("10.0.0.9"), GROUP), (2, None, GROUP), (1, None, None), (3, None, AccId(5))]


class Mirror:
    """A switch that does what it is told."""

    def __init__(self, tables: RouterTables) -> None:
        self.state: dict[Key, State] = {entity.key(): entity for entity in tables.desired()}

    def apply(self, changes: Changes) -> None:
        for entity in changes.put:
            self.state[entity.key()] = entity
        for entity in changes.remove:
            del self.state[entity.key()]

    def copies(self, table: str) -> set[str]:
        """The actions of all copies that the lists of a table lead to."""
        entities = self.state.values()
        groups = {entity.group_id: entity for entity in entities if isinstance(entity, MulticastGroup)}
        replicas = {entity.match["replica"].value: entity for entity in entries_of(entities, "replica")}  # type: ignore[union-attr]
        found = set()
        for entry in entries_of(entities, table):
            assert isinstance(entry.action, Action)
            for replica in groups[entry.action.params["group"]].replicas:  # type: ignore[index]
                found.add(f"{replica.port}: {replicas[replica.instance].action}")
        return found


def entries_of(entities: Any, table: str) -> list[TableEntry]:
    return [entity for entity in entities if isinstance(entity, TableEntry) and entity.table == table]


targets = st.tuples(st.frozensets(st.sampled_from(RECEIVERS)), st.frozensets(st.sampled_from(ROUTERS)))
steps = st.one_of(
    st.tuples(st.just("list"), st.sampled_from(LISTS), targets),
    st.tuples(st.just("remove"), st.sampled_from(LISTS)),
    st.tuples(st.just("route"), st.sampled_from(ROUTERS), st.lists(st.sampled_from([4, 5]), max_size=2, unique=True)),
)


def take(tables: RouterTables, step: tuple[Any, ...]) -> Changes:
    kind, what, *rest = step
    if kind == "list":
        (iid, source, group), ((receivers, routers),) = what, rest
        return tables.set_replication(ReplicationList(iid, group, source, receivers, routers))
    if kind == "remove":
        return tables.remove_replication(what)
    return tables.set_route(what.rloc, [hop(port) for port in rest[0]])


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25))
def test_changes_lead_to_what_is_desired(taken: list[tuple[Any, ...]]) -> None:
    tables = RouterTables(OWN)
    mirror = Mirror(tables)
    lists: dict[Any, tuple[Any, Any]] = {}
    routes: dict[Any, list[int]] = {}
    for step in taken:
        mirror.apply(take(tables, step))
        if step[0] == "list":
            lists[step[1]] = step[2]
        elif step[0] == "remove":
            lists.pop(step[1], None)
        else:
            routes[step[1]] = step[2]
    assert mirror.state == {entity.key(): entity for entity in tables.desired()}
    # Each list has its group, with one copy for each receiver and each router that there is a way to.
    groups = [entity for entity in mirror.state.values() if isinstance(entity, MulticastGroup)]
    expected = sorted(
        len(receivers) + sum(1 for r in routers if routes.get(r)) for receivers, routers in lists.values()
    )
    assert sorted(len(group.replicas) for group in groups) == expected
    assert all(0 < group.group_id < GROUP_LIMIT for group in groups)
    # No copy outlives its last list, and none is missing.
    wanted = {target for receivers, routers in lists.values() for target in receivers | routers}
    held = entries_of(mirror.state.values(), "replica")
    assert len(held) <= len(wanted)
    assert {replica.instance for group in groups for replica in group.replicas} <= {
        entry.match["replica"].value  # type: ignore[union-attr]
        for entry in held
    }


def test_a_restarted_controller_finds_the_same_numbers() -> None:
    taken: list[tuple[Any, ...]] = [
        *(("route", router, [4, 5]) for router in ROUTERS),
        *(("list", key, (frozenset(RECEIVERS), frozenset(ROUTERS))) for key in LISTS),
    ]
    outcomes = []
    for seed in range(5):
        random.Random(seed).shuffle(taken)
        tables = RouterTables(OWN)
        for step in taken:
            take(tables, step)
        outcomes.append({entity.key(): entity for entity in tables.desired()})
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_a_router_without_a_way_joins_when_there_is_one() -> None:
    tables = RouterTables(OWN)
    mirror = Mirror(tables)
    router = ROUTERS[0]
    mirror.apply(tables.set_replication(ReplicationList(1, GROUP, routers=frozenset({router}))))
    assert mirror.copies("multicast_group") == set()
    mirror.apply(tables.set_route(router.rloc, [hop(4)]))
    (copy,) = mirror.copies("multicast_group")
    assert copy.startswith("4: tunnel_copy(")
    assert f"rloc={int(router.rloc):#x}" in copy
    mirror.apply(tables.set_route(router.rloc, []))
    assert mirror.copies("multicast_group") == set()


def test_tunnels_start_at_the_rloc_of_the_same_version() -> None:
    tables = RouterTables(OWN, OWN6)
    far = ReplicaRouter(IPv6Address("2001:db8::9"))
    tables.set_route(far.rloc, [hop(4)])
    mirror = Mirror(tables)
    mirror.apply(tables.set_replication(ReplicationList(1, GROUP, routers=frozenset({far}))))
    (copy,) = mirror.copies("multicast_group")
    assert f"source_rloc={int(OWN6):#x}" in copy
    with pytest.raises(ValueError, match=r"2001:db8::9: a router without an RLOC of IPv6"):
        lone = RouterTables(OWN)
        lone.set_route(far.rloc, [hop(4)])
        lone.set_replication(ReplicationList(1, GROUP, routers=frozenset({far})))


def test_a_broadcast_has_no_source() -> None:
    with pytest.raises(ValueError, match="for all sources"):
        ReplicationList(1, None, IPv4Address("10.0.0.1"))


def test_numbers_are_all_given_and_taken_back() -> None:
    numbers = Numbers(9)
    given_out = {key: numbers.of(key) for key in "abcdefgh"}
    assert sorted(given_out.values()) == list(range(1, 9))
    assert numbers.of("a") == given_out["a"]
    with pytest.raises(OverflowError, match="all 8 numbers"):
        numbers.of("i")
    numbers.release("c")
    assert numbers.of("i") == given_out["c"]


def test_every_instance_has_a_limit_written() -> None:
    assert instance(1, Encapsulation.VXLAN, True).meter == UNLIMITED
