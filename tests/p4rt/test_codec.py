"""Entities to protobuf and back, and one clear error for each that does not fit."""

from __future__ import annotations

import copy
from contextlib import suppress
from ipaddress import IPv4Network

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef, WeightedAction
from controller.p4rt.codec import Codec, Rank
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    CounterCell,
    CounterData,
    DigestConfig,
    DirectCounter,
    Entity,
    GroupMember,
    MeterCell,
    MeterConfig,
    MulticastGroup,
    RegisterCell,
    Replica,
    State,
    TableEntry,
    ValueSet,
)
from controller.p4rt.errors import DecodingError, EncodingError, P4RuntimeError, UnknownNameError
from controller.p4rt.matches import Exact, Lpm, Match, Optional, Range, Ternary
from tests.p4rt.fake_store import key_of
from tests.p4rt.strategies import entities
from tests.p4rt.support import catalogue

CODEC = Codec(catalogue().info)
ENTITIES = entities(CODEC.info)

DROP = Action("drop")
DELIVER = Action("deliver", {"port": 1, "mark": 2})


def wire(entity: Entity) -> p4runtime_pb2.Entity:
    return p4runtime_pb2.Entity.FromString(CODEC.encode(entity).wire)


@given(ENTITIES)
def test_an_entity_survives(entity: State) -> None:
    assert CODEC.decode(wire(entity)) == entity
    assert CODEC.canonical(entity) == entity
    assert str(entity) == CODEC.describe(CODEC.encode(entity).wire)


@given(ENTITIES, st.randoms())
def test_a_switch_may_answer_in_other_octets(entity: State, random: st.randoms) -> None:  # type: ignore[valid-type]
    """Leading zeros and the order of repeated fields mean nothing: the canonical form is found again."""
    encoded = CODEC.encode(entity)
    loose = p4runtime_pb2.Entity.FromString(encoded.wire)
    _loosen(loose, random)
    assert CODEC.encode(CODEC.decode(loose)) == encoded


def _loosen(message: object, random: st.randoms) -> None:  # type: ignore[valid-type]
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.is_repeated and field.message_type is not None:
            for item in value:
                _loosen(item, random)
            shuffled = [copy.deepcopy(item) for item in value]
            random.shuffle(shuffled)  # type: ignore[attr-defined]
            del value[:]
            value.extend(shuffled)
        elif field.message_type is not None:
            _loosen(value, random)
        elif field.name in ("value", "mask", "low", "high"):
            setattr(message, field.name, b"\0" + value)


@given(ENTITIES, ENTITIES)
def test_keys_are_equal_exactly_when_the_entities_are_the_same_thing(one: State, two: State) -> None:
    assert (CODEC.encode(one).key == CODEC.encode(two).key) == (one.key() == two.key())
    assert (CODEC.encode(one).wire == CODEC.encode(two).wire) == (one == two)


@given(ENTITIES)
def test_the_key_is_what_the_specification_calls_the_key(entity: State) -> None:
    encoded = CODEC.encode(entity)
    assert encoded.key == CODEC.key(entity) == key_of(wire(entity))


@given(ENTITIES)
def test_entities_are_values(entity: State) -> None:
    again = CODEC.decode(wire(entity))
    assert hash(again) == hash(entity)
    assert len({entity, again}) == 1


def test_a_table_entry_in_protobuf() -> None:
    entry = TableEntry("routes4", {"vrf": Exact(1), "dst": Lpm.network(IPv4Network("10.0.0.0/8"))}, DELIVER)
    info = CODEC.info
    message = wire(entry).table_entry
    assert message.table_id == info.tables["routes4"].id
    assert [(m.field_id, m.exact.value, m.lpm.value, m.lpm.prefix_len) for m in message.match] == [
        (1, b"\1", b"", 0),
        (2, b"", b"\x0a\0\0\0", 8),
    ]
    assert message.action.action.action_id == info.actions["deliver"].id
    assert [(p.param_id, p.value) for p in message.action.action.params] == [(1, b"\1"), (2, b"\2")]


