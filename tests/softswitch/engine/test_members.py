"""Action profiles, selectors and idle timeouts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.ports import HostPort
from softswitch.reference.hashes import make_hash
from softswitch.state import ActionCall, Entry, Exact, GroupRef, InUse, InvalidEntry, MemberRef, NotFound, TableFull
from softswitch.state.profiles import ActionProfile
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program, switch_with

ANSWER, DROP = "MainIngress.answer", "MainIngress.drop"
MISSED = 0xFF

crc16 = make_hash("crc16")


def ask(switch: Switch, table: int, destination: int = 0, entropy: int = 0) -> int | None:
    """The answer, None if the packet was dropped, MISSED on a miss of the balanced table."""
    outputs = switch.process(0, bytes([table, destination]) + entropy.to_bytes(4) + b"\0")
    if not outputs:
        return None
    reply = outputs[0][1]
    return MISSED if table == 1 and reply[0] == 1 else reply[6]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switch(clock: Clock) -> Switch:
    return switch_with("members", clock)


def answer(value: int) -> ActionCall:
    return ActionCall(ANSWER, (value,))


def test_entries_share_a_member(switch: Switch) -> None:
    profile, table = switch.state.action_profile("MainIngress.profile"), switch.state.table("MainIngress.shared_one")
    profile.add_member(1, answer(10))
    table.insert((Exact(5),), MemberRef(1))
    table.insert((Exact(6),), MemberRef(1))
    assert [ask(switch, 0, d) for d in (5, 6, 7)] == [10, 10, 0]
    profile.modify_member(1, ActionCall(DROP))
    assert [ask(switch, 0, d) for d in (5, 6)] == [None, None]
    with pytest.raises(InUse, match="member 1 is in use"):
        profile.delete_member(1)
    table.delete((Exact(5),))
    table.delete((Exact(6),))
    profile.delete_member(1)
    with pytest.raises(NotFound, match="no member 1"):
        table.insert((Exact(5),), MemberRef(1))


def test_a_profile_refuses_what_its_tables_do_not_have(switch: Switch) -> None:
    profile = switch.state.action_profile("MainIngress.profile")
    with pytest.raises(InvalidEntry, match=r"has no action MainIngress\.other"):
        profile.add_member(1, ActionCall("MainIngress.other"))
    with pytest.raises(InvalidEntry, match="takes 1 parameters, got 0"):
        profile.add_member(1, ActionCall(ANSWER))
    with pytest.raises(InvalidEntry, match="value = 256 does not fit 8 bits"):
        profile.add_member(1, answer(256))
    with pytest.raises(InvalidEntry, match="no groups"):
        profile.create_group(1)
    with pytest.raises(InvalidEntry, match="takes no ActionCall"):
        switch.state.table("MainIngress.shared_one").insert((Exact(1),), answer(1))


def balanced(switch: Switch, *members: tuple[int, int, int | None]) -> ActionProfile:
    """Group 1 of members (id, weight, watch port) that answer with their id, chosen for destination 0."""
    selector = switch.state.action_profile("MainIngress.balancer")
    for member, _, _ in members:
        selector.add_member(member, answer(member))
    selector.create_group(1, max_size=16)
    selector.set_members(1, members)
    switch.state.table("MainIngress.balanced").insert((Exact(0),), GroupRef(1))
    return selector


@settings(max_examples=30, deadline=None)
@given(entropies=st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=20), size=st.integers(1, 8))
def test_the_hash_modulo_the_size_is_the_slot(entropies: list[int], size: int) -> None:
    switch = switch_with("members")
    balanced(switch, *((member, 1, None) for member in range(1, size + 1)))
    for entropy in entropies:
        assert ask(switch, 1, entropy=entropy) == 1 + crc16(entropy.to_bytes(4)) % size


def shares(switch: Switch) -> dict[int | None, int]:
    """How often each answer is given over all values of a hash whose range is a multiple of the group's size."""
    found: dict[int | None, int] = {}
    for entropy in range(600):
        member = ask(switch, 1, entropy=entropy)
        found[member] = found.get(member, 0) + 1
    return found


def test_weights_are_slots(switch: Switch) -> None:
    """Members 1 and 2 were made first; the two further slots of member 1 come behind both."""
    balanced(switch, (1, 3, None), (2, 1, None))
    slots = [1, 2, 1, 1]
    for entropy in range(50):
        assert ask(switch, 1, entropy=entropy) == slots[crc16(entropy.to_bytes(4)) % 4]


