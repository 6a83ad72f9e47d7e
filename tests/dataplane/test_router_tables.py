"""RouterTables: what it tells the switch to change always leads to what it says it desires."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dataplane.addresses import AccId
from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import MAX_GROUP_SIZE, NextHop, Rloc, mac, shares
from controller.dataplane.router_tables import Changes, RouterTables
from controller.p4rt.actions import Action, ActionSet
from controller.p4rt.entities import Key, State, TableEntry

OWN = IPv4Address("192.0.2.3")
D1, D2 = Rloc(IPv4Address("192.0.2.31"), 100), Rloc(IPv4Address("192.0.2.32"), 100)
FORWARDING = ("use_rloc_set", "use_extranet")
HOP = NextHop(1, "02:01:00:01:00:01", "02:01:00:05:00:01")


class Mirror:
    """A switch that does what it is told, and notices a reference to an RLOC-set that is not there.

    `may_be_empty`: some RLOC is unreachable, so that a set may be left without an entry.
    """

    def __init__(self, tables: RouterTables) -> None:
        self.state: dict[Key, State] = {entity.key(): entity for entity in tables.desired()}
        self.may_be_empty = False

    def apply(self, changes: Changes) -> None:
        for entity in changes.put:
            self.state[entity.key()] = entity
            self.check()
        for entity in changes.remove:
            del self.state[entity.key()]
            self.check()

    def check(self) -> None:
        tables = [entity for entity in self.state.values() if isinstance(entity, TableEntry)]
        sets = {entity.match["rloc_set"].value for entity in tables if entity.table == "rloc_set"}  # type: ignore[union-attr]
        for entity in tables:
            if isinstance(entity.action, Action) and entity.action.name in FORWARDING:
                assert self.may_be_empty or entity.action.params["rloc_set"] in sets


def as_map(tables: RouterTables) -> dict[Key, State]:
    return {entity.key(): entity for entity in tables.desired()}


prefixes = st.sampled_from([IPv4Network(p) for p in ("40.0.0.0/16", "40.0.0.7/32", "40.0.0.8/32", "32.0.0.0/3")])
rlocs = st.lists(st.builds(Rloc, st.sampled_from([D1.address, D2.address, OWN]), st.integers(1, 3)), max_size=3)
operations = st.one_of(
    st.tuples(st.just("set_forward"), st.integers(1, 2), prefixes, rlocs),
    st.tuples(st.just("set_forward"), st.integers(1, 2), prefixes, rlocs, rlocs),
    st.tuples(st.just("set_extranet"), st.integers(1, 2), prefixes, rlocs),
    st.tuples(st.just("set_reachable"), st.sampled_from([D1.address, D2.address, OWN]), st.booleans()),
    st.tuples(st.just("set_local"), st.integers(1, 2), prefixes, st.just(HOP)),
    st.tuples(st.just("set_negative"), st.integers(1, 2), prefixes, st.sampled_from(DropReason)),
    st.tuples(st.just("set_unknown"), st.integers(1, 2), prefixes),
    st.tuples(st.just("remove"), st.integers(1, 2), prefixes),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(operations, max_size=25))
def test_changes_lead_to_what_is_desired(steps: list[tuple[Any, ...]]) -> None:
    tables = RouterTables(OWN)
    mirror = Mirror(tables)
    for name, *arguments in steps:
        mirror.may_be_empty |= name == "set_reachable"
        change = partial(tables.set_forward, provider=9) if name == "set_extranet" else getattr(tables, name)
        mirror.apply(change(*arguments))
    assert mirror.state == as_map(tables)
    for address in (D1.address, D2.address, OWN):  # whatever is said of RLOCs, it leaves no trace when taken back
        mirror.apply(tables.set_reachable(address, True))
    # No RLOC-set outlives its last user.
    used = [e for e in mirror.state.values() if isinstance(e, TableEntry) and e.table == "rloc_set"]
    users = {
        e.action.params["rloc_set"]
        for e in mirror.state.values()
        if isinstance(e, TableEntry) and isinstance(e.action, Action) and e.action.name in FORWARDING
    }
    assert len(used) == len(users)


def test_a_repeated_change_changes_nothing() -> None:
    tables = RouterTables(OWN)
    assert tables.set_forward(1, IPv4Network("40.0.0.7/32"), [D2, D1])
    assert not tables.set_forward(1, IPv4Network("40.0.0.7/32"), [D1, D2])


def test_an_extranet_shares_the_rloc_set_but_not_the_tunnels_instance() -> None:
    tables = RouterTables(OWN)
    prefix = IPv4Network("40.0.0.0/16")
    tables.set_forward(1, prefix, [D1])
    (entry,) = tables.set_forward(2, prefix, [D1], provider=1).put
    assert isinstance(entry, TableEntry)
    assert entry.action == Action("use_extranet", {"rloc_set": 1, "iid": 1})
    (entry,) = tables.set_forward(2, prefix, [D1]).put
    assert isinstance(entry, TableEntry)
    assert entry.action == Action("use_rloc_set", {"rloc_set": 1}), "the policy is gone"
    with pytest.raises(ValueError, match="AccID 7 of Instance-ID 2: extranets are for IP"):
        tables.set_forward(2, AccId(7), [D1], provider=1)


def test_an_eid_without_a_usable_rloc_is_dropped() -> None:
    tables = RouterTables(OWN)
    (entry,) = tables.set_forward(1, IPv4Network("40.0.0.7/32"), []).put
    assert isinstance(entry, TableEntry)
    assert entry.action == Action("drop_negative", {"reason": DropReason.NO_RLOC})


def test_only_a_next_hop_with_an_alternative_is_watched() -> None:
    for hops, watched in (([HOP], {None}), ([HOP, NextHop(2, HOP.port_mac, HOP.next_hop_mac)], {1, 2})):
        (entry,) = RouterTables(OWN).set_route(D1.address, hops).put
        assert isinstance(entry, TableEntry)
        assert isinstance(entry.action, ActionSet)
        assert {action.watch_port for action in entry.action.actions} == watched


def test_eids_with_the_same_rloc_set_share_it() -> None:
    tables = RouterTables(OWN)
    tables.set_forward(1, IPv4Network("40.0.0.7/32"), [D1, D2])
    changes = tables.set_forward(1, IPv4Network("40.0.0.8/32"), [D2, D1])
    assert [entity.table for entity in changes.put if isinstance(entity, TableEntry)] == ["scale_out_ipv4"]


HOSTS = [IPv4Network(f"40.0.{number // 256}.{number % 256}/32") for number in range(1000)]


def rlocs_of(changes: Changes) -> list[Any]:
    """The locators of the one RLOC-set entry that is all that changes."""
    (entry,) = changes.put
    assert isinstance(entry, TableEntry)
    assert entry.table == "rloc_set"
    assert isinstance(entry.action, ActionSet)
    assert not changes.remove
    return [IPv4Address(action.action.params["rloc"]) for action in entry.action.actions]


def test_a_router_that_fails_is_one_write_for_a_thousand_eids() -> None:
    tables = RouterTables(OWN)
    for host in HOSTS:
        tables.set_forward(1, host, [D1, D2])
    assert rlocs_of(tables.set_reachable(D1.address, False)) == [D2.address]
    assert not tables.set_reachable(D1.address, False)
    late = tables.set_forward(1, IPv4Network("40.9.0.0/32"), [D1, D2])  # learned meanwhile: the same set
    assert [entity.table for entity in late.put if isinstance(entity, TableEntry)] == ["scale_out_ipv4"]
    assert rlocs_of(tables.set_reachable(D1.address, True)) == [D1.address, D2.address]


def test_the_next_priority_stands_in_and_without_any_packets_are_dropped() -> None:
    tables = RouterTables(OWN)
    before = as_map(tables)
    for host in HOSTS[:3]:
        tables.set_forward(1, host, [D1], [D2])
    assert rlocs_of(tables.set_reachable(D1.address, False)) == [D2.address]
    changes = tables.set_reachable(D2.address, False)
    assert [entity.table for entity in changes.remove if isinstance(entity, TableEntry)] == ["rloc_set"]
    assert not changes.put
    assert rlocs_of(tables.set_reachable(D1.address, True)) == [D1.address]
    assert not tables.set_reachable(D2.address, True)
    for host in HOSTS[:3]:
        tables.remove(1, host)
    assert as_map(tables) == before


def test_rlocs_behind_ports_that_are_down() -> None:
    tables = RouterTables(OWN)
    other = NextHop(2, HOP.port_mac, HOP.next_hop_mac)
    tables.set_route(D1.address, [HOP])
    tables.set_route(D2.address, [HOP, other])
    assert tables.cut_off({1}) == {D1.address}
    assert tables.cut_off({1, 2}) == {D1.address, D2.address}
    tables.set_route(D1.address, [])
    assert tables.cut_off({1}) == set()


def test_a_switch_without_an_rloc_refuses_to_encapsulate() -> None:
    with pytest.raises(ValueError, match="without an RLOC"):
        RouterTables().set_forward(1, IPv4Network("40.0.0.7/32"), [D1])


def test_static_entries() -> None:
    tables = RouterTables(OWN)
    tables.configure(7)
    tables.add_access_port(2, site=13, iid=4097)
    tables.add_core_port(1)
    tables.add_instance(4097, Encapsulation.LISP, punt_unknown=True)
    tables.set_route(D1.address, [HOP])
    names = sorted(entity.table for entity in tables.desired() if isinstance(entity, TableEntry))
    assert names == ["instance", "local_rloc", "port_context", "port_context", "switch_context", "underlay_ipv4"]
    assert tables.set_route(D1.address, []).remove
    assert not tables.set_route(D1.address, [])


@settings(max_examples=200)
@given(st.lists(st.integers(1, 255), min_size=1, max_size=MAX_GROUP_SIZE))
def test_shares_keep_the_proportion(weights: list[int]) -> None:
    result = shares(weights)
    assert sum(result) <= MAX_GROUP_SIZE
    assert min(result) >= 1
    total = sum(weights)
    for weight, share in zip(weights, result, strict=True):
        # Never further off than the place everyone has for certain, and the rounding.
        assert abs(share - weight * sum(result) / total) < 2 + len(weights) * weight / total


def test_shares_are_exact_where_they_fit() -> None:
    assert shares([100, 100]) == [1, 1]
    assert shares([75, 25]) == [3, 1]
    assert shares([]) == []
    with pytest.raises(ValueError, match="not positive"):
        shares([1, 0])
    with pytest.raises(ValueError, match="65 members"):
        shares([1] * 65)


def test_a_mac_address_has_six_octets() -> None:
    assert mac("02:00:00:00:00:07") == bytes.fromhex("020000000007")
    with pytest.raises(ValueError, match="six octets"):
        mac("02:00")