def test_what_accepts_everything_is_left_out() -> None:
    everything: dict[str, Match] = {
        "src": Ternary(0, 0),
        "type": Range(0, 0xFFFF),
    }
    entry = TableEntry("acl", everything, DROP, priority=1)
    assert not wire(entry).table_entry.match
    assert CODEC.encode(entry) == CODEC.encode(TableEntry("acl", {}, DROP, priority=1))
    assert TableEntry("routes4", {"vrf": Exact(1), "dst": Lpm(0, 0)}) == TableEntry("routes4", {"vrf": Exact(1)})


def test_a_range_that_the_switch_spells_out_is_recognized_as_everything() -> None:
    loose = wire(TableEntry("acl", {}, DROP, priority=1))
    match = loose.table_entry.match.add(field_id=2)
    match.range.low, match.range.high = b"\0", b"\xff\xff"
    assert CODEC.decode(loose) == CODEC.canonical(TableEntry("acl", {}, DROP, priority=1))


def test_ends_of_names_will_do() -> None:
    entry = TableEntry("acl", {"src": Ternary(1, 1)}, DROP, priority=1)
    full = TableEntry("CatalogueIngress.acl", {"src": Ternary(1, 1)}, Action("CatalogueIngress.drop"), priority=1)
    assert CODEC.encode(entry) == CODEC.encode(full)
    assert CODEC.canonical(entry) == full


def test_ranks_and_references() -> None:
    member = CODEC.encode(ActionProfileMember("nexthop_selector", 5, DELIVER))
    group = CODEC.encode(ActionProfileGroup("nexthop_selector", 5, [GroupMember(5)]))
    entry = CODEC.encode(TableEntry("nexthops", {"nexthop": Exact(1)}, GroupRef(5)))
    direct = CODEC.encode(TableEntry("nexthops", {"nexthop": Exact(1)}, MemberRef(5)))
    assert (member.rank, group.rank, entry.rank) == (Rank.MEMBER, Rank.GROUP, Rank.TABLE)
    assert CODEC.encode(MulticastGroup(1)).rank is Rank.REPLICATION
    assert group.refs == direct.refs == (member.key,)
    assert entry.refs == (group.key,)
    assert entry.scope == CODEC.info.tables["nexthops"].id


def test_a_one_shot_set_has_no_order() -> None:
    one, two = WeightedAction(DELIVER, 2, watch_port=9), WeightedAction(Action("NoAction"), 1)
    assert ActionSet([one, two]) == ActionSet([two, one])
    entry = TableEntry("nexthops", {"nexthop": Exact(1)}, ActionSet([one, two]))
    sets = wire(entry).table_entry.action.action_profile_action_set.action_profile_actions
    assert {(item.weight, item.watch_port) for item in sets} == {(2, b"\x09"), (1, b"")}


def test_a_replica_may_come_back_in_either_encoding_of_its_port() -> None:
    group = MulticastGroup(1, [Replica(0, 1), Replica(300, 2)])
    message = wire(group)
    assert CODEC.decode(message) == group
    for replica in message.packet_replication_engine_entry.multicast_group_entry.replicas:
        port = replica.egress_port
        replica.port = port.to_bytes(4, "big")
    assert CODEC.decode(message) == group


def test_a_watch_port_may_come_back_as_a_number() -> None:
    group = ActionProfileGroup("CatalogueIngress.nexthop_selector", 1, [GroupMember(1, 1, 3), GroupMember(2)])
    message = wire(group)
    message.action_profile_group.members[0].watch = 3
    message.action_profile_group.members[1].watch = 0
    assert CODEC.decode(message) == group


