"""Tables against the plainest possible ones, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.state import (
    ActionCall,
    AlreadyExists,
    ConstTable,
    Exact,
    InvalidEntry,
    Lpm,
    Match,
    MatchValue,
    MemberRef,
    NotFound,
    Optional_,
    Range,
    StateError,
    SwitchState,
    Table,
    TableFull,
    Ternary,
)
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program

ANSWER = ActionCall("MainIngress.answer", (0,))

WIDTHS = {"exact": (8, 12), "lpm": (8, 16), "ternary": (8, 16, 4), "range": (8, 12, 16), "optional": (8, 4)}


def table(kind: str) -> Table:
    return SwitchState(program("matches"), Clock()).table(f"MainIngress.{kind}_table")


def small(width: int) -> st.SearchStrategy[int]:
    """Few values, so that entries and keys meet."""
    top = (1 << width) - 1
    return st.sampled_from([0, 1, 2, 3, top, top - 1, top >> 1, 1 << width - 1])


def exact(width: int) -> st.SearchStrategy[MatchValue]:
    return small(width).map(Exact)


def lpm(width: int) -> st.SearchStrategy[MatchValue]:
    return st.builds(Lpm, small(width), st.integers(0, width))


def ternary(width: int) -> st.SearchStrategy[MatchValue]:
    return st.builds(Ternary, small(width), small(width))


def ranged(width: int) -> st.SearchStrategy[MatchValue]:
    return st.tuples(small(width), small(width)).map(lambda bounds: Range(min(bounds), max(bounds)))


def optional(width: int) -> st.SearchStrategy[MatchValue]:
    return st.one_of(st.none(), small(width)).map(Optional_)


SHAPES: dict[str, tuple[Callable[[int], st.SearchStrategy[MatchValue]], ...]] = {
    "exact": (exact, exact),
    "lpm": (exact, lpm),
    "ternary": (ternary, lpm, exact),
    "range": (ranged, ranged, ternary),
    "optional": (optional, optional),
}


def matches(wanted: MatchValue, value: int, width: int) -> bool:
    """Straight from the meaning of each kind."""
    match wanted:
        case Exact(expected):
            return value == expected
        case Lpm(prefix, length):
            return f"{value:0{width}b}"[:length] == f"{prefix:0{width}b}"[:length]
        case Ternary(expected, mask):
            return value & mask == expected & mask
        case Range(low, high):
            return value in range(low, high + 1)
        case Optional_(expected):
            return expected is None or value == expected


class Model:
    """A list of entries; the handle is a place in it."""

    def __init__(self, kind: str) -> None:
        self.widths = WIDTHS[kind]
        self.places: list[tuple[Match, int, int] | None] = []

    def insert(self, match: Match, priority: int, value: int) -> None:
        entry = (match, priority, value)
        if None in self.places:
            self.places[self.places.index(None)] = entry
        else:
            self.places.append(entry)

    def delete(self, match: Match, priority: int) -> None:
        self.places = [None if e and e[:2] == (match, priority) else e for e in self.places]

    def find(self, key: tuple[int, ...]) -> int | None:
        found = [
            (-priority, -sum(m.prefix_len for m in match if isinstance(m, Lpm) and not priority), place, value)
            for place, entry in enumerate(self.places)
            if entry is not None
            for match, priority, value in [entry]
            if all(map(matches, match, key, self.widths))
        ]
        return min(found)[-1] if found else None


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[tuple[Match, int, bool]], list[tuple[int, ...]]]:
    """A kind of table, entries to insert or else delete, and keys to look up."""
    kind = draw(st.sampled_from(sorted(SHAPES)))
    match = st.tuples(*(shape(width) for shape, width in zip(SHAPES[kind], WIDTHS[kind], strict=True)))
    priority = st.just(0) if kind in ("exact", "lpm") else st.integers(1, 3)
    changes = draw(st.lists(st.tuples(match, priority, st.booleans()), max_size=12))
    keys = draw(st.lists(st.tuples(*map(small, WIDTHS[kind])), min_size=1, max_size=8))
    return kind, changes, keys


@settings(max_examples=300, deadline=None)
@given(histories())
def test_lookups_agree_with_a_plain_list(
    history: tuple[str, list[tuple[Match, int, bool]], list[tuple[int, ...]]],
) -> None:
    kind, changes, keys = history
    real, model = table(kind), Model(kind)
    for number, (match, priority, insert) in enumerate(changes):
        canonical: Match | None = None
        try:
            if insert:
                call = ActionCall("MainIngress.answer", (number,))
                canonical = real.insert(match, call, priority).match
                model.insert(canonical, priority, number)
            else:
                canonical = real.get(match, priority).match
                real.delete(match, priority)
                model.delete(canonical, priority)
        except (AlreadyExists, NotFound, TableFull):
            assert canonical is None
        for key in keys:
            entry = real.find(key)
            found = entry.target.params[0] if entry and isinstance(entry.target, ActionCall) else None
            assert found == model.find(key)
    assert len(real) == len(list(real.entries())) == sum(e is not None for e in model.places)


def test_an_entry_is_its_match_and_priority() -> None:
    ternaries = table("ternary")
    match = (Ternary(1, 1), Lpm(0, 0), Exact(0))
    ternaries.insert(match, ANSWER, 1)
    ternaries.insert(match, ANSWER, 2)
    with pytest.raises(AlreadyExists, match="of priority 2 exists"):
        ternaries.insert((Ternary(0xFF, 1), Lpm(0x1234, 0), Exact(0)), ANSWER, 2)
    ternaries.modify(match, ActionCall("MainIngress.nothing"), 2)
    assert ternaries.get(match, 2).target == ActionCall("MainIngress.nothing")
    assert ternaries.get(match, 1).target == ANSWER
    with pytest.raises(NotFound):
        ternaries.delete(match, 3)


def test_a_table_holds_what_the_program_declares() -> None:
    exacts = table("exact")
    for value in range(4):
        exacts.insert((Exact(value), Exact(0)), ANSWER)
    with pytest.raises(TableFull, match="all 4 entries are in use"):
        exacts.insert((Exact(4), Exact(0)), ANSWER)
    exacts.delete((Exact(2), Exact(0)))
    exacts.insert((Exact(4), Exact(0)), ANSWER)
    exacts.clear()
    assert len(exacts) == 0


def test_constant_entries_and_defaults_stay() -> None:
    const = table("const")
    with pytest.raises(ConstTable, match="entries are constant"):
        const.insert((Ternary(0, 0), Ternary(0, 0)), ANSWER, 1)
    with pytest.raises(ConstTable, match="entries are constant"):
        const.delete(next(const.entries()).match, next(const.entries()).priority)
    with pytest.raises(ConstTable, match=r"default action MainIngress\.other is constant"):
        const.set_default(ANSWER)
    const.clear()
    assert len(const) == 3
    assert const.default == ActionCall("MainIngress.other", (7, 70))


def test_a_default_can_be_set_and_taken_back() -> None:
    exacts = table("exact")
    exacts.set_default(ActionCall("MainIngress.answer", (9,)))
    assert exacts.default == ActionCall("MainIngress.answer", (9,))
    exacts.set_default(None)
    assert exacts.default == ActionCall("MainIngress.nothing")


@pytest.mark.parametrize(
    ("kind", "match", "priority", "message"),
    [
        ("exact", (Exact(1),), 0, "key has 2 fields, got 1"),
        ("exact", (Exact(256), Exact(0)), 0, r"Exact\(value=256\) does not fit key headers.key.a \(exact, 8 bits\)"),
        ("exact", (Exact(-1), Exact(0)), 0, "does not fit key headers.key.a"),
        ("exact", (Ternary(1, 1), Exact(0)), 0, "does not fit key headers.key.a"),
        ("exact", (Exact(1), Exact(0)), 1, "has no priority, got 1"),
        ("lpm", (Exact(1), Lpm(0, 17)), 0, "does not fit key headers.key.b"),
        ("ternary", (Ternary(1, 256), Lpm(0, 0), Exact(0)), 1, "does not fit key headers.key.a"),
        ("ternary", (Ternary(1, 1), Lpm(0, 0), Exact(0)), -1, "priority -1 not in"),
        ("range", (Range(5, 4), Range(0, 0), Ternary(0, 0)), 1, "does not fit key headers.key.a"),
        ("optional", (Optional_(256), Optional_(None)), 1, "does not fit key headers.key.a"),
    ],
)
def test_entries_that_do_not_fit_are_refused(kind: str, match: Match, priority: int, message: str) -> None:
    refused = table(kind)
    with pytest.raises(InvalidEntry, match=message):
        refused.insert(match, ANSWER, priority)
    assert len(refused) == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (ActionCall("MainIngress.other", (1, 2)), "has no action MainIngress.other"),
        (ActionCall("MainIngress.answer"), "takes 1 parameters, got 0"),
        (ActionCall("MainIngress.answer", (1 << 16,)), "value = 65536 does not fit 16 bits"),
        (MemberRef(1), "of type simple takes no MemberRef"),
    ],
)
def test_targets_that_do_not_fit_are_refused(target: ActionCall | MemberRef, message: str) -> None:
    with pytest.raises(InvalidEntry, match=message) as refused:
        table("exact").insert((Exact(1), Exact(1)), target)
    assert isinstance(refused.value, StateError)
    assert refused.value.code == "INVALID_ARGUMENT"


def test_unknown_names_are_key_errors() -> None:
    state = SwitchState(program("matches"), Clock())
    for accessor in (state.table, state.action_profile, state.counter, state.meter, state.register, state.digests):
        with pytest.raises(KeyError):
            accessor("nowhere")
