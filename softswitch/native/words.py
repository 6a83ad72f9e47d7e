"""A small language for what every program needs: tables, hashes, buffers, rings.

Functions marked with :func:`word` are Python by syntax and 64-bit machine words by meaning. Every value is an unsigned
word; arithmetic wraps; comparisons, division and right shift are unsigned. ``u8[a]``, ``u16[a]``, ``u32[a]`` and
``u64[a]`` are memory at address a, in the machine's byte order. Control flow is ``if``, ``while``, ``for`` over
``range``, ``break``, ``continue``, ``return``, conditional expressions and short-circuit ``and``, ``or``, ``not``.
Names are parameters, local variables, integer constants of the module, other word functions, and the intrinsics below.
They are compiled to LLVM IR, never run by Python.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from llvmlite import ir

F = TypeVar("F", bound=Callable[..., int | None])

WORD: Final = ir.IntType(64)
POINTER: Final = ir.PointerType()
BIT: Final = ir.IntType(1)

_FUNCTIONS: dict[Callable[..., object], bool] = {}  # word functions; whether they are always inlined
_EXTERNAL: dict[Callable[..., object], str] = {}  # functions of the C library
_HOOKS: set[Callable[..., object]] = set()  # functions that the translated program defines


class Memory:
    """Memory seen as words of one size; only for the compiler."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __getitem__(self, address: int) -> int:
        raise NotImplementedError

    def __setitem__(self, address: int, value: int) -> None:
        raise NotImplementedError


u8, u16, u32, u64 = Memory(8), Memory(16), Memory(32), Memory(64)


def word(function: F) -> F:
    """Marks a function of the language."""
    _FUNCTIONS[function] = False
    return function


def inline(function: F) -> F:
    """Marks a function of the language that is always inlined."""
    _FUNCTIONS[function] = True
    return function


def external(function: F) -> F:
    """Marks a function of the C library."""
    _EXTERNAL[function] = function.__name__
    return function


def hook(function: F) -> F:
    """Marks a function that the translation of a program supplies."""
    _HOOKS.add(function)
    return function


def call(address: int, *arguments: int) -> int:
    """Intrinsic: call the function at an address."""
    raise NotImplementedError


def swap(value: int, bits: int) -> int:
    """Intrinsic: the lowest 16, 32 or 64 bits with their octets in the opposite order."""
    raise NotImplementedError


def copy(target: int, source: int, octets: int) -> None:
    """Intrinsic: copy memory that does not overlap."""
    raise NotImplementedError


def move(target: int, source: int, octets: int) -> None:
    """Intrinsic: copy memory that may overlap."""
    raise NotImplementedError


def clear(target: int, octets: int) -> None:
    """Intrinsic: fill memory with zeros."""
    raise NotImplementedError


def fence() -> None:
    """Intrinsic: what was read or written before is seen by the kernel before what follows."""
    raise NotImplementedError


_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.FloorDiv: "udiv",
    ast.Mod: "urem",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
    ast.LShift: "shl",
    ast.RShift: "lshr",
}
_COMPARISON: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


@cache
def _source(function: Callable[..., object]) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


class Linker:
    """The functions of one LLVM module, compiled as they are first named."""

    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self._known: dict[str, ir.Function] = {}

    def export(self, *functions: Callable[..., object]) -> None:
        """Compile functions that are called from outside."""
        for function in functions:
            self.get(function).linkage = ""

    def define(self, name: str, result: ir.Type, parameters: list[ir.Type]) -> ir.Function:
        """Declare a function whose body the caller writes."""
        function = ir.Function(self.module, ir.FunctionType(result, parameters), name)
        function.linkage = "internal"
        function.attributes.add("nounwind")
        self._known[name] = function
        return function

    def get(self, function: Callable[..., object]) -> ir.Function:
        """The LLVM function of a word function, of the C library's, or of a hook."""
        name = function.__name__
        if name not in self._known:
            if function in _HOOKS:
                raise AssertionError(f"the program does not define {name}")
            self._compile(function, name)
        return self._known[name]

    def intrinsic(self, name: str, types: list[ir.Type]) -> ir.Function:
        """An LLVM intrinsic."""
        return self.module.declare_intrinsic(name, types)

    def _compile(self, function: Callable[..., object], name: str) -> None:
        parameters = [WORD] * len(_source(function).args.args)
        declared = ir.Function(self.module, ir.FunctionType(WORD, parameters), name)
        declared.attributes.add("nounwind")
        self._known[name] = declared
        if function in _EXTERNAL:
            return
        declared.linkage = "internal"
        if _FUNCTIONS[function]:
            declared.attributes.add("alwaysinline")
        _Compiler(self, function, declared).run()


