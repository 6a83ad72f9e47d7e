"""What a controller wants to be on a switch, and what it reads there, as immutable values.

Entities name P4 objects by full name or unambiguous suffix and hold plain integers, so they can be written
down, compared and hashed without a P4Info; `controller.p4rt.codec` translates them to and from protobuf.
Two entities with equal `key()` are the same thing on the switch, perhaps in different states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.p4rt.actions import Action, TableAction
from controller.p4rt.matches import Match, matches_all
from controller.p4rt.values import FrozenMap

Key = tuple[object, ...]
"""What tells one entity from another."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Rates and bursts of a meter (RFC 2698, RFC 2697).

    Attributes:
        cir: committed rate, units (octets or packets) per second; `cburst`: its burst in units.
        pir: peak rate, units per second; `pburst`: its burst in units.
        eburst: excess burst in units, of single-rate meters only.
    """

    cir: int
    cburst: int
    pir: int
    pburst: int
    eburst: int = 0


@dataclass(frozen=True, slots=True, init=False)
class TableEntry:
    """An entry of a table, or its default entry.

    Fields that may have any value are left out of `match`; an LPM of length 0 and a ternary mask of 0 are
    dropped from it.

    Attributes:
        priority: larger wins; at least 1 for tables with a ternary, range or optional field, else 0.
        meter: configuration of the entry's direct meter; None: its default, which marks all green.
        idle_timeout_ns: nanoseconds after which the switch reports the entry as unused; 0: never.
        metadata: octets the switch keeps with the entry.
        is_default: this is the entry for packets which no other matches; it has no match and no priority.
    """

    table: str
    match: FrozenMap[Match]
    action: TableAction | None
    priority: int
    meter: MeterConfig | None
    idle_timeout_ns: int
    metadata: bytes
    is_default: bool

    def __init__(
        self,
        table: str,
        match: Mapping[str, Match] | None = None,
        action: TableAction | None = None,
        *,
        priority: int = 0,
        meter: MeterConfig | None = None,
        idle_timeout_ns: int = 0,
        metadata: bytes = b"",
        is_default: bool = False,
    ) -> None:
        put = object.__setattr__
        put(self, "table", table)
        put(self, "match", FrozenMap({n: m for n, m in (match or {}).items() if not matches_all(m)}))
        put(self, "action", action)
        put(self, "priority", priority)
        put(self, "meter", meter)
        put(self, "idle_timeout_ns", idle_timeout_ns)
        put(self, "metadata", metadata)
        put(self, "is_default", is_default)

    @classmethod
    def default(cls, table: str, action: Action) -> TableEntry:
        """What the table does with packets that match no entry."""
        return cls(table, action=action, is_default=True)

    def key(self) -> Key:
        """Which entry it is, whatever it does."""
        return (TableEntry, self.table, self.match, self.priority, self.is_default)

    def with_action(self, action: TableAction) -> TableEntry:
        """The same entry doing something else."""
        return replace(self, action=action)

    def __str__(self) -> str:
        match = "default" if self.is_default else ", ".join(f"{n}={m}" for n, m in self.match.items())
        priority = f" priority {self.priority}" if self.priority else ""
        return f"{self.table}[{match}]{priority}{f' -> {self.action}' if self.action else ''}"


@dataclass(frozen=True, slots=True)
class ActionProfileMember:
    """An action of an action profile, under a number."""

    profile: str
    member_id: int
    action: Action | None = None

    def key(self) -> Key:
        """Which member it is."""
        return (ActionProfileMember, self.profile, self.member_id)

    def __str__(self) -> str:
        return f"{self.profile} member {self.member_id}{f' -> {self.action}' if self.action else ''}"


@dataclass(frozen=True, slots=True, order=True)
class GroupMember:
    """A member's place in a group; weight and watch port as in `WeightedAction`."""

    member_id: int
    weight: int = 1
    watch_port: int | None = None


@dataclass(frozen=True, slots=True, init=False)
class ActionProfileGroup:
    """A set of members between which the selector picks.

    Attributes:
        members: in the order of their ids.
        max_size: the largest sum of weights the group will ever have, fixed when it is inserted; 0: as large
            as the program allows.
    """

    profile: str
    group_id: int
    members: tuple[GroupMember, ...]
    max_size: int

    def __init__(self, profile: str, group_id: int, members: Iterable[GroupMember] = (), max_size: int = 0) -> None:
        object.__setattr__(self, "profile", profile)
        object.__setattr__(self, "group_id", group_id)
        object.__setattr__(self, "members", tuple(sorted(members, key=lambda member: member.member_id)))
        object.__setattr__(self, "max_size", max_size)

    def key(self) -> Key:
        """Which group it is."""
        return (ActionProfileGroup, self.profile, self.group_id)

    def __str__(self) -> str:
        members = ", ".join(f"{member.weight}*{member.member_id}" for member in self.members)
        return f"{self.profile} group {self.group_id} [{members}]"


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """One copy that the replication engine makes.

    Attributes:
        port: egress port.
        instance: tells the copies apart in egress (bmv2: ``egress_rid``).
    """

    port: int
    instance: int = 0


