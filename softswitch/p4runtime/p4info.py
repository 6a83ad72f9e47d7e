"""Whether a P4Info is whole: ids unique and of the right kind, every reference leads somewhere.

What the P4Info promises about the program is compared with the program in `binding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from p4.config.v1 import p4info_pb2

from softswitch.p4runtime.errors import invalid_argument

_ARCHITECTURES: Final = ("", "v1model")
_MAX_MULTICAST_GROUPS: Final = 0xFFFF

Prefix = p4info_pb2.P4Ids.Prefix


class _Named(Protocol):
    @property
    def preamble(self) -> p4info_pb2.Preamble: ...


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """A repeated field of P4Info: what one element is called and the top octet of its id (0: not laid down)."""

    noun: str
    prefix: int
    objects: Sequence[_Named]


def check_p4info(p4info: p4info_pb2.P4Info) -> None:
    """Lets a whole P4Info pass.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming the entity and what is wrong with it.
    """
    package = p4info.pkg_info
    if package.arch not in _ARCHITECTURES:
        raise invalid_argument(f"P4Info: pkg_info.arch is {package.arch!r}, this switch runs v1model programs")
    wanted = package.platform_properties.multicast_group_table_size
    if wanted > _MAX_MULTICAST_GROUPS:
        raise invalid_argument(
            f"P4Info: platform_properties.multicast_group_table_size is {wanted}, "
            f"this switch has {_MAX_MULTICAST_GROUPS} multicast groups"
        )
    names = _check_preambles(list(_kinds(p4info)))
    for action in p4info.actions:
        _check_numbers(action.params, f"action {action.preamble.name}", "parameter")
    for value_set in p4info.value_sets:
        _check_numbers(value_set.match, f"value set {value_set.preamble.name}", "match field")
    for table in p4info.tables:
        _check_table(table, p4info, names)
    for profile in p4info.action_profiles:
        _check_profile(profile, p4info)
    for direct in _direct_resources(p4info):
        owner = next((t for t in p4info.tables if t.preamble.id == direct.direct_table_id), None)
        if owner is None or direct.preamble.id not in owner.direct_resource_ids:
            raise invalid_argument(
                f"P4Info: {direct.preamble.name}: direct_table_id {direct.direct_table_id} "
                "is not a table that has this direct resource"
            )
    for header in p4info.controller_packet_metadata:
        _check_numbers(header.metadata, f"controller header {header.preamble.name}", "metadata")


def _direct_resources(p4info: p4info_pb2.P4Info) -> list[p4info_pb2.DirectCounter | p4info_pb2.DirectMeter]:
    return [*p4info.direct_counters, *p4info.direct_meters]


def _kinds(p4info: p4info_pb2.P4Info) -> Iterator[_Kind]:
    yield _Kind("table", Prefix.TABLE, p4info.tables)
    yield _Kind("action", Prefix.ACTION, p4info.actions)
    yield _Kind("action profile", Prefix.ACTION_PROFILE, p4info.action_profiles)
    yield _Kind("counter", Prefix.COUNTER, p4info.counters)
    yield _Kind("direct counter", Prefix.DIRECT_COUNTER, p4info.direct_counters)
    yield _Kind("meter", Prefix.METER, p4info.meters)
    yield _Kind("direct meter", Prefix.DIRECT_METER, p4info.direct_meters)
    yield _Kind("controller header", 0, p4info.controller_packet_metadata)
    yield _Kind("value set", Prefix.VALUE_SET, p4info.value_sets)
    yield _Kind("register", Prefix.REGISTER, p4info.registers)
    yield _Kind("digest", Prefix.DIGEST, p4info.digests)
    for extern in p4info.externs:
        yield _Kind(f"{extern.extern_type_name} extern", extern.extern_type_id, extern.instances)


def _check_preambles(kinds: Iterable[_Kind]) -> dict[int, str]:
    """Every object's name by id."""
    names: dict[int, str] = {}
    for kind in kinds:
        seen: set[str] = set()
        for thing in kind.objects:
            object_id, name = thing.preamble.id, thing.preamble.name
            if not name:
                raise invalid_argument(f"P4Info: the {kind.noun} with id {object_id} has no name")
            if object_id == 0 or (kind.prefix and object_id >> 24 != kind.prefix):
                raise invalid_argument(f"P4Info: {kind.noun} {name}: 0x{object_id:08x} is not an id of a {kind.noun}")
            if object_id in names:
                raise invalid_argument(
                    f"P4Info: {kind.noun} {name}: the id {object_id} is also that of {names[object_id]}"
                )
            if name in seen:
                raise invalid_argument(f"P4Info: two objects of kind {kind.noun} have the name {name}")
            seen.add(name)
            names[object_id] = name
    return names


def _check_numbers(things: Iterable[_Numbered], owner: str, noun: str) -> None:
    seen: set[int] = set()
    for thing in things:
        if thing.id == 0 or thing.id in seen:
            problem = "0 is not a valid id" if thing.id == 0 else "the id is used twice"
            raise invalid_argument(f"P4Info: {owner}: {noun} id {thing.id}: {problem}")
        seen.add(thing.id)


def _check_table(table: p4info_pb2.Table, p4info: p4info_pb2.P4Info, names: dict[int, str]) -> None:
    where = f"P4Info: table {table.preamble.name}"
    _check_numbers(table.match_fields, f"table {table.preamble.name}", "match field")
    _check_numbers(table.action_refs, f"table {table.preamble.name}", "action_ref")
    actions = {action.preamble.id for action in p4info.actions}
    refs = {ref.id for ref in table.action_refs}
    for missing in refs - actions:
        raise invalid_argument(f"{where}: action_refs names the action id {missing}, which is no action's")
    for field_name, action_id in (
        ("const_default_action_id", table.const_default_action_id),
        ("initial_default_action", table.initial_default_action.action_id),
    ):
        if action_id and action_id not in refs:
            raise invalid_argument(f"{where}: {field_name} {action_id} is not an action of the table")
    profiles = {profile.preamble.id for profile in p4info.action_profiles}
    if table.implementation_id and table.implementation_id not in profiles:
        raise invalid_argument(f"{where}: implementation_id {table.implementation_id} is no action profile's")
    direct = {resource.preamble.id for resource in _direct_resources(p4info)}
    for resource in table.direct_resource_ids:
        if resource not in direct:
            known = names.get(resource, "nothing")
            raise invalid_argument(f"{where}: direct resource {resource} is {known}, no direct counter or meter")


def _check_profile(profile: p4info_pb2.ActionProfile, p4info: p4info_pb2.P4Info) -> None:
    where = f"P4Info: action profile {profile.preamble.name}"
    users = {t.preamble.id for t in p4info.tables if t.implementation_id == profile.preamble.id}
    if users != set(profile.table_ids):
        raise invalid_argument(
            f"{where}: table_ids are {sorted(profile.table_ids)}, the tables implemented with it are {sorted(users)}"
        )
    if profile.weights_disallowed and not profile.with_selector:
        raise invalid_argument(f"{where}: weights_disallowed is for action selectors only")
    if profile.size > 0 and profile.max_group_size > profile.size:
        raise invalid_argument(f"{where}: max_group_size {profile.max_group_size} is larger than size {profile.size}")
    action_sets = {frozenset(r.id for r in t.action_refs) for t in p4info.tables if t.preamble.id in users}
    if len(action_sets) > 1:
        raise invalid_argument(f"{where}: the tables implemented with it have different actions")
