"""Random entities of a program, and random states of a switch that refer to nothing missing."""

from __future__ import annotations

from hypothesis import strategies as st

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef, WeightedAction
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    DigestConfig,
    GroupMember,
    MeterCell,
    MeterConfig,
    MulticastGroup,
    Replica,
    State,
    TableEntry,
    ValueSet,
)
from controller.p4rt.matches import Exact, Lpm, Match, Optional, Range, Ternary
from controller.p4rt.p4info import ActionProfile, ActionRef, Cells, MatchField, MatchKind, P4Info, Table
from controller.p4rt.p4info import ValueSet as ValueSetInfo


def bits(width: int) -> st.SearchStrategy[int]:
    """Numbers of `width` bits, often at the edges."""
    top = (1 << width) - 1
    return st.sampled_from([0, 1, top, top - 1, 1 << (width - 1)]) | st.integers(0, top)


@st.composite
def matches(draw: st.DrawFn, field: MatchField) -> Match | None:
    """A match of a field, None for one that accepts everything."""
    match field.kind:
        case MatchKind.EXACT:
            return Exact(draw(bits(field.width)))
        case MatchKind.LPM:
            length = draw(st.integers(0, field.width))
            prefix = draw(bits(length)) if length else 0
            return Lpm(prefix << (field.width - length), length) if length else None
        case MatchKind.TERNARY:
            mask = draw(bits(field.width))
            return Ternary(draw(bits(field.width)) & mask, mask) if mask else None
        case MatchKind.RANGE:
            low, high = sorted((draw(bits(field.width)), draw(bits(field.width))))
            return None if (low, high) == (0, (1 << field.width) - 1) else Range(low, high)
        case MatchKind.OPTIONAL:
            return draw(st.none() | bits(field.width).map(Optional))


@st.composite
def calls(draw: st.DrawFn, refs: list[ActionRef]) -> Action:
    """A call of one of the actions of a table."""
    info = draw(st.sampled_from(refs)).action
    return Action(info.name, {param.name: draw(bits(param.width)) for param in info.params})


@st.composite
def meter_configs(draw: st.DrawFn) -> MeterConfig:
    return MeterConfig(*(draw(st.integers(1, 1 << 31)) for _ in range(4)))


watch_ports = st.none() | st.integers(1, 511)


@st.composite
def table_entries(draw: st.DrawFn, info: P4Info, table: Table) -> TableEntry:
    """An entry of a table, or its default entry where it may be set."""
    if table.default_is_settable and draw(st.integers(0, 7)) == 0:
        return TableEntry.default(table.name, draw(calls([ref for ref in table.actions if ref.as_default])))
    drawn = {field.name: draw(matches(field)) for field in table.fields}
    usable = [ref for ref in table.actions if ref.in_entries]
    action: Action | ActionSet | GroupRef | MemberRef
    if table.profile is None:
        action = draw(calls(usable))
    elif table.profile.with_selector:
        weighted = st.builds(WeightedAction, calls(usable), st.integers(1, 9), watch_ports)
        sets = st.lists(weighted, min_size=1, max_size=4).map(ActionSet)
        numbers = st.integers(1, 1 << 31)
        action = draw(sets | numbers.map(GroupRef) | numbers.map(MemberRef))
    else:
        action = MemberRef(draw(st.integers(1, 1 << 31)))
    return TableEntry(
        table.name,
        {name: match for name, match in drawn.items() if match is not None},
        action,
        priority=draw(st.integers(1, (1 << 31) - 1)) if table.needs_priority else 0,
        meter=draw(st.none() | meter_configs()) if table.direct_meter_id else None,
        idle_timeout_ns=draw(st.integers(0, 1 << 40)) if table.idle_timeout else 0,
        metadata=draw(st.binary(max_size=4)),
    )


def members(info: P4Info, profile: ActionProfile) -> st.SearchStrategy[ActionProfileMember]:
    """A member of a profile."""
    refs = list(info.tables.by_id(profile.table_ids[0]).actions)
    return st.builds(ActionProfileMember, st.just(profile.name), st.integers(1, 1 << 31), calls(refs))


def groups(profile: ActionProfile) -> st.SearchStrategy[ActionProfileGroup]:
    """A group of a profile, of members that need not exist."""
    group_members = st.builds(GroupMember, st.integers(1, 1 << 31), st.integers(1, 99), watch_ports)
    return st.builds(
        ActionProfileGroup,
        st.just(profile.name),
        st.integers(1, 1 << 31),
        st.lists(group_members, max_size=5, unique_by=lambda member: member.member_id),
        st.integers(0, 1 << 10),
    )