def test_slots_are_freed_when_a_weight_shrinks(switch: Switch) -> None:
    selector = balanced(switch, (1, 3, None), (2, 1, None))
    selector.set_members(1, [(1, 1, None), (2, 1, None)])
    selector.add_member(3, answer(3))  # takes the first freed place, right behind member 2
    selector.set_members(1, [(3, 1, None), (1, 2, None)])
    slots = [1, 3, 1]
    for entropy in range(50):
        assert ask(switch, 1, entropy=entropy) == slots[crc16(entropy.to_bytes(4)) % 3]


def test_members_whose_watch_port_is_down_are_passed_over(switch: Switch) -> None:
    ports = {number: HostPort() for number in (1, 2)}
    for number, port in ports.items():
        switch.add_port(number, port)
    balanced(switch, (1, 1, 1), (2, 1, 2), (3, 1, None))
    assert shares(switch).keys() == {1, 2, 3}
    ports[2].enabled = False
    assert shares(switch).keys() == {1, 3}
    ports[1].enabled = False
    assert shares(switch).keys() == {3}
    ports[2].enabled = True
    assert shares(switch).keys() == {2, 3}


def test_an_empty_group_runs_no_action_yet_is_a_hit(switch: Switch) -> None:
    selector = balanced(switch, (1, 1, None))
    selector.set_members(1, [])
    assert ask(switch, 1) == 0
    assert ask(switch, 1, destination=9) == MISSED


def test_groups_are_checked(switch: Switch) -> None:
    selector = balanced(switch, (1, 1, None))
    with pytest.raises(TableFull, match="exceeds its size 16"):
        selector.set_members(1, [(1, 17, None)])
    selector.create_group(2)
    with pytest.raises(TableFull, match="group 2 exceeds its size 65536"):
        selector.set_members(2, [(1, 1 << 40, None)])
    with pytest.raises(NotFound, match="no member 7"):
        selector.set_members(1, [(7, 1, None)])
    with pytest.raises(InvalidEntry, match="weight 0"):
        selector.set_members(1, [(1, 0, None)])
    with pytest.raises(InvalidEntry, match="twice"):
        selector.set_members(1, [(1, 1, None), (1, 1, None)])
    with pytest.raises(InUse, match="group 1 is in use"):
        selector.delete_group(1)
    with pytest.raises(InUse, match="member 1 is in use"):
        selector.delete_member(1)
    assert ask(switch, 1) == 1


def test_idle_entries_are_reported_once_in_two_sweeps(switch: Switch, clock: Clock) -> None:
    reported: list[tuple[str, list[int]]] = []

    def note(table: str, entries: list[Entry]) -> None:
        reported.append(
            (table, [match.value for entry in entries for match in entry.match if isinstance(match, Exact)])
        )

    switch.on_idle_timeout = note
    table = switch.state.table("MainIngress.ageing")
    table.insert((Exact(1),), answer(1), idle_timeout_ns=2_000_000_000)
    table.insert((Exact(2),), answer(2), idle_timeout_ns=5_000_000_000)
    table.insert((Exact(3),), answer(3))
    for _ in range(3):
        clock.advance(1)
        ask(switch, 2, destination=1)
        switch.sweep_idle()
    assert reported == []
    for _ in range(5):
        clock.advance(1)
        switch.sweep_idle()
    assert reported == [("MainIngress.ageing", keys) for keys in ([1, 2], [1, 2])]
    table.delete((Exact(1),))
    reported.clear()
    clock.advance(2)
    switch.sweep_idle()
    assert reported == [("MainIngress.ageing", [2])]


def test_only_tables_that_support_it_take_a_timeout(switch: Switch) -> None:
    profile = switch.state.action_profile("MainIngress.profile")
    profile.add_member(1, answer(1))
    with pytest.raises(InvalidEntry, match="does not support idle timeouts"):
        switch.state.table("MainIngress.shared_one").insert((Exact(1),), MemberRef(1), idle_timeout_ns=1)
    assert program("members").tables["MainIngress.ageing"].support_timeout


@pytest.mark.parametrize(
    ("at_once", "expected"), [(True, [1, 2, 2, 3, 3, 3]), (False, [1, 2, 3, 2, 3, 3])], ids=["one-shot", "group"]
)
def test_the_slots_of_a_one_shot_are_neighbours_those_of_a_group_are_not(
    switch: Switch, at_once: bool, expected: list[int]
) -> None:
    profile = switch.state.action_profile("MainIngress.balancer")
    for member in (1, 2, 3):
        profile.add_member(member, answer(member), member if at_once else 1)
    profile.create_group(9)
    profile.set_members(9, [(member, member, None) for member in (1, 2, 3)])
    assert [slot.member.id for slot in profile.get_group(9).slots] == expected
    with pytest.raises(TableFull, match="weight 65537 exceeds the 65536 slots"):
        profile.add_member(4, answer(4), 65537)