@dataclass
class _Loop:
    again: ir.Block
    end: ir.Block


class _Compiler:
    """Compiles one function."""

    def __init__(self, linker: Linker, function: Callable[..., object], target: ir.Function) -> None:
        self._linker = linker
        self._source = _source(function)
        self._globals: dict[str, Any] = function.__globals__
        self._target = target
        self._entry = ir.IRBuilder(target.append_basic_block("entry"))
        self._b = ir.IRBuilder(target.append_basic_block("body"))
        self._variables: dict[str, ir.AllocaInstr] = {}
        self._loops: list[_Loop] = []

    def run(self) -> None:
        for parameter, value in zip(self._source.args.args, self._target.args, strict=True):
            self._entry.store(value, self._variable(parameter.arg))
        first = self._b.block
        self._block(self._source.body)
        if not self._b.block.is_terminated:
            self._b.ret(WORD(0))
        self._entry.branch(first)

    def _variable(self, name: str) -> ir.AllocaInstr:
        if name not in self._variables:
            self._variables[name] = self._entry.alloca(WORD, name=name)
        return self._variables[name]

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self._b.block.is_terminated:
                return
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        b = self._b
        match node:
            case ast.Expr(ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value):
                self._value(value)
            case ast.Assign([target], value) | ast.AnnAssign(target, _, ast.expr() as value):
                self._assign(target, self._value(value))
            case ast.AugAssign(target, op, value):
                old = self._value(target)
                self._assign(target, getattr(self._b, _ARITHMETIC[type(op)])(old, self._value(value)))
            case ast.Return(value):
                b.ret(WORD(0) if value is None else self._value(value))
            case ast.If(test, body, orelse):
                self._if(test, body, orelse)
            case ast.While(test, body):
                self._while(test, body)
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), bounds), body):
                self._for(name, bounds, body)
            case ast.Break():
                b.branch(self._loops[-1].end)
            case ast.Continue():
                b.branch(self._loops[-1].again)
            case _:
                raise self._error(node)

    def _assign(self, target: ast.expr, value: ir.Value) -> None:
        match target:
            case ast.Name(name):
                self._b.store(value, self._variable(name))
            case ast.Subscript(ast.Name(name), address):
                bits = self._globals[name].bits
                pointer = self._b.inttoptr(self._value(address), POINTER)
                narrow = value if bits == 64 else self._b.trunc(value, ir.IntType(bits))
                self._b.store(narrow, pointer, align=1)
            case _:
                raise self._error(target)

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        then, otherwise, end = (self._target.append_basic_block(n) for n in ("then", "else", "endif"))
        self._b.cbranch(self._truth(test), then, otherwise if orelse else end)
        for block, statements in ((then, body), (otherwise, orelse)):
            self._b.position_at_end(block)
            self._block(statements)
            if not self._b.block.is_terminated:
                self._b.branch(end)
        self._b.position_at_end(end)

    def _while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        head, inside, end = (self._target.append_basic_block(n) for n in ("while", "do", "done"))
        self._b.branch(head)
        self._b.position_at_end(head)
        self._b.cbranch(self._truth(test), inside, end)
        self._loop(_Loop(head, end), inside, body)
        if not self._b.block.is_terminated:
            self._b.branch(head)
        self._b.position_at_end(end)

    def _for(self, name: str, bounds: list[ast.expr], body: list[ast.stmt]) -> None:
        head, inside, step, end = (self._target.append_basic_block(n) for n in ("for", "do", "step", "done"))
        low, high = (WORD(0), self._value(bounds[0])) if len(bounds) == 1 else map(self._value, bounds)
        counter = self._variable(name)
        self._b.store(low, counter)
        self._b.branch(head)
        self._b.position_at_end(head)
        self._b.cbranch(self._b.icmp_unsigned("<", self._b.load(counter, typ=WORD), high), inside, end)
        self._loop(_Loop(step, end), inside, body)
        if not self._b.block.is_terminated:
            self._b.branch(step)
        self._b.position_at_end(step)
        self._b.store(self._b.add(self._b.load(counter, typ=WORD), WORD(1)), counter)
        self._b.branch(head)
        self._b.position_at_end(end)

    def _loop(self, loop: _Loop, inside: ir.Block, body: list[ast.stmt]) -> None:
        self._loops.append(loop)
        self._b.position_at_end(inside)
        self._block(body)
        self._loops.pop()

    def _truth(self, node: ast.expr) -> ir.Value:
        match node:
            case ast.Compare(left, [op], [right]):
                a, c = self._value(left), self._value(right)
                return self._b.icmp_unsigned(_COMPARISON[type(op)], a, c)
            case ast.BoolOp(op, values):
                return self._short_circuit(isinstance(op, ast.And), values)
            case ast.UnaryOp(ast.Not(), operand):
                return self._b.not_(self._truth(operand))
        return self._b.icmp_unsigned("!=", self._value(node), WORD(0))

    def _short_circuit(self, conjunction: bool, values: list[ast.expr]) -> ir.Value:
        end = self._target.append_basic_block("decided")
        sources: list[tuple[ir.Value, ir.Block]] = []
        for value in values[:-1]:
            truth = self._truth(value)
            following = self._target.append_basic_block("next")
            sources.append((BIT(not conjunction), self._b.block))
            self._b.cbranch(truth, *((following, end) if conjunction else (end, following)))
            self._b.position_at_end(following)
        truth = self._truth(values[-1])
        sources.append((truth, self._b.block))
        self._b.branch(end)
        self._b.position_at_end(end)
        result = self._b.phi(BIT)
        for value_, block in sources:
            result.add_incoming(value_, block)
        return result

    def _value(self, node: ast.expr) -> ir.Value:
        b = self._b
        match node:
            case ast.Constant(int(value)):
                return WORD(value & (1 << 64) - 1)
            case ast.Name(name) if name in self._variables:
                return b.load(self._variables[name], typ=WORD)
            case ast.Name(name):
                return WORD(int(self._globals[name]) & (1 << 64) - 1)
            case ast.BinOp(left, op, right):
                return getattr(b, _ARITHMETIC[type(op)])(self._value(left), self._value(right))
            case ast.UnaryOp(ast.USub(), operand):
                return b.neg(self._value(operand))
            case ast.UnaryOp(ast.Invert(), operand):
                return b.not_(self._value(operand))
            case ast.Subscript(ast.Name(name), address):
                bits = self._globals[name].bits
                loaded = b.load(b.inttoptr(self._value(address), POINTER), typ=ir.IntType(bits), align=1)
                return loaded if bits == 64 else b.zext(loaded, WORD)
            case ast.IfExp(test, body, orelse):
                truth = self._truth(test)
                return b.select(truth, self._value(body), self._value(orelse))
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(ast.Not()):
                return b.zext(self._truth(node), WORD)
            case ast.Call(ast.Name(name), arguments):
                return self._call(name, arguments)
        raise self._error(node)

    def _call(self, name: str, arguments: list[ast.expr]) -> ir.Value:
        b = self._b
        if name in ("min", "max"):
            first, second = map(self._value, arguments)
            return b.select(b.icmp_unsigned("<" if name == "min" else ">", first, second), first, second)
        callee = self._globals[name]
        if callee is swap:
            assert isinstance(arguments[1], ast.Constant)
            kind = ir.IntType(int(str(arguments[1].value)))
            value = self._value(arguments[0])
            swapped = b.bswap(value if kind.width == 64 else b.trunc(value, kind))
            return swapped if kind.width == 64 else b.zext(swapped, WORD)
        values = [self._value(argument) for argument in arguments]
        if callee is call:
            kind = ir.FunctionType(WORD, [WORD] * (len(values) - 1))
            return b.call(b.inttoptr(values[0], ir.PointerType(kind)), values[1:])
        if callee is fence:
            b.fence("seq_cst")
            return WORD(0)
        if callee in (copy, move, clear):
            return self._memory(callee, values)
        function = self._linker.get(callee)
        kinds = function.function_type.args
        passed = [v if k == WORD else b.inttoptr(v, k) for v, k in zip(values, kinds, strict=True)]
        result = b.call(function, passed)
        return WORD(0) if function.function_type.return_type == ir.VoidType() else result

    def _memory(self, callee: Callable[..., object], values: list[ir.Value]) -> ir.Value:
        b, volatile = self._b, BIT(0)
        target = b.inttoptr(values[0], POINTER)
        if callee is clear:
            fill = self._linker.intrinsic("llvm.memset", [POINTER, WORD])
            b.call(fill, [target, ir.IntType(8)(0), values[1], volatile])
        else:
            name = "llvm.memcpy" if callee is copy else "llvm.memmove"
            function = self._linker.intrinsic(name, [POINTER, POINTER, WORD])
            b.call(function, [target, b.inttoptr(values[1], POINTER), values[2], volatile])
        return WORD(0)

    def _error(self, node: ast.AST) -> AssertionError:
        where = f"{self._source.name}, line {getattr(node, 'lineno', 0)}"
        return AssertionError(f"{where}: {ast.unparse(node)} is not of the language")