replicas = st.frozensets(st.builds(Replica, st.integers(0, 511), st.integers(0, 65535)), max_size=5)


def entities(info: P4Info) -> st.SearchStrategy[State]:
    """Any reconcilable entity of the program, under its full names."""
    kinds: list[st.SearchStrategy[State]] = []
    kinds += [table_entries(info, table) for table in info.tables if not table.is_const]
    kinds += [members(info, profile) for profile in info.action_profiles]
    kinds += [groups(profile) for profile in info.action_profiles if profile.with_selector]
    kinds += [digest_configs(digest.name) for digest in info.digests]
    kinds += [meter_cells(meter) for meter in info.meters]
    kinds += [value_sets(values) for values in info.value_sets]
    kinds.append(st.builds(MulticastGroup, st.integers(1, 32767), replicas))
    kinds.append(st.builds(CloneSession, st.integers(1, 32767), replicas, st.integers(0, 7), st.integers(0, 9000)))
    return st.one_of(kinds)


def digest_configs(name: str) -> st.SearchStrategy[DigestConfig]:
    times = st.integers(0, 1 << 40)
    return st.builds(DigestConfig, st.just(name), times, st.integers(0, 1000), times)


def meter_cells(meter: Cells) -> st.SearchStrategy[MeterCell]:
    return st.builds(MeterCell, st.just(meter.name), st.integers(0, meter.size - 1), meter_configs())


def value_sets(info: ValueSetInfo) -> st.SearchStrategy[ValueSet]:
    (field,) = info.fields
    wanted = st.frozensets(bits(field.width), min_size=1, max_size=info.size)
    return wanted.map(lambda numbers: ValueSet(info.name, [{field.name: Exact(number)} for number in numbers]))


_SELECTOR = "CatalogueIngress.nexthop_selector"


@st.composite
def states(draw: st.DrawFn) -> dict[object, State]:
    """A state of the catalogue's switch: few keys, so that two states overlap, and no dangling reference."""
    mark = st.integers(1, 3)
    found: list[State] = []
    member_ids = draw(st.sets(st.integers(1, 4)))
    for member_id in member_ids:
        call = Action("CatalogueIngress.deliver", {"port": 1, "mark": draw(mark)})
        found.append(ActionProfileMember(_SELECTOR, member_id, call))
    group_ids = draw(st.sets(st.integers(1, 3))) if member_ids else set()
    for group_id in group_ids:
        chosen = draw(st.sets(st.sampled_from(sorted(member_ids)), min_size=1))
        weighted = [GroupMember(member_id, draw(st.integers(1, 2))) for member_id in chosen]
        found.append(ActionProfileGroup(_SELECTOR, group_id, weighted))
    targets = [MemberRef(number) for number in member_ids] + [GroupRef(number) for number in group_ids]
    if targets:
        for nexthop in draw(st.sets(st.integers(1, 3))):
            target = draw(st.sampled_from(targets))
            found.append(TableEntry("CatalogueIngress.nexthops", {"nexthop": Exact(nexthop)}, target))
    for length in draw(st.sets(st.sampled_from([0, 8, 32]))):
        match: dict[str, Match] = {"vrf": Exact(1), "dst": Lpm(0x0A000000, length)}
        if length == 0:
            del match["dst"]
        found.append(TableEntry("CatalogueIngress.routes4", match, _deliver(draw(mark))))
    for priority in draw(st.sets(st.integers(1, 3))):
        call = Action("CatalogueIngress.copy_to_cpu", {"mark": draw(mark)})
        found.append(TableEntry("CatalogueIngress.acl", {"src": Ternary(2, 2)}, call, priority=priority))
    if draw(st.booleans()):
        found.append(TableEntry.default("CatalogueIngress.routes6", _deliver(draw(mark))))
    for group_id in draw(st.sets(st.integers(1, 3))):
        found.append(MulticastGroup(group_id, [Replica(draw(mark), 1)]))
    if draw(st.booleans()):
        found.append(CloneSession(7, [Replica(draw(mark), 1)]))
    if draw(st.booleans()):
        found.append(DigestConfig("learn_t", draw(mark)))
    return {entity.key(): entity for entity in found}


def _deliver(mark: int) -> Action:
    return Action("CatalogueIngress.deliver", {"port": 1, "mark": mark})
