"""The index of a P4Info: what it knows, how things are found, and what it says when they are not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from p4.config.v1 import p4info_pb2

from controller.p4rt.errors import DecodingError, P4InfoError, UnknownNameError
from controller.p4rt.p4info import MatchKind, P4Info
from controller.p4rt.p4types import Bits, Struct
from controller.p4rt.pipeline import Pipeline
from tests.p4rt.support import CATALOGUE


def test_the_catalogue_is_known_by_name(pipeline: Pipeline) -> None:
    info = pipeline.info
    acl = info.tables["CatalogueIngress.acl"]
    assert [(field.name, field.width, field.kind) for field in acl.fields] == [
        ("src", 48, MatchKind.TERNARY),
        ("type", 16, MatchKind.RANGE),
        ("vrf", 16, MatchKind.OPTIONAL),
        ("dst", 48, MatchKind.TERNARY),
    ]
    assert acl.needs_priority
    assert acl.direct_meter_id == info.direct_meters["acl_rate"].id
    ports = info.tables["ports"]
    assert not ports.needs_priority
    assert ports.const_default
    assert not ports.default_is_settable
    assert not ports.actions["NoAction"].in_entries
    assert ports.direct_counter_id == info.direct_counters["port_packets"].id
    assert info.direct_counters["port_packets"].table_id == ports.id
    assert [(param.name, param.width) for param in info.actions["deliver"].params] == [("port", 9), ("mark", 16)]
    assert info.tables["nexthops"].profile == info.action_profiles["nexthop_selector"]
    assert info.action_profiles["nexthop_selector"].with_selector
    assert not info.action_profiles["tag_profile"].with_selector
    assert (info.counters["vrf_packets"].size, info.counters["vrf_packets"].unit) == (64, "both")
    assert (info.meters["vrf_rate"].size, info.meters["vrf_rate"].unit) == (16, "bytes")
    assert (info.registers["seen"].size, info.registers["seen"].type) == (8, Bits(32))
    assert info.digests["learn_t"].type == Struct("learn_t", (("mac", Bits(48)), ("port", Bits(9))))
    assert [field.name for field in info.packet_headers["packet_in"].fields] == [
        "ingress_port",
        "_pad",
        "mark",
        "replica",
    ]
    assert info.value_sets["tunnel_types"].size == 4
    assert info.tables["reserved"].is_const
    assert info.tables["routes4"].idle_timeout
    assert info.tables["routes4"].initial_default == (info.actions["drop"].id, {})


def test_any_unambiguous_end_of_a_name_finds_it() -> None:
    info = P4Info.from_text(
        """
        tables { preamble { id: 1 name: "A.left.routes" } }
        tables { preamble { id: 2 name: "A.right.routes" } }
        tables { preamble { id: 3 name: "A.left.ports" alias: "harbour" } }
        """
    )
    assert info.tables["left.routes"].id == 1
    assert info.tables["A.right.routes"].id == 2
    assert info.tables["ports"].id == info.tables["harbour"].id == info.tables["A.left.ports"].id == 3
    with pytest.raises(UnknownNameError, match=r"'routes'.*A\.left\.routes"):
        info.tables["routes"]
    assert "routes" not in info.tables
    assert info.tables.get("routes") is None


def test_a_full_name_wins_over_the_end_of_another() -> None:
    info = P4Info.from_text('actions { preamble { id: 1 name: "A.drop" } } actions { preamble { id: 2 name: "drop" } }')
    assert info.actions["drop"].id == 2


@pytest.mark.parametrize(
    ("name", "near"), [("route4", "routes4"), ("CatalogueIngress.rutes6", "routes6"), ("acls", "CatalogueIngress.acl")]
)
def test_an_unknown_name_is_answered_with_near_ones(pipeline: Pipeline, name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown table '{name}'.*did you mean.*{near}"):
        pipeline.info.tables[name]


def test_a_name_like_no_other_is_answered_with_what_there_is(pipeline: Pipeline) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown match field 'zzz' in CatalogueIngress\.ports \(known: port, vrf\)"
    ):
        pipeline.info.tables["ports"].fields["zzz"]


def test_an_unknown_id_is_a_fault_of_the_switch(pipeline: Pipeline) -> None:
    with pytest.raises(DecodingError, match="no table has id 17"):
        pipeline.info.tables.by_id(17)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables {\n  preamble { id: x }\n}", "x.txtpb:2:18: not a P4Info"),
        ("tables {", "x.txtpb:1:"),
        ("blah: 1", "x.txtpb:1:1: not a P4Info.*blah"),
        ('tables { preamble { name: "t" } }', "x.txtpb: table 't'.*missing"),
        ('tables { preamble { id: 5 name: "t" } action_refs { id: 7 } }', "'t'.*action 0x00000007"),
        ('tables { preamble { id: 5 name: "t" } implementation_id: 9 }', "'t'.*implementation 0x00000009"),
        (
            'tables { preamble { id: 5 name: "t" } match_fields { id: 1 name: "f" bitwidth: 8 } }',
            "'t'.*'f'.*match kind",
        ),
        (
            'tables { preamble { id: 5 name: "t" } match_fields { id: 1 name: "f" match_type: EXACT } }',
            "'t'.*'f' has bitwidth 0",
        ),
        ('actions { preamble { id: 5 name: "a" } params { id: 1 name: "p" } }', "a: parameter 'p' has bitwidth 0"),
        ('actions { preamble { id: 5 name: "a" } } actions { preamble { id: 5 name: "b" } }', "'a' and 'b'.*same id 5"),
        ('actions { preamble { id: 5 name: "a" } } actions { preamble { id: 6 name: "a" } }', "two actions.*'a'"),
        ('registers { preamble { id: 5 name: "r" } type_spec { struct { name: "s" } } }', "r: type 's'"),
    ],
)
def test_a_malformed_p4info_is_one_error_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(P4InfoError, match=message):
        P4Info.from_text(text, "x.txtpb")


@given(st.binary(max_size=60))
def test_whatever_a_file_holds_is_a_p4info_or_a_p4info_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    for name in ("some.txtpb", "some.bin"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        with suppress(P4InfoError):
            assert P4Info.from_file(path).source == str(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(P4InfoError, match=r"none\.txtpb: No such file"):
        P4Info.from_file(tmp_path / "none.txtpb")
    with pytest.raises(P4InfoError, match=r"none\.json: No such file"):
        Pipeline.from_files(f"{CATALOGUE}.p4info.txtpb", tmp_path / "none.json")


def test_a_binary_p4info_is_the_same(pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.p4info.bin"
    path.write_bytes(pipeline.info.proto.SerializeToString())
    assert P4Info.from_file(path).tables["routes6"].fields["dst"].width == 128


def test_equal_pipelines_have_equal_cookies(pipeline: Pipeline) -> None:
    other = p4info_pb2.P4Info.FromString(pipeline.info.proto.SerializeToString())
    assert Pipeline.make(P4Info(other), pipeline.device_config).cookie == pipeline.cookie
    assert Pipeline.make(P4Info(other), b"").cookie != pipeline.cookie
    other.pkg_info.name = "another"
    assert Pipeline.make(P4Info(other), pipeline.device_config).cookie != pipeline.cookie
