"""Run-time forwarding state, shared by every engine and written by the control plane."""

from softswitch.program.match import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary
from softswitch.state.arrays import CounterArray, CounterValue, RegisterArray
from softswitch.state.digests import DigestConfig, DigestList, DigestStream
from softswitch.state.entries import ActionCall, Entry, GroupRef, MemberRef, Target
from softswitch.state.errors import (
    AlreadyExists,
    ConstTable,
    InUse,
    InvalidEntry,
    NotFound,
    OutOfRange,
    StateError,
    TableFull,
)
from softswitch.state.meters import MeterArray, MeterCell, MeterConfig
from softswitch.state.profiles import ActionProfile, Group, GroupMember, Member
from softswitch.state.replication import (
    CloneSession,
    CloneSessions,
    MulticastGroup,
    MulticastGroups,
    Replica,
)
from softswitch.state.switch_state import SwitchState
from softswitch.state.tables import MAX_PRIORITY, Table
from softswitch.state.valuesets import ValueSet

__all__ = [
    "MAX_PRIORITY",
    "ActionCall",
    "ActionProfile",
    "AlreadyExists",
    "CloneSession",
    "CloneSessions",
    "ConstTable",
    "CounterArray",
    "CounterValue",
    "DigestConfig",
    "DigestList",
    "DigestStream",
    "Entry",
    "Exact",
    "Group",
    "GroupMember",
    "GroupRef",
    "InUse",
    "InvalidEntry",
    "Lpm",
    "Match",
    "MatchValue",
    "Member",
    "MemberRef",
    "MeterArray",
    "MeterCell",
    "MeterConfig",
    "MulticastGroup",
    "MulticastGroups",
    "NotFound",
    "Optional_",
    "OutOfRange",
    "Range",
    "RegisterArray",
    "Replica",
    "StateError",
    "SwitchState",
    "Table",
    "TableFull",
    "Target",
    "Ternary",
    "ValueSet",
]
