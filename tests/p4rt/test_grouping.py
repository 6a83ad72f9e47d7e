"""Action sets written as members and groups, for switches that know no sets; and a fabric of such switches."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from p4.v1 import p4runtime_pb2

from controller.app.switch_control import SwitchControl
from controller.dataplane.entries import NextHop, Rloc, eid_local, rloc_set, underlay_route
from controller.p4rt.actions import ActionSet, GroupRef
from controller.p4rt.codec import Codec
from controller.p4rt.entities import ActionProfileGroup, ActionProfileMember, State, TableEntry
from controller.p4rt.errors import P4RuntimeError
from controller.p4rt.grouping import Grouping
from tests.fabric.observe import Observer, figure1, way
from topologies import inprocess
from topologies.program import fabric_pipeline
from topologies.walk import TraceRecorder

OWN = ip_address("192.0.2.11")


def codec() -> Codec:
    return Codec(fabric_pipeline().info)


def locators(*weights: tuple[str, int]) -> TableEntry:
    return rloc_set(5, [Rloc(ip_address(address), weight) for address, weight in weights], OWN)


def kinds(states: list[State]) -> list[str]:
    return [type(state).__name__ for state in states]


class TestGrouping:
    def test_a_set_becomes_members_a_group_and_an_entry(self) -> None:
        put, removed = Grouping(codec()).apply([locators(("192.0.2.1", 3), ("192.0.2.2", 1))], ())
        assert kinds(put) == ["ActionProfileMember"] * 4 + ["ActionProfileGroup", "TableEntry"]
        assert removed == []
        *members, group, entry = put
        assert isinstance(group, ActionProfileGroup)
        assert isinstance(entry, TableEntry)
        assert entry.action == GroupRef(group.group_id)
        assert {member.member_id for member in group.members} == {one.member_id for one in members}  # type: ignore[union-attr]
        assert [(member.weight, member.watch_port) for member in group.members] == [(1, None)] * 4
        assert group.max_size == 64
        rlocs = [one.action.params["rloc"] for one in members if isinstance(one, ActionProfileMember) and one.action]
        assert sorted(map(str, rlocs)) == sorted(
            str(int(ip_address(address))) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")
        )

    def test_numbers_are_the_same_after_a_restart(self) -> None:
        entry = locators(("192.0.2.1", 2), ("192.0.2.2", 1))
        assert Grouping(codec()).apply([entry], ()) == Grouping(codec()).apply([entry], ())

    def test_a_change_leaves_what_stays_alone(self) -> None:
        grouping = Grouping(codec())
        before, _ = grouping.apply([locators(("192.0.2.1", 1), ("192.0.2.2", 1))], ())
        after, removed = grouping.apply([locators(("192.0.2.1", 1), ("192.0.2.3", 1))], ())
        assert kinds(removed) == ["ActionProfileMember"]
        assert removed[0] in before
        assert after[-1] == before[-1]
        assert len([state for state in after if state in before]) == 2  # one member, the entry

    def test_everything_goes_with_the_entry(self) -> None:
        grouping = Grouping(codec())
        entry = locators(("192.0.2.1", 1), ("192.0.2.2", 1))
        put, _ = grouping.apply([entry], ())
        put_again, removed = grouping.apply((), [entry])
        assert put_again == []
        assert {state.key() for state in removed} == {state.key() for state in put}

    def test_watched_ports_and_other_states_pass(self) -> None:
        hops = [NextHop(port, f"02:00:00:00:00:0{port}", "02:00:00:00:01:01") for port in (1, 2)]
        route = underlay_route(ip_network("192.0.2.1/32"), hops)
        local = eid_local(4097, ip_network("10.0.0.1/32"), hops[0])
        put, _ = Grouping(codec()).apply([route, local], ())
        assert kinds(put) == [
            "ActionProfileMember",
            "ActionProfileMember",
            "ActionProfileGroup",
            "TableEntry",
            "TableEntry",
        ]
        assert put[-1] == local
        group = put[2]
        assert isinstance(group, ActionProfileGroup)
        assert all(member.watch_port is None for member in group.members)

    def test_what_cannot_be_encoded_changes_nothing(self) -> None:
        grouping = Grouping(codec())
        entry = locators(("192.0.2.1", 1))
        put, _ = grouping.apply([entry], ())
        wrong = TableEntry("instance", {"iid": entry.match["rloc_set"]}, entry.action)
        with pytest.raises(P4RuntimeError):
            grouping.apply([locators(("192.0.2.9", 1)), wrong], ())
        _, removed = grouping.apply((), [entry])
        assert {state.key() for state in removed} == {state.key() for state in put}


async def test_a_fabric_forwards_and_heals_without_action_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same state in members and groups: nothing is written that a switch without sets would refuse."""
    pipeline = replace(fabric_pipeline(), one_shot=False)
    monkeypatch.setattr(inprocess, "fabric_pipeline", lambda: pipeline)
    async with inprocess.Fabric(figure1()) as running:
        fabric = Observer(running, TraceRecorder())
        target = running.hosts["acc7"]
        await fabric.walk("acc1", "40.0.0.7", port=41000)
        assert len(target.received) == 1
        control = running.controls["D3"]
        query = p4runtime_pb2.Entity(table_entry=p4runtime_pb2.TableEntry())
        entries = [one for one in await control.client.read_entities(query) if isinstance(one, TableEntry)]
        assert any(isinstance(one.action, GroupRef) for one in entries)
        assert not any(isinstance(one.action, ActionSet) for one in entries)
        assert await control.settled() == ()
        # One of its two links is unplugged: the RLOC-set loses a member, and the switch what was of it alone.
        running.detach("acc7", "D1")
        await running.converge()
        hops = await fabric.walk("acc1", "40.0.0.7", port=41001)
        assert len(target.received) == 2
        assert "D1" not in way(hops)
        assert await control.settled() == ()
        members, groups = await in_profile(control, "rloc_selector")
        assert {member.member_id for member in members} == {one.member_id for group in groups for one in group.members}
        assert 0 < len(groups) < len(members)


async def in_profile(control: SwitchControl, name: str) -> tuple[list[ActionProfileMember], list[ActionProfileGroup]]:
    """What a switch says that a profile has."""
    number = control.client.codec.info.action_profiles[name].id
    found = await control.client.read_entities(
        p4runtime_pb2.Entity(action_profile_member=p4runtime_pb2.ActionProfileMember(action_profile_id=number)),
        p4runtime_pb2.Entity(action_profile_group=p4runtime_pb2.ActionProfileGroup(action_profile_id=number)),
    )
    members = [one for one in found if isinstance(one, ActionProfileMember)]
    return members, [one for one in found if isinstance(one, ActionProfileGroup)]