@dataclass(frozen=True, slots=True, init=False)
class MulticastGroup:
    """A multicast group; the id is at least 1, on bmv2 below 32768."""

    group_id: int
    replicas: frozenset[Replica]

    def __init__(self, group_id: int, replicas: Iterable[Replica] = ()) -> None:
        object.__setattr__(self, "group_id", group_id)
        object.__setattr__(self, "replicas", frozenset(replicas))

    def key(self) -> Key:
        """Which group it is."""
        return (MulticastGroup, self.group_id)

    def __str__(self) -> str:
        copies = ", ".join(f"{replica.port}#{replica.instance}" for replica in sorted(self.replicas))
        return f"multicast group {self.group_id} [{copies}]"


@dataclass(frozen=True, slots=True, init=False)
class CloneSession:
    """Where clones go.

    Attributes:
        session_id: at least 1.
        class_of_service: of the clones; bmv2 knows only 0.
        packet_length: clones are cut to this number of octets; 0: not cut, all that bmv2 can.
    """

    session_id: int
    replicas: frozenset[Replica]
    class_of_service: int
    packet_length: int

    def __init__(
        self,
        session_id: int,
        replicas: Iterable[Replica] = (),
        class_of_service: int = 0,
        packet_length: int = 0,
    ) -> None:
        object.__setattr__(self, "session_id", session_id)
        object.__setattr__(self, "replicas", frozenset(replicas))
        object.__setattr__(self, "class_of_service", class_of_service)
        object.__setattr__(self, "packet_length", packet_length)

    def key(self) -> Key:
        """Which session it is."""
        return (CloneSession, self.session_id)

    def __str__(self) -> str:
        copies = ", ".join(f"{replica.port}#{replica.instance}" for replica in sorted(self.replicas))
        return f"clone session {self.session_id} [{copies}]"


@dataclass(frozen=True, slots=True)
class DigestConfig:
    """That, and how, the switch sends a digest.

    Attributes:
        max_timeout_ns: nanoseconds it may collect messages; 0: none, send each at once.
        max_list_size: messages in one list; 0: as many as it likes.
        ack_timeout_ns: nanoseconds it suppresses repeats of what was not acknowledged.
    """

    digest: str
    max_timeout_ns: int = 0
    max_list_size: int = 0
    ack_timeout_ns: int = 0

    def key(self) -> Key:
        """Which digest it configures."""
        return (DigestConfig, self.digest)

    def __str__(self) -> str:
        return f"digest {self.digest}"


@dataclass(frozen=True, slots=True, init=False)
class ValueSet:
    """The members of a parser's value set, each a match by field name."""

    value_set: str
    members: frozenset[FrozenMap[Match]]

    def __init__(self, value_set: str, members: Iterable[Mapping[str, Match]] = ()) -> None:
        object.__setattr__(self, "value_set", value_set)
        object.__setattr__(self, "members", frozenset(FrozenMap(member) for member in members))

    def key(self) -> Key:
        """Which value set it is."""
        return (ValueSet, self.value_set)

    def __str__(self) -> str:
        return f"value set {self.value_set} of {len(self.members)}"


@dataclass(frozen=True, slots=True)
class MeterCell:
    """A cell of a meter array; without `config` it is in its default state, which marks all green."""

    meter: str
    index: int
    config: MeterConfig | None = None

    def key(self) -> Key:
        """Which cell it is."""
        return (MeterCell, self.meter, self.index)

    def __str__(self) -> str:
        return f"{self.meter}[{self.index}]"


State = (
    TableEntry
    | ActionProfileMember
    | ActionProfileGroup
    | MulticastGroup
    | CloneSession
    | DigestConfig
    | ValueSet
    | MeterCell
)
"""What only the controller changes, so that it can be desired and reconciled."""


@dataclass(frozen=True, slots=True)
class CounterData:
    """What a counter has counted; a counter of only one unit leaves the other 0."""

    packets: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class CounterCell:
    """A cell of a counter array."""

    counter: str
    index: int
    data: CounterData = CounterData()

    def key(self) -> Key:
        """Which cell it is."""
        return (CounterCell, self.counter, self.index)

    def __str__(self) -> str:
        return f"{self.counter}[{self.index}]"


@dataclass(frozen=True, slots=True)
class DirectCounter:
    """The counter of a table entry; of `entry` only the key matters."""

    entry: TableEntry
    data: CounterData = CounterData()

    def key(self) -> Key:
        """Whose counter it is."""
        return (DirectCounter, self.entry.key())

    def __str__(self) -> str:
        return f"counter of {self.entry}"


@dataclass(frozen=True, slots=True)
class RegisterCell:
    """A cell of a register; `data` as `controller.p4rt.p4types` describes."""

    register: str
    index: int
    data: object = None

    def key(self) -> Key:
        """Which cell it is."""
        return (RegisterCell, self.register, self.index)

    def __str__(self) -> str:
        return f"{self.register}[{self.index}]"


Volatile = CounterCell | DirectCounter | RegisterCell
"""What the data plane changes too, so that it is read and written, but never reconciled."""

Entity = State | Volatile