def test_the_volatile_too() -> None:
    entry = TableEntry("CatalogueIngress.ports", {"port": Exact(1), "vrf": Exact(2)})
    cells: list[Entity] = [
        CounterCell("CatalogueIngress.vrf_packets", 0, CounterData(3, 4)),
        DirectCounter(entry, CounterData(5, 6)),
        RegisterCell("CatalogueIngress.seen", 7, 0xFFFFFFFF),
    ]
    for cell in cells:
        assert CODEC.decode(wire(cell)) == cell
        assert p4runtime_pb2.Entity.FromString(CODEC.encode(cell).key).WhichOneof("entity") == wire(cell).WhichOneof(
            "entity"
        )


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (TableEntry("acl", {"src": Exact(1)}, DROP, priority=1), "acl.*src = 1: is matched ternary, not exact"),
        (TableEntry("acl", {"src": Ternary(3, 1)}, DROP, priority=1), "acl.*src = 3&1: has bits beyond its mask"),
        (TableEntry("acl", {"type": Range(2, 1)}, DROP, priority=1), r"acl.*type = 2\.\.1: ends before it starts"),
        (TableEntry("acl", {"type": Range(0, 65536)}, DROP, priority=1), "acl.*type = 0x10000: does not fit 16 bits"),
        (TableEntry("acl", {"vrf": Optional(1 << 16)}, DROP, priority=1), "acl.*vrf = 0x10000: does not fit 16 bits"),
        (TableEntry("acl", {"vrf": Optional("blue")}, DROP, priority=1), "acl.*vrf = 'blue'.*not a string"),
        (TableEntry("acl", {}, DROP), "acl.*priority = 0: the table needs one"),
        (TableEntry("acl", {}, DROP, priority=1 << 31), r"acl.*\b2147483648\b"),
        (
            TableEntry("acl", {}, DROP, priority=1, idle_timeout_ns=5),
            "acl.*idle_timeout_ns = 5: the table does not age",
        ),
        (TableEntry("routes4", {"vrf": Exact(1), "dst": Lpm(1, 8)}, DROP), "routes4.*dst = 1/8: has bits beyond"),
        (TableEntry("routes4", {"vrf": Exact(1), "dst": Lpm(0, 33)}, DROP), r"dst = 0/33: the length.*1\.\.32"),
        (TableEntry("routes4", {"dst": Lpm(1, 32)}, DROP), "routes4.*'vrf' is missing"),
        (TableEntry("routes4", {"vrf": Exact(1)}, DROP, priority=3), "priority = 3: the table has no field"),
        (TableEntry("routes4", {"vrf": Exact(1)}), "routes4.*no action"),
        (TableEntry("routes4", {"vrf": Exact(1)}, GroupRef(1)), "group 1: the table has no action profile"),
        (
            TableEntry("routes4", {"vrf": Exact(1)}, Action("deliver", {"port": 1})),
            "deliver: .*'mark' is missing",
        ),
        (
            TableEntry("routes4", {"vrf": Exact(1)}, Action("deliver", {"port": 512, "mark": 0})),
            "port = 0x200: does not fit 9 bits",
        ),
        (
            TableEntry("routes4", {"vrf": Exact(1)}, DROP, meter=MeterConfig(1, 1, 1, 1)),
            "meter = .*: the table has no direct meter",
        ),
        (TableEntry("routes4", {"vrf": Exact(1)}, DROP, is_default=True), "neither match nor priority"),
        (
            TableEntry("ports", {"port": Exact(1), "vrf": Exact(1)}, Action("NoAction")),
            "NoAction.*action of an entry",
        ),
        (TableEntry.default("ports", Action("NoAction")), "ports.*fixes the default action"),
        (TableEntry.default("nexthops", DELIVER), "nexthops.*refers to members"),
        (TableEntry("reserved", {}, DROP, priority=1), "reserved.*fixes the entries"),
        (TableEntry("nexthops", {"nexthop": Exact(1)}, DELIVER), "refers to members of .*nexthop_selector"),
        (TableEntry("nexthops", {"nexthop": Exact(1)}, ActionSet([])), "empty action set"),
        (
            TableEntry("nexthops", {"nexthop": Exact(1)}, ActionSet([WeightedAction(DELIVER, 0)])),
            "weight is not at least 1",
        ),
        (TableEntry("tags", {"tos": Exact(1)}, GroupRef(1)), "tag_profile is an action profile without a selector"),
        (ActionProfileMember("tag_profile", 0, Action("tag", {"value": 1})), "member_id = 0"),
        (ActionProfileMember("tag_profile", 1), "no action"),
        (ActionProfileMember("tag_profile", 1, DELIVER), "no table of the profile has this action"),
        (ActionProfileGroup("tag_profile", 1), "has no selector"),
        (ActionProfileGroup("nexthop_selector", 0), "group_id = 0"),
        (ActionProfileGroup("nexthop_selector", 1, [GroupMember(1, 0)]), "member 1: weight = 0"),
        (ActionProfileGroup("nexthop_selector", 1, [GroupMember(1), GroupMember(1)]), "member 1: .*given twice"),
        (MulticastGroup(0), "group_id = 0"),
        (MulticastGroup(1, [Replica(-1)]), "multicast group 1.*-1"),
        (CloneSession(0), "session_id = 0"),
        (MeterCell("vrf_rate", 16), r"vrf_rate\[16\]: index = 16: is not within 0\.\.15"),
        (CounterCell("vrf_packets", -1), "index = -1"),
        (RegisterCell("seen", 0, 1 << 32), r"seen\[0\]: 0x100000000 does not fit bit<32>"),
        (ValueSet("tunnel_types", [{"field1": Exact(n)} for n in range(5)]), "5 members: it has room for 4"),
        (DirectCounter(TableEntry("acl", {}, priority=1)), "acl.*no direct counter"),
    ],
)
def test_what_does_not_fit_is_one_error_that_names_it(entity: Entity, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        CODEC.encode(entity)


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (TableEntry("routs4", {}, DROP), "unknown table 'routs4'.*routes4"),
        (TableEntry("routes4", {"vfr": Exact(1)}, DROP), "unknown match field 'vfr' in CatalogueIngress.routes4.*vrf"),
        (TableEntry("routes4", {"vrf": Exact(1)}, Action("copy_to_cpu")), "unknown action 'copy_to_cpu' in .*routes4"),
        (TableEntry("routes4", {"vrf": Exact(1)}, Action("drop", {"x": 1})), "unknown parameter 'x' in .*drop"),
        (ActionProfileMember("selector", 1, DROP), "unknown action profile 'selector'"),
        (DigestConfig("learn"), "unknown digest 'learn'.*learn_t"),
        (MeterCell("vrf", 1), "unknown meter 'vrf'"),
        (CounterCell("vrf", 1), "unknown counter 'vrf'"),
        (ValueSet("types", []), "unknown value set 'types'"),
    ],
)
def test_what_is_unknown_is_named_with_what_is_near(entity: Entity, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        CODEC.encode(entity)
    assert issubclass(UnknownNameError, P4RuntimeError)


def test_no_entity_is_no_entity() -> None:
    with pytest.raises(EncodingError, match="is a str, not an entity"):
        CODEC.encode("routes4")  # type: ignore[arg-type]


def test_what_a_switch_says_beyond_the_p4info_is_an_error_that_names_it() -> None:
    entry = TableEntry("routes4", {"vrf": Exact(1)}, DELIVER)
    cases = []
    for change in (
        lambda e: setattr(e.table_entry, "table_id", 5),
        lambda e: setattr(e.table_entry.match[0], "field_id", 5),
        lambda e: setattr(e.table_entry.match[0].ternary, "value", b"\1"),
        lambda e: setattr(e.table_entry.match[0].exact, "value", b""),
        lambda e: setattr(e.table_entry.action.action, "action_id", 5),
        lambda e: setattr(e.table_entry.action.action.params[0], "param_id", 5),
        lambda e: e.table_entry.action.action.params.pop(),
    ):
        message = wire(entry)
        change(message)
        cases.append(message)
    cases.append(p4runtime_pb2.Entity())
    for message in cases:
        with pytest.raises(DecodingError):
            CODEC.decode(message)
        assert isinstance(CODEC.describe(message), str)


@given(st.binary(max_size=80))
def test_whatever_a_switch_sends_is_an_entity_or_a_decoding_error(data: bytes) -> None:
    message = p4runtime_pb2.Entity()
    with suppress(DecodeError):
        message.ParseFromString(data)
    with suppress(DecodingError):
        assert CODEC.describe(message) == str(CODEC.decode(message))
