"""Pipelines: action profiles, tables, conditionals, action calls, and the graph they form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from softswitch.program.actions import ActionDef
from softswitch.program.headers import FieldRef, Header
from softswitch.program.load.actions import source_info
from softswitch.program.load.cursor import Cursor
from softswitch.program.load.expressions import bool_expression
from softswitch.program.load.scope import Scope, define, lookup, unique_ids
from softswitch.program.load.stateful import algorithm, calculation_input
from softswitch.program.match import Exact, Lpm, Match, MatchValue, Range, Ternary, prefix_mask
from softswitch.program.pipeline import (
    ActionCallDef,
    ActionProfileDef,
    ConditionalDef,
    ConstEntry,
    CycleError,
    DefaultEntry,
    KeyDef,
    NextByAction,
    NextByHit,
    NodeDef,
    PipelineDef,
    SelectorDef,
    TableDef,
    TableType,
    in_reverse,
    successors,
)

_MAX_ENTRIES = (1 << 31) - 1
_MAX_PRIORITY = (1 << 31) - 1
_HIT, _MISS = "__HIT__", "__MISS__"


def load_pipelines(document: Cursor, scope: Scope) -> dict[str, PipelineDef]:
    """Pipelines by name. Node names are unique in the whole document."""
    pipelines: dict[str, PipelineDef] = {}
    all_nodes: dict[str, NodeDef] = {}
    for at in unique_ids(document.get("pipelines").items()):
        for profile_at in at.items("action_profiles"):
            define(scope.action_profiles, profile_at, "action profile", _profile(profile_at, scope))
        nodes: dict[str, NodeDef] = {}
        sources: dict[str, Cursor] = {}
        loaders = (("tables", _table), ("conditionals", _conditional), ("action_calls", _action_call))
        for key, load in loaders:
            for node_at in unique_ids(at.items(key)):
                node = load(node_at, scope)
                define(all_nodes, node_at, "control node", node)
                nodes[node.name] = node
                sources[node.name] = node_at
        first_at = at.find("init_table")
        first = lookup(nodes, first_at, "control node").name if first_at else None
        _check_graph(nodes, sources)
        define(pipelines, at, "pipeline", PipelineDef(at.get("name").name(), at.get("id").integer(), first, nodes))
    return pipelines


def _profile(at: Cursor, scope: Scope) -> ActionProfileDef:
    selector_at = at.find("selector")
    selector = None
    if selector_at is not None:
        inputs = tuple(calculation_input(item, scope) for item in selector_at.items("input"))
        selector = SelectorDef(algorithm(selector_at.get("algo")), inputs)
    size = at.get("max_size").integer(0, _MAX_ENTRIES)
    return ActionProfileDef(at.get("name").name(), at.get("id").integer(), size, selector)


def _table(at: Cursor, scope: Scope) -> TableDef:
    kind = _table_type(at.get("type"))
    keys = tuple(_key(key_at, scope) for key_at in at.get("key").items())
    match_type = _match_type(at.get("match_type"), keys)
    actions = _table_actions(at, scope)
    by_id = {action.id: action for action in actions.values()}
    entries_at = at.find("entries")
    if entries_at is not None and kind != "simple":
        raise entries_at.error(f"has entries, which a table of type {kind!r} cannot have")
    entries = _const_entries(entries_at, match_type, keys, by_id) if entries_at is not None else None
    counters_at, timeout_at = at.find("with_counters"), at.find("support_timeout")
    return TableDef(
        name=at.get("name").name(),
        id=at.get("id").integer(),
        match_type=match_type,
        type=kind,
        keys=keys,
        max_size=len(entries) if entries is not None else at.get("max_size").integer(0, _MAX_ENTRIES),
        with_counters=counters_at is not None and counters_at.flag(),
        support_timeout=timeout_at is not None and timeout_at.flag(),
        direct_meter=_direct_meter(at, scope),
        action_profile=_action_profile(at, kind, scope),
        actions=actions,
        default_entry=_default_entry(at, kind, scope, by_id),
        const_entries=entries,
        next=_next(at, actions),
        source=source_info(at),
    )


def _table_type(at: Cursor) -> TableType:
    match at.text():
        case "simple" | "indirect" | "indirect_ws" as kind:
            return kind
    raise at.error("is not a type of table")


def _match_type(at: Cursor, keys: tuple[KeyDef, ...]) -> Literal["exact", "lpm", "ternary", "range"]:
    kinds = [key.match_type for key in keys]
    allowed: set[str] = {"exact", "valid"}
    match at.text():
        case "exact" as found:
            pass
        case "lpm" as found:
            allowed |= {"lpm"}
            if kinds.count("lpm") != 1:
                raise at.error("takes exactly one key field of type 'lpm'")
        case "ternary" as found:
            allowed |= {"lpm", "ternary"}
        case "range" as found:
            allowed |= {"lpm", "ternary", "range"}
        case _:
            raise at.error("is not a type of match")
    if not allowed.issuperset(kinds):
        raise at.error(f"cannot have key fields of types {', '.join(sorted(set(kinds)))}")
    return found


def _key(at: Cursor, scope: Scope) -> KeyDef:
    kind_at, target_at = at.get("match_type"), at.get("target")
    name_at, mask_at = at.find("name"), at.find("mask")
    target: FieldRef | Header
    match kind_at.text():
        case "valid" as kind:
            target = lookup(scope.headers, target_at, "header")
            width = 1
        case "exact" | "lpm" | "ternary" | "range" as kind:
            target = scope.header_field(target_at)
            width = target.width
            if target.field.variable:
                raise target_at.error("is a variable-length field")
        case _:
            raise kind_at.error("is not a type of match")
    mask = mask_at.unsigned_hex(width) if mask_at else None
    return KeyDef(name_at.text() if name_at else target.name, kind, width, target, mask)


def _table_actions(at: Cursor, scope: Scope) -> dict[str, ActionDef]:
    by_id = at.has("action_ids")  # names need not be unique
    actions: dict[str, ActionDef] = {}
    for action_at in at.get("action_ids" if by_id else "actions").items():
        action = _action_by_id(action_at, scope.actions) if by_id else _action_by_name(action_at, scope)
        if action.name in actions:
            raise action_at.error(f"is a second action of name {action.name}")
        actions[action.name] = action
    return actions


def _action_by_id(at: Cursor, known: Mapping[int, ActionDef]) -> ActionDef:
    if at.integer() not in known:
        raise at.error("there is no action of this id here")
    return known[at.integer()]


def _action_by_name(at: Cursor, scope: Scope) -> ActionDef:
    for action in scope.actions.values():
        if action.name == at.text():
            return action
    raise at.error("there is no action of this name")


def _arguments(at: Cursor, action: ActionDef) -> tuple[int, ...]:
    values = at.exactly(len(action.params))
    return tuple(v.hex() & (1 << p.width) - 1 for v, p in zip(values, action.params, strict=True))


def _default_entry(at: Cursor, kind: TableType, scope: Scope, by_id: Mapping[int, ActionDef]) -> DefaultEntry | None:
    entry_at = at.find("default_entry")
    if entry_at is None:
        return None
    action = _action_by_id(entry_at.get("action_id"), by_id)
    action_const, entry_const = (
        found is not None and found.flag()
        for found in (entry_at.find("action_const"), entry_at.find("action_entry_const"))
    )
    if action_const and kind != "simple":
        raise entry_at.error(f"is constant, which a table of type {kind!r} cannot have")
    return DefaultEntry(action, _arguments(entry_at.get("action_data"), action), action_const, entry_const)


def _const_entries(
    at: Cursor, match_type: str, keys: tuple[KeyDef, ...], by_id: Mapping[int, ActionDef]
) -> tuple[ConstEntry, ...]:
    entries: list[ConstEntry] = []
    known: set[tuple[Match, int]] = set()
    for entry_at in at.items():
        entry = _const_entry(entry_at, keys, by_id)
        identity = entry.match, entry.priority if match_type in ("ternary", "range") else 0
        if identity in known:
            raise entry_at.error("has the key of an earlier entry")
        known.add(identity)
        entries.append(entry)
    if entries and not keys:
        raise at.error("has entries, which a table without a key cannot have")
    return tuple(entries)


def _const_entry(at: Cursor, keys: tuple[KeyDef, ...], by_id: Mapping[int, ActionDef]) -> ConstEntry:
    match_at = at.get("match_key").exactly(len(keys))
    action_at = at.get("action_entry")
    action = _action_by_id(action_at.get("action_id"), by_id)
    return ConstEntry(
        tuple(_match_value(m, key) for m, key in zip(match_at, keys, strict=True)),
        at.get("priority").integer(0, _MAX_PRIORITY),
        action,
        _arguments(action_at.get("action_data"), action),
    )


def _match_value(at: Cursor, key: KeyDef) -> MatchValue:
    kind_at = at.get("match_type")
    if kind_at.text() != key.match_type:
        raise kind_at.error(f"is not {key.match_type!r}, the type of this key field")
    match key.match_type:
        case "valid":
            return Exact(int(at.get("key").flag()))
        case "exact":
            value = at.get("key").unsigned_hex(key.width)
            return Exact(value if key.mask is None else value & key.mask)
        case "lpm":
            length = at.get("prefix_length").integer(0, key.width)
            return Lpm(at.get("key").unsigned_hex(key.width) & prefix_mask(length, key.width), length)
        case "ternary":
            mask = at.get("mask").unsigned_hex(key.width)
            return Ternary(at.get("key").unsigned_hex(key.width) & mask, mask)
        case _:
            low, high = at.get("start").unsigned_hex(key.width), at.get("end").unsigned_hex(key.width)
            if low > high:
                raise at.error("is an empty range")
            return Range(low, high)


def _direct_meter(at: Cursor, scope: Scope) -> str | None:
    meter_at = at.find("direct_meters")
    if meter_at is None:
        return None
    meter = lookup(scope.meters, meter_at, "meter array")
    if not meter.direct:
        raise meter_at.error("is not a direct meter array")
    return meter.name


def _action_profile(at: Cursor, kind: TableType, scope: Scope) -> str | None:
    if kind == "simple":
        return None
    profile_at = at.get("action_profile")
    profile = lookup(scope.action_profiles, profile_at, "action profile")
    if kind == "indirect_ws" and profile.selector is None:
        raise profile_at.error("is an action profile without a selector")
    return profile.name


def _next(at: Cursor, actions: Mapping[str, ActionDef]) -> NextByAction | NextByHit:
    next_at = at.get("next_tables")
    names = {name: target.name() if target.value is not None else None for name, target in next_at.members()}
    if _HIT in names or _MISS in names:
        if names.keys() != {_HIT, _MISS}:
            raise next_at.error(f"has one of {_HIT!r} and {_MISS!r} but not just both")
        return NextByHit(names[_HIT], names[_MISS])
    if names.keys() != actions.keys():
        raise next_at.error("does not have just the table's actions as keys")
    miss_at = at.find("base_default_next")
    return NextByAction(
        {action.id: names[name] for name, action in actions.items()}, miss_at.name() if miss_at else None
    )


def _conditional(at: Cursor, scope: Scope) -> ConditionalDef:
    if not at.has("true_next") and not at.has("false_next"):
        at.get("true_next" if "false_next" not in dict(at.members()) else "false_next")
    true_at, false_at = at.find("true_next"), at.find("false_next")
    return ConditionalDef(
        at.get("name").name(),
        at.get("id").integer(),
        bool_expression(at.get("expression"), scope),
        true_at.name() if true_at else None,
        false_at.name() if false_at else None,
        source_info(at),
    )


def _action_call(at: Cursor, scope: Scope) -> ActionCallDef:
    action = _action_by_id(at.get("action_id"), scope.actions)
    if action.params:
        raise at.get("action_id").error(f"is action {action.name}, which takes parameters")
    next_at = at.find("next_node")
    return ActionCallDef(at.get("name").name(), at.get("id").integer(), action, next_at.name() if next_at else None)


def _check_graph(nodes: Mapping[str, NodeDef], sources: Mapping[str, Cursor]) -> None:
    """Every edge ends at a node, and no path comes back, or a packet might never leave the pipeline."""
    for name, node in nodes.items():
        for successor in successors(node):
            if successor not in nodes:
                raise sources[name].error(f"is followed by {successor!r}, which is not in this pipeline")
    try:
        in_reverse(nodes)
    except CycleError as error:
        raise sources[error.args[0]].error("can be reached from itself") from None
