"""Hash and checksum calculations, and where checksums are kept."""

from __future__ import annotations

from dataclasses import dataclass

from softswitch.program.expressions import Expr
from softswitch.program.headers import FieldRef, Header


@dataclass(frozen=True, slots=True)
class ConstInput:
    """A constant of a given width in bits."""

    value: int
    width: int


@dataclass(frozen=True, slots=True)
class PayloadInput:
    """Everything behind the parsed headers."""


CalculationInput = FieldRef | Header | ConstInput | PayloadInput


@dataclass(frozen=True, slots=True, eq=False)
class CalculationDef:
    """A hash over the concatenation of its inputs; inputs of invalid headers are left out."""

    name: str
    id: int
    algorithm: str
    inputs: tuple[CalculationInput, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ChecksumDef:
    """A field that holds the result of a calculation, verified by the parser and updated by the deparser."""

    name: str
    id: int
    target: FieldRef
    calculation: CalculationDef
    condition: Expr | None
    verify: bool
    update: bool
