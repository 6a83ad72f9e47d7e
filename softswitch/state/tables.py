"""Match-action tables: entries, their validation and the default entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from softswitch.program.actions import ActionDef
from softswitch.program.match import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary, prefix_mask
from softswitch.program.pipeline import KeyDef, TableDef
from softswitch.program.stateful import MeterDef
from softswitch.state.entries import ActionCall, Entry, GroupRef, MemberRef, Target
from softswitch.state.errors import AlreadyExists, ConstTable, InvalidEntry, NotFound, TableFull
from softswitch.state.handles import Handles
from softswitch.state.lookup import ExactLookup, Key, Lookup, LpmLookup, RangeLookup, TernaryLookup
from softswitch.state.memory import CELL_WORDS, METER_WORDS, CellPool
from softswitch.state.meters import MeterCell
from softswitch.state.observers import TableObserver
from softswitch.state.profiles import ActionProfile

MAX_PRIORITY = (1 << 31) - 1


def check_call(where: str, action: ActionDef | None, call: ActionCall) -> None:
    """InvalidEntry unless the parameters fit the action."""
    if action is None:
        raise InvalidEntry(f"{where} has no action {call.name}")
    if len(call.params) != len(action.params):
        raise InvalidEntry(f"{where}: action {call.name} takes {len(action.params)} parameters, got {len(call.params)}")
    for param, value in zip(action.params, call.params, strict=True):
        if not 0 <= value < 1 << param.width:
            raise InvalidEntry(f"{where}: action {call.name}: {param.name} = {value} does not fit {param.width} bits")


def _make_lookup(definition: TableDef) -> Lookup:
    widths = [key.width for key in definition.keys]
    match definition.match_type:
        case "exact":
            return ExactLookup()
        case "lpm":
            return LpmLookup(widths, [key.match_type for key in definition.keys].index("lpm"))
        case "ternary":
            return TernaryLookup(widths)
        case "range":
            return RangeLookup(widths)


class Table:
    """A table and its entries. An entry is identified by its match and, where it has one, its priority."""

    def __init__(
        self,
        definition: TableDef,
        profile: ActionProfile | None,
        meter: MeterDef | None,
        clock: Callable[[], int],
    ) -> None:
        self.definition = definition
        self.name = definition.name
        self.profile = profile
        self._meter = meter
        self._clock = clock
        self._prioritised = definition.match_type in ("ternary", "range")
        self._immutable = definition.const_entries is not None
        self._entries: dict[tuple[Match, int], Entry] = {}
        self._reported_idle: set[Entry] = set()
        self._handles = Handles()
        self._cells = CellPool(CELL_WORDS + (METER_WORDS if meter is not None else 0))
        self.observer: TableObserver | None = None
        self._lookup = _make_lookup(definition)
        declared = definition.default_entry
        self._program_default = ActionCall(declared.action.name, declared.arguments) if declared else None
        self.default: Target | None = self._program_default
        # In the JSON the smallest number wins. The last entry gets 1, so clients can add entries that win over them.
        top = 1 + max((const.priority for const in definition.const_entries or ()), default=0)
        for const in definition.const_entries or ():
            rank = top - const.priority if self._prioritised else 0
            self._insert(const.match, ActionCall(const.action.name, const.arguments), rank, 0)

    @property
    def immutable(self) -> bool:
        """Whether the entries are constant: those that the program brings along are, unless it is told otherwise."""
        return self._immutable

    def release_entries(self) -> None:
        """The program's entries are ordinary ones: `entries`, not `const entries`. bmv2 JSON does not tell which."""
        self._immutable = False

    def insert(self, match: Match, target: Target, priority: int = 0, *, idle_timeout_ns: int = 0) -> Entry:
        """Add an entry. AlreadyExists, TableFull, ConstTable, NotFound (member or group), InvalidEntry."""
        self._check_mutable()
        return self._insert(match, target, priority, idle_timeout_ns)

    def modify(self, match: Match, target: Target, priority: int = 0, *, idle_timeout_ns: int | None = None) -> Entry:
        """Change the target, and the idle timeout if given. NotFound, ConstTable, InvalidEntry."""
        self._check_mutable()
        entry = self.get(match, priority)
        self._check_target(target)
        self._check_timeout(idle_timeout_ns or 0)
        if self.profile is not None:
            self.profile.retain(target)
            self.profile.release(entry.target)
        entry.target = target
        if self.observer is not None:
            self.observer.retargeted(entry)
        if idle_timeout_ns is not None:
            entry.idle_timeout_ns = idle_timeout_ns
            entry.last_hit_ns = self._clock()
        return entry

    def delete(self, match: Match, priority: int = 0) -> None:
        """Remove an entry. NotFound, ConstTable, InvalidEntry."""
        self._check_mutable()
        self._remove(self.get(match, priority))

    def get(self, match: Match, priority: int = 0) -> Entry:
        """NotFound, InvalidEntry."""
        canonical = self._canonical(match)
        self._check_priority(priority)
        entry = self._entries.get((canonical, priority))
        if entry is None:
            raise NotFound(f"table {self.name}: no entry {canonical} of priority {priority}")
        return entry

    def entries(self) -> Iterator[Entry]:
        """All entries. Keys of JSON type ternary come back as Ternary, however they were given."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Remove every entry, or set back the counters of constant ones, and restore the program's default."""
        for entry in list(self._entries.values()):
            if not self._immutable:
                self._remove(entry)
            else:
                entry.packets = entry.bytes = 0
        self.set_default(None)

    def set_default(self, target: Target | None) -> None:
        """Set what happens on a miss; None restores the program's default. ConstTable, InvalidEntry."""
        declared = self.definition.default_entry
        if target is not None:
            self._check_target(target)
            if declared is not None and declared.action_const:
                const = ActionCall(declared.action.name, declared.arguments)
                same_action = isinstance(target, ActionCall) and target.name == const.name
                if not same_action or (declared.entry_const and target != const):
                    raise ConstTable(f"table {self.name}: the default action {const.name} is constant")
        if self.profile is not None:
            if target is not None:
                self.profile.retain(target)
            if self.default is not None and not isinstance(self.default, ActionCall):
                self.profile.release(self.default)
        self.default = target if target is not None else self._program_default
        if self.observer is not None:
            self.observer.defaulted()

    def find(self, key: Key) -> Entry | None:
        """The entry that wins for a packet's key; see :mod:`softswitch.state.lookup`."""
        return self._lookup.find(key)

    def sweep_idle(self, now_ns: int) -> list[Entry]:
        """Entries idle for their timeout or longer, leaving out those the previous sweep returned."""
        idle = [e for e in self._entries.values() if 0 < e.idle_timeout_ns <= now_ns - e.last_hit_ns]
        reported = [e for e in idle if e not in self._reported_idle]
        self._reported_idle = set(reported)
        return reported

    def _insert(self, match: Match, target: Target, priority: int, idle_timeout_ns: int) -> Entry:
        if not self.definition.keys:
            raise InvalidEntry(f"table {self.name} has no key, so it has only a default entry")
        canonical = self._canonical(match)
        self._check_priority(priority)
        self._check_target(target)
        self._check_timeout(idle_timeout_ns)
        if (canonical, priority) in self._entries:
            raise AlreadyExists(f"table {self.name}: entry {canonical} of priority {priority} exists")
        if len(self._entries) >= self.definition.max_size:
            raise TableFull(f"table {self.name}: all {self.definition.max_size} entries are in use")
        if self.profile is not None:
            self.profile.retain(target)
        now = self._clock()
        handle = self._handles.allocate()
        cell = self._cells.cell(handle)
        cell.fill([0] * self._cells.words)
        meter = None if self._meter is None else MeterCell(self._meter.unit, now, cell.part(CELL_WORDS))
        entry = Entry(canonical, priority, target, handle, cell, meter)
        entry.idle_timeout_ns, entry.last_hit_ns = idle_timeout_ns, now
        self._entries[canonical, priority] = entry
        self._lookup.insert(entry)
        if self.observer is not None:
            self.observer.inserted(entry)
        return entry

    def _remove(self, entry: Entry) -> None:
        self._lookup.remove(entry)
        if self.observer is not None:
            self.observer.removed(entry)
        entry.detach(self._cells.words)
        del self._entries[entry.match, entry.priority]
        self._handles.release(entry.handle)
        self._reported_idle.discard(entry)
        if self.profile is not None:
            self.profile.release(entry.target)

    def _check_mutable(self) -> None:
        if self._immutable:
            raise ConstTable(f"table {self.name}: the entries are constant")

    def _check_priority(self, priority: int) -> None:
        if self._prioritised and not 0 <= priority <= MAX_PRIORITY:
            raise InvalidEntry(f"table {self.name}: priority {priority} not in 0..{MAX_PRIORITY}")
        if not self._prioritised and priority != 0:
            raise InvalidEntry(f"table {self.name}: an entry of this table has no priority, got {priority}")

    def _check_timeout(self, idle_timeout_ns: int) -> None:
        if idle_timeout_ns < 0:
            raise InvalidEntry(f"table {self.name}: idle timeout {idle_timeout_ns} is negative")
        if idle_timeout_ns and not self.definition.support_timeout:
            raise InvalidEntry(f"table {self.name} does not support idle timeouts")

    def _check_target(self, target: Target) -> None:
        match self.definition.type, target:
            case "simple", ActionCall():
                check_call(f"table {self.name}", self.definition.actions.get(target.name), target)
            case "indirect" | "indirect_ws", MemberRef():
                assert self.profile is not None
                self.profile.get_member(target.id)
            case "indirect_ws", GroupRef():
                assert self.profile is not None
                self.profile.get_group(target.id)
            case kind, _:
                raise InvalidEntry(f"table {self.name} of type {kind} takes no {type(target).__name__}")

    def _canonical(self, match: Match) -> Match:
        """The match with every field in the form its key is looked up by, and don't-care bits zero."""
        keys = self.definition.keys
        if len(match) != len(keys):
            raise InvalidEntry(f"table {self.name}: key has {len(keys)} fields, got {len(match)}")
        return tuple(self._canonical_field(key, wanted) for key, wanted in zip(keys, match, strict=True))

    def _canonical_field(self, key: KeyDef, wanted: MatchValue) -> MatchValue:
        ones = (1 << key.width) - 1
        match key.match_type, wanted:
            case (("exact" | "valid"), Exact(value)) if 0 <= value <= ones:
                return wanted if key.mask is None else Exact(value & key.mask)
            case "lpm", Lpm(value, length) if 0 <= value <= ones and 0 <= length <= key.width:
                return Lpm(value & prefix_mask(length, key.width), length)
            case (("ternary" | "optional"), Ternary(value, mask)) if 0 <= value <= ones and 0 <= mask <= ones:
                return Ternary(value & mask, mask)
            case (("ternary" | "optional"), Optional_(None)):
                return Ternary(0, 0)
            case (("ternary" | "optional"), Optional_(int(value))) if 0 <= value <= ones:
                return Ternary(value, ones)
            case "range", Range(low, high) if 0 <= low <= high <= ones:
                return wanted
        raise InvalidEntry(
            f"table {self.name}: {wanted} does not fit key {key.name} ({key.match_type}, {key.width} bits)"
        )
