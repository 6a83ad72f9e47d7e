"""The typed, validated model of a bmv2 JSON program and its loader."""

from softswitch.program.actions import ActionDef, ActionParam
from softswitch.program.errors import ProgramError
from softswitch.program.headers import FieldRef, Header, HeaderType
from softswitch.program.loader import load_program
from softswitch.program.match import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary
from softswitch.program.model import Program
from softswitch.program.pipeline import ActionProfileDef, KeyDef, TableDef
from softswitch.program.stateful import CounterDef, DigestDef, MeterDef, RegisterDef, ValueSetDef

__all__ = [
    "ActionDef",
    "ActionParam",
    "ActionProfileDef",
    "CounterDef",
    "DigestDef",
    "Exact",
    "FieldRef",
    "Header",
    "HeaderType",
    "KeyDef",
    "Lpm",
    "Match",
    "MatchValue",
    "MeterDef",
    "Optional_",
    "Program",
    "ProgramError",
    "Range",
    "RegisterDef",
    "TableDef",
    "Ternary",
    "ValueSetDef",
    "load_program",
]
