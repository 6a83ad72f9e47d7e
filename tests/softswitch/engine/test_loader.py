"""What the loader accepts, and how it refuses the rest."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.program import ProgramError, load_program
from softswitch.switch import EngineName, Switch
from tests.softswitch.engine.support import COMPILED, NAMES, program

DOCUMENTS: dict[str, dict[str, Any]] = {name: json.loads((COMPILED / f"{name}.json").read_bytes()) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_program_loads_from_text_and_from_values(name: str) -> None:
    text = (COMPILED / f"{name}.json").read_text()
    for source in (text, text.encode(), DOCUMENTS[name]):
        assert load_program(source).name == f"{name}.p4"


def test_the_model_names_things_as_the_program_does() -> None:
    router = program("router")
    routes = router.tables["MainIngress.routes"]
    assert [(key.name, key.match_type, key.width) for key in routes.keys] == [("headers.ipv4.destination", "lpm", 32)]
    assert (routes.type, routes.max_size, routes.with_counters) == ("simple", 4096, True)
    assert routes.actions.keys() == {"MainIngress.route_to", "MainIngress.discard"}
    assert [(p.name, p.width) for p in routes.actions["MainIngress.route_to"].params] == [("next_hop", 16)]
    assert routes.default_entry is not None
    assert routes.default_entry.action_const
    assert router.field("intrinsic_metadata.mcast_grp") == router.field("standard_metadata.mcast_grp")
    assert router.field("nothing.here") is None
    members = program("members")
    assert members.tables["MainIngress.balanced"].action_profile == "MainIngress.balancer"
    selector = members.action_profiles["MainIngress.balancer"].selector
    assert selector is not None
    assert selector.algorithm == "crc16"


def find(document: Any, path: str) -> tuple[Any, str | int]:
    """The container and the key of the last step of a path like ``pipelines[0].tables``."""
    steps: list[str | int] = []
    for word in path.replace("[", ".[").split("."):
        steps.append(int(word[1:-1]) if word.startswith("[") else word)
    for step in steps[:-1]:
        document = document[step]
    return document, steps[-1]


@pytest.mark.parametrize(
    ("name", "path", "value", "place", "reason"),
    [
        ("router", "__meta__.version", [3, 0], None, "is not a version up to 2.24"),
        ("router", "header_types[2].fields[0][1]", -1, None, "is not in 0..65536"),
        ("router", "header_types[2].fields[0]", ["x"], None, "is not [name, width]"),
        ("router", "header_types[2].fields[1][0]", "destination", None, "already is a field of this name"),
        ("router", "header_types[3].fields[0][1]", 5, "headers[3]", "is not a whole number of octets"),
        ("router", "headers[2].header_type", "nothing", None, "there is no header type of this name"),
        ("router", "headers[2].id", 1, None, "is the id of another object of this kind"),
        ("router", "headers[2].name", "scalars", None, "there already is a header of this name"),
        ("router", "parsers[0].name", "other", "parsers", "has none of name 'parser'"),
        ("router", "parsers[0].init_state", "nowhere", None, "there is no parse state of this name"),
        ("router", "parsers[0].parse_states[0].parser_ops[0].op", "jump", None, "is not a parser operation"),
        ("router", "parsers[0].parse_states[0].transitions[0].value", "0x08", None, "is 1 octets long, the key is 2"),
        ("router", "parsers[0].parse_states[0].transitions[0].next_state", "x", None, "there is no parse state"),
        ("router", "parsers[0].parse_states[0].transition_key[0].value[1]", "x", None, "has no such field"),
        ("router", "deparsers[0].order[0]", "scalars", None, "is metadata"),
        ("router", "actions[0].id", 1, "actions[1].id", "is the id of another object"),
        ("router", "calculations[0].algo", "crc17", None, "is not a hash algorithm"),
        ("stateful", "counter_arrays[0].size", 1 << 40, None, "is not in 0..16777216"),
        ("router", "pipelines[0].init_table", "nothing", None, "there is no control node"),
        ("router", "pipelines[0].tables[0].type", "odd", None, "is not a type of table"),
        ("router", "pipelines[0].tables[0].match_type", "exact", None, "cannot have key fields of types lpm"),
        ("router", "pipelines[0].tables[0].key[0].target", "ipv4", None, "is not an array"),
        ("router", "pipelines[0].tables[0].key[0].match_type", "odd", None, "is not a type of match"),
        ("router", "pipelines[0].tables[0].default_entry.action_id", 99, None, "there is no action of this id here"),
        ("router", "pipelines[0].tables[0].default_entry.action_data", [], None, "is not an array of 1 elements"),
        ("router", "pipelines[0].tables[0].next_tables", {"__HIT__": None}, None, "not just both"),
        ("router", "pipelines[0].tables[1].next_tables", {}, None, "does not have just the table's actions"),
        ("router", "pipelines[0].conditionals[0].true_next", "x", "pipelines[0].conditionals[0]", "is followed by 'x'"),
        ("router", "pipelines[0].conditionals[0].expression.value.op", "xor", None, "is not an operator"),
        ("router", "pipelines[1].name", "ingress", None, "there already is a pipeline of this name"),
        ("router", "checksums[0].calculation", "calc_99", None, "there is no calculation"),
        ("router", "field_aliases[0][1]", ["standard_metadata", "x"], "field_aliases[0][1][1]", "has no such field"),
        ("matches", "pipelines[0].tables[13].entries[0].match_key[0].mask", "0x100", None, "does not fit 8 bits"),
        ("matches", "pipelines[0].tables[13].entries[0].priority", "1", None, "is not an integer"),
        ("stateful", "register_arrays[0].bitwidth", 0, None, "is not in 1..65536"),
        ("stateful", "meter_arrays[0].type", "bits", None, "is neither 'bytes' nor 'packets'"),
        ("matches", "pipelines[0].tables[14].entries[1].match_key[0].prefix_length", 17, None, "is not in 0..16"),
        ("members", "pipelines[0].action_profiles[1].selector.algo", "x", None, "is not a hash algorithm"),
        ("members", "pipelines[0].tables[2].action_profile", "MainIngress.profile", None, "without a selector"),
        ("copies", "learn_lists[0].elements[0].type", "header", None, "is not 'field'"),
        ("parsing", "parse_vsets[0].compressed_bitwidth", 9, "parsers[0].parse_states", "has another width"),
    ],
)  # fmt: skip
def test_errors_name_place_value_and_reason(
    name: str, path: str, value: object, place: str | None, reason: str
) -> None:
    document = copy.deepcopy(DOCUMENTS[name])
    container, key = find(document, path)
    assert container[key] != value
    container[key] = value
    with pytest.raises(ProgramError) as refused:
        load_program(document)
    error = refused.value
    assert error.place.startswith(place if place is not None else path)
    assert reason in error.reason
    assert str(error).startswith(f"{error.place}: {error.reason} (got ")
    if place is None:
        assert error.value == value or path in error.place


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"__meta__": 5}', "{}", b"\xff\xfe", "[" * 100_000])
def test_what_is_not_a_program_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProgramError):
        load_program(text)


def test_a_pipeline_that_returns_to_itself_is_refused() -> None:
    document = copy.deepcopy(DOCUMENTS["router"])
    tables = document["pipelines"][0]["tables"]
    tables[1]["next_tables"] = dict.fromkeys(tables[1]["next_tables"], tables[0]["name"])
    with pytest.raises(ProgramError, match="can be reached from itself"):
        load_program(document)


def test_constant_entries_of_one_key_are_refused() -> None:
    document = copy.deepcopy(DOCUMENTS["matches"])
    entries = document["pipelines"][0]["tables"][14]["entries"]
    entries.append(copy.deepcopy(entries[0]))
    with pytest.raises(ProgramError, match=r"entries\[3\]: has the key of an earlier entry"):
        load_program(document)


def test_an_expression_nested_too_deeply_is_refused() -> None:
    document = copy.deepcopy(DOCUMENTS["router"])
    conditional = document["pipelines"][0]["conditionals"][0]
    for _ in range(400):
        inner = conditional["expression"]
        conditional["expression"] = {"type": "expression", "value": {"op": "not", "left": None, "right": inner}}
    with pytest.raises(ProgramError, match="nested too deeply"):
        load_program(document)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every path in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key != "source_info":
            yield from places(item, (*path, key))


PLACES = {name: list(places(document)) for name, document in DOCUMENTS.items()}
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    3,
    1 << 40,
    1.5,
    "",
    "0x",
    "-0x1",
    "0xff",
    "start",
    "NoAction",
    [],
    [[]],
    {},
    {"type": 5},
]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A program in which a few things have been replaced, removed or exchanged."""
    name = draw(st.sampled_from(NAMES))
    document: Any = copy.deepcopy(DOCUMENTS[name])
    for _ in range(draw(st.integers(1, 3))):
        *steps, last = draw(st.sampled_from(PLACES[name]))
        other = draw(st.sampled_from(PLACES[name]))
        container: Any = document
        try:
            for step in steps:
                container = container[step]
            match draw(st.sampled_from(["replace", "remove", "copy"])):
                case "replace":
                    container[last] = draw(st.sampled_from(STRANGE))
                case "remove":
                    del container[last]
                case _:
                    source = document
                    for step in other:
                        source = source[step]
                    container[last] = copy.deepcopy(source)
        except (KeyError, IndexError, TypeError):
            pass  # an earlier damage has taken the place away
    assert isinstance(document, dict)
    return document


@settings(max_examples=400, deadline=None)
@given(document=damaged(), packets=st.lists(st.binary(max_size=60), max_size=3))
def test_a_damaged_program_is_refused_or_runs(document: dict[str, Any], packets: list[bytes]) -> None:
    """ProgramError is the only way to refuse, and what is not refused must not fail later either."""
    load_and_run(document, packets, "reference")


@settings(max_examples=15, deadline=None)
@given(document=damaged(), packets=st.lists(st.binary(max_size=60), max_size=3))
def test_a_damaged_program_that_runs_can_be_translated(document: dict[str, Any], packets: list[bytes]) -> None:
    """Or is refused by the native engine; it takes time to compile, so these are few."""
    load_and_run(document, packets, "auto")


def load_and_run(document: dict[str, Any], packets: list[bytes], engine: EngineName) -> None:
    try:
        loaded = load_program(document)
    except ProgramError:
        return
    switch = Switch(0, engine=engine)
    switch.set_program(loaded)
    for packet in packets:
        switch.process(0, packet)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_document_is_refused(name: str, share: float) -> None:
    text = (COMPILED / f"{name}.json").read_text().rstrip()
    with pytest.raises(ProgramError, match="is not JSON"):
        load_program(text[: int(share * len(text))])
