"""The difference between two states: complete, minimal, and never through a broken state."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action
from controller.p4rt.codec import Codec, Encoded
from controller.p4rt.entities import MeterCell, MeterConfig, MulticastGroup, Replica, State, TableEntry
from controller.p4rt.matches import Exact
from controller.p4rt.plan import DELETE, INSERT, MODIFY, Mirror, decide, plan
from tests.p4rt.fake_store import Store
from tests.p4rt.strategies import states
from tests.p4rt.support import catalogue

CODEC = Codec(catalogue().info)
OK = StatusCode.OK
INITIAL = {
    default.key: default.wire
    for table in CODEC.info.tables
    if table.default_is_settable and (default := CODEC.table(table.name).initial_default())
}


def encoded(state: Mapping[object, State]) -> dict[bytes, Encoded]:
    return {entity.key: entity for entity in map(CODEC.encode, state.values())}


def mirror_of(state: Mapping[bytes, Encoded]) -> Mirror:
    mirror = Mirror(INITIAL)
    mirror.replace(state.values())
    return mirror


def store_of(state: Mapping[bytes, Encoded]) -> Store:
    store = Store(config=catalogue().to_proto())
    store.held = {key: p4runtime_pb2.Entity.FromString(entity.wire) for key, entity in state.items()}
    return store


@given(states(), states(), st.randoms(use_true_random=False))
def test_a_plan_leads_from_any_state_to_any_other(
    before: dict[object, State], after: dict[object, State], chance: random.Random
) -> None:
    held, desired = encoded(before), encoded(after)
    mirror, store = mirror_of(held), store_of(held)
    stages = plan({*held, *desired}, desired, mirror, {})
    for stage in stages:
        keys = list(stage.keys)
        chance.shuffle(keys)
        for key in keys:
            step = decide(key, desired.get(key), mirror)
            assert step is not None
            update = p4runtime_pb2.Update(type=step.kind)
            update.entity.ParseFromString(step.wire)
            assert store.apply(update) is OK
    assert {key: entity.SerializeToString() for key, entity in store.held.items()} == {
        key: entity.wire for key, entity in desired.items()
    }
    differing = [key for key in {*held, *desired} if held.get(key) != desired.get(key)]
    assert sum(len(stage.keys) for stage in stages) == len(differing)


@given(states())
def test_a_state_needs_nothing_to_become_itself(state: dict[object, State]) -> None:
    held = encoded(state)
    assert plan(held, held, mirror_of(held), {}) == []


@given(states(), states())
def test_nothing_is_removed_before_what_replaces_it_is_there(
    before: dict[object, State], after: dict[object, State]
) -> None:
    held, desired = encoded(before), encoded(after)
    stages = plan({*held, *desired}, desired, mirror_of(held), {})
    removals = [stage.removal for stage in stages]
    assert removals == sorted(removals)


def route(vrf: int, mark: int = 1) -> TableEntry:
    return TableEntry("routes4", {"vrf": Exact(vrf)}, Action("deliver", {"port": 1, "mark": mark}))


def test_in_a_full_table_the_old_goes_first() -> None:
    held = encoded({n: route(n) for n in range(3)})
    desired = encoded({n: route(n) for n in range(2, 5)})
    table = CODEC.info.tables["routes4"].id
    tight = plan({*held, *desired}, desired, mirror_of(held), {table: 4})
    assert [(stage.removal, len(stage.keys)) for stage in tight] == [(True, 2), (False, 2)]
    roomy = plan({*held, *desired}, desired, mirror_of(held), {table: 5})
    assert [(stage.removal, len(stage.keys)) for stage in roomy] == [(False, 2), (True, 2)]


@pytest.mark.parametrize(
    ("entity", "changed", "reset"),
    [
        (MulticastGroup(1, [Replica(1)]), MulticastGroup(1, [Replica(2)]), (DELETE, True)),
        (route(1), route(1, mark=2), (DELETE, True)),
        (
            TableEntry.default("routes4", Action("deliver", {"port": 1, "mark": 1})),
            TableEntry.default("routes4", Action("deliver", {"port": 1, "mark": 2})),
            (MODIFY, True),
        ),
        (
            MeterCell("vrf_rate", 0, MeterConfig(1, 1, 1, 1)),
            MeterCell("vrf_rate", 0, MeterConfig(2, 2, 2, 2)),
            (MODIFY, True),
        ),
    ],
)
def test_the_kind_of_update(entity: State, changed: State, reset: tuple[int, bool]) -> None:
    old, new = CODEC.encode(entity), CODEC.encode(changed)
    empty = Mirror(INITIAL)
    first = decide(old.key, old, empty)
    assert first is not None
    assert first.kind == (MODIFY if old.resident else INSERT)
    assert decide(old.key, None, empty) is None
    full = mirror_of({old.key: old})
    assert decide(old.key, old, full) is None
    second = decide(old.key, new, full)
    assert second is not None
    assert (second.kind, second.wire) == (MODIFY, new.wire)
    gone = decide(old.key, None, full)
    assert gone is not None
    assert ((gone.kind, gone.removal), gone.wire) == (reset, old.key)


def test_the_program_s_own_default_is_as_good_as_none() -> None:
    table = CODEC.table("routes4")
    initial = table.initial_default()
    assert initial is not None
    assert decide(initial.key, None, mirror_of({initial.key: initial})) is None


def test_what_is_in_doubt_is_written_again_and_removed_even_if_never_seen() -> None:
    entity = CODEC.encode(route(1))
    mirror = Mirror()
    mirror.doubt(entity)
    gone, again = decide(entity.key, None, mirror), decide(entity.key, entity, mirror)
    assert gone is not None
    assert again is not None
    assert (gone.kind, again.kind) == (DELETE, INSERT)
    mirror.put(entity)
    assert decide(entity.key, entity, mirror) is None
    mirror.doubt(entity)
    again = decide(entity.key, entity, mirror)
    assert again is not None
    assert again.kind == MODIFY
    mirror.remove(entity.key)
    assert decide(entity.key, None, mirror) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 1))))
def test_a_mirror_counts_the_places_that_are_taken(changes: list[tuple[bool, int, int]]) -> None:
    mirror, model = Mirror(), dict[bytes, int]()
    for add, number, mark in changes:
        entity = CODEC.encode(route(number, mark))
        if add:
            mirror.put(entity)
            model[entity.key] = mark
        else:
            mirror.remove(entity.key)
            model.pop(entity.key, None)
    assert set(mirror) == set(model)
    assert len(mirror) == mirror.taken(CODEC.info.tables["routes4"].id) == len(model)
