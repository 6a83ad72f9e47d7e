"""A function of the translated program while it is being written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from softswitch.native.layout import HeaderLayout, Layout, Slot, UnionLayout
from softswitch.native.objects import Objects
from softswitch.native.runtime.structs import CTX_FIELDS, SW_OBJECTS
from softswitch.native.words import BIT, POINTER, WORD, Linker
from softswitch.program.actions import ActionDef
from softswitch.program.calculations import CalculationDef
from softswitch.program.headers import FieldRef, Header
from softswitch.program.model import Program

OCTET = ir.IntType(8)


@dataclass(slots=True, eq=False)
class Unit:
    """What all functions of a program share."""

    program: Program
    linker: Linker
    layout: Layout
    objects: Objects
    actions: dict[ActionDef, ir.Function]
    calculations: dict[CalculationDef, ir.Function]
    constants: dict[str, ir.Value]


@dataclass(frozen=True, slots=True)
class Place:
    """A header in memory. rivals: the other members of its union."""

    pointer: ir.Value
    layout: HeaderLayout
    metadata: bool = False
    rivals: tuple[ir.Value, ...] = ()


@dataclass(frozen=True, slots=True)
class UnionPlace:
    """A union in memory."""

    pointer: ir.Value
    layout: UnionLayout


class Body:
    """A function with the switch and a packet's context among its arguments.

    parameters: address of the running action's parameters, if there is one
    local:      how the locals of an expression are read
    dropped:    block to go to when the packet is dropped
    """

    def __init__(
        self,
        unit: Unit,
        function: ir.Function,
        *,
        switch: ir.Value = None,
        context: ir.Value = None,
        parameters: ir.Value = None,
    ) -> None:
        self.unit = unit
        self.function = function
        self.entry = ir.IRBuilder(function.append_basic_block("entry"))
        self.b = ir.IRBuilder(function.append_basic_block("body"))
        self._first = self.b.block
        self.switch = switch
        self.context = context
        self.parameters = parameters
        self.local: Callable[[int], tuple[ir.Value, int, bool]] | None = None
        self.fields = self.entry.gep(context, [WORD(CTX_FIELDS)], source_etype=OCTET) if context is not None else None
        self._dropped: ir.Block | None = None

    @property
    def dropped(self) -> ir.Block:
        """Where the packet goes when it is dropped."""
        if self._dropped is None:
            self._dropped = self.block("dropped")
        return self._dropped

    @property
    def may_drop(self) -> bool:
        """Whether any path leads there."""
        return self._dropped is not None

    def finish(self) -> None:
        """The function's end: 0, or 1 for a dropped packet."""
        if not self.b.block.is_terminated:
            self.b.ret(WORD(0))
        if self._dropped is not None:
            self.b.position_at_end(self._dropped)
            self.b.ret(WORD(1))
        self.entry.branch(self._first)

    def block(self, name: str) -> ir.Block:
        """A new block."""
        return self.function.append_basic_block(name)

    def at(self, block: ir.Block) -> None:
        """Go on in a block."""
        self.b.position_at_end(block)

    def alloca(self, kind: ir.Type) -> ir.Value:
        """A variable."""
        variable: ir.Value = self.entry.alloca(kind)
        variable.type = POINTER  # llvmlite still types what it makes itself
        return variable

    # Memory

    def offset(self, pointer: ir.Value, octets: int | ir.Value) -> ir.Value:
        """A pointer that many octets further on."""
        if isinstance(octets, int):
            if octets == 0:
                return pointer
            octets = WORD(octets)
        return self.b.gep(pointer, [octets], source_etype=OCTET)

    def load(self, pointer: ir.Value, bits: int = 64) -> ir.Value:
        """An integer in memory."""
        return self.b.load(pointer, typ=ir.IntType(bits), align=1)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Write an integer to memory."""
        self.b.store(value, pointer, align=1)

    def context_word(self, offset: int) -> ir.Value:
        """A word of the context."""
        return self.load(self.offset(self.context, offset))

    def set_context_word(self, offset: int, value: ir.Value) -> None:
        """Write a word of the context."""
        self.store(value if not isinstance(value, int) else WORD(value), self.offset(self.context, offset))

    def switch_word(self, offset: int) -> ir.Value:
        """A word of the switch."""
        return self.load(self.offset(self.switch, offset))

    def object_address(self, item: object) -> ir.Value:
        """The address of an object of the program."""
        return self.switch_word(SW_OBJECTS + 8 * self.unit.objects[item])

    def pointer(self, address: ir.Value) -> ir.Value:
        """A word as a pointer."""
        return self.b.inttoptr(address, POINTER)

    def address(self, pointer: ir.Value) -> ir.Value:
        """A pointer as a word."""
        return self.b.ptrtoint(pointer, WORD)

    def call(self, function: Callable[..., object], *arguments: ir.Value) -> ir.Value:
        """A word function."""
        target = self.unit.linker.get(function)
        passed = []
        for argument in arguments:
            value = WORD(argument) if isinstance(argument, int) else argument
            passed.append(self.address(value) if isinstance(value.type, ir.PointerType) else value)
        return self.b.call(target, passed)

    def copy(self, target: ir.Value, source: ir.Value, octets: int | ir.Value) -> None:
        """Copy memory."""
        function = self.unit.linker.intrinsic("llvm.memcpy", [POINTER, POINTER, WORD])
        self.b.call(function, [target, source, WORD(octets) if isinstance(octets, int) else octets, BIT(0)])

    def clear(self, target: ir.Value, octets: int) -> None:
        """Fill memory with zeros."""
        function = self.unit.linker.intrinsic("llvm.memset", [POINTER, WORD])
        self.b.call(function, [target, OCTET(0), WORD(octets), BIT(0)])

    # Control

    def when(self, condition: ir.Value, then: Callable[[], None], otherwise: Callable[[], None] | None = None) -> None:
        """if condition: then() else: otherwise()."""
        yes, end = self.block("then"), self.block("end")
        no = self.block("else") if otherwise else end
        self.b.cbranch(condition, yes, no)
        for block, run in ((yes, then), (no, otherwise)):
            if run is not None:
                self.at(block)
                run()
                if not self.b.block.is_terminated:
                    self.b.branch(end)
        self.at(end)

    def require(self, condition: ir.Value, otherwise: ir.Block) -> None:
        """Go on if the condition holds."""
        following = self.block("held")
        self.b.cbranch(condition, following, otherwise)
        self.at(following)

    # Headers and fields

    def header(self, header: Header) -> Place:
        """A header instance."""
        layout = self.unit.layout
        rivals: tuple[ir.Value, ...] = ()
        union = layout.union_of.get(header)
        if union is not None:
            rivals = tuple(self.offset(self.fields, layout.headers[h]) for h in union.headers if h is not header)
        pointer = self.offset(self.fields, layout.headers[header])
        return Place(pointer, layout.of(header.type), header.metadata, rivals)

    def is_valid(self, place: Place) -> ir.Value:
        """Whether a header is valid."""
        return BIT(1) if place.metadata else self.b.icmp_unsigned("!=", self.load(place.pointer, 8), OCTET(0))

    def make_valid(self, place: Place) -> None:
        """Mark valid; in a union that makes the others invalid."""
        if not place.metadata:
            for rival in place.rivals:
                self.store(OCTET(0), rival)
            self.store(OCTET(1), place.pointer)

    def make_invalid(self, place: Place) -> None:
        """Mark invalid; metadata stays as it is."""
        if not place.metadata:
            self.store(OCTET(0), place.pointer)

    def slot(self, ref: FieldRef) -> Slot:
        """The slot of a field in its header."""
        return self.unit.layout.of(ref.header.type).slots[ref.field.index]

    def read(self, pointer: ir.Value, slot: Slot) -> ir.Value:
        """A field of the header at a pointer, slot.bits wide."""
        value = self.load(self.offset(pointer, slot.offset), slot.storage)
        return value if slot.bits == slot.storage else self.b.trunc(value, ir.IntType(slot.bits))

    def write(self, pointer: ir.Value, slot: Slot, value: ir.Value) -> None:
        """Write a field; the value is slot.bits wide."""
        kind = ir.IntType(slot.storage)
        if slot.bits < slot.storage:
            value = self.b.sext(value, kind) if slot.signed else self.b.zext(value, kind)
        self.store(value, self.offset(pointer, slot.offset))

    def read_wire(self, pointer: ir.Value, slot: Slot) -> ir.Value:
        """A field as it is on the wire, slot.width bits wide."""
        value = self.read(pointer, slot)
        return value if slot.bits == slot.width else self.b.trunc(value, ir.IntType(slot.width))

    def resize(self, value: ir.Value, bits: int, signed: bool = False) -> ir.Value:
        """An integer of another width."""
        kind, width = ir.IntType(bits), value.type.width
        if width == bits:
            return value
        if width > bits:
            return self.b.trunc(value, kind)
        return self.b.sext(value, kind) if signed else self.b.zext(value, kind)
