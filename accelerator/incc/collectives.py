"""The collective operations: what is checked, who contributes which chunks, and what the result is.

Whoever runs them says how: `Collectives` is the base of the asynchronous group and of the blocking one's handles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelerator.incc.blocks import Blocks, rows_of
from accelerator.incc.choosing import coding_for, type_name
from accelerator.incc.coding import Coding, OctetsCoding
from accelerator.incc.header import EVERYBODY
from accelerator.incc.packets import Place
from accelerator.incc.work import NOBODY, Piece, Work

Array = NDArray[Any]
# What a call returns: a handle, or the result itself.
HandleT = TypeVar("HandleT")


class Collectives(ABC, Generic[HandleT]):
    """The operations of a group. All its members have to call the same ones in the same order.

    Arrays may have any shape and layout; their elements are those of `op`. Until an operation is done its arrays must
    not be changed. Results are new arrays, or `out`, which may be the input. `dtype="bfloat16"` says that an array of
    uint16 holds bfloat16. `op`: "sum", "avg" (floating-point only), "min", "max", "and", "or" or "xor".

    All raise ValueError or TypeError, naming the argument, before anything is sent; GroupError if the group cannot go
    on; and, when they are waited for, CollectiveError.
    """

    @property
    @abstractmethod
    def rank(self) -> int:
        """This member's, 0 to size - 1."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many members there are."""

    @property
    @abstractmethod
    def _place(self) -> Place:
        """The group as the packets have it."""

    @abstractmethod
    def _submit(self, work: Work) -> HandleT:
        """Begins it."""

    def all_reduce(
        self, array: ArrayLike, op: str = "sum", *, out: Array | None = None, dtype: str | None = None
    ) -> HandleT:
        """Everybody gets the elements of all members' arrays, combined; of the input's shape."""
        return self._reduce("all_reduce", array, op, None, out, dtype)

    def reduce(
        self, array: ArrayLike, root: int = 0, op: str = "sum", *, out: Array | None = None, dtype: str | None = None
    ) -> HandleT:
        """As all_reduce, but `root` alone gets the result, the others None."""
        return self._reduce("reduce", array, op, self._root(root), out, dtype)

    def reduce_scatter(
        self, array: ArrayLike, op: str = "sum", *, out: Array | None = None, dtype: str | None = None
    ) -> HandleT:
        """As all_reduce, but each rank gets its piece only.

        The array is cut along its first axis, as by numpy.array_split: if it cannot be cut evenly, the first ranks get
        one row more.
        """
        source = _native(array, "array")
        if source.ndim == 0:
            raise ValueError("array: has no axis to cut it along")
        pieces = np.array_split(source, self.size)
        place, name = self._place, type_name(source.dtype, dtype)
        coding = coding_for(op, source.dtype, name, place.values, self.size)
        flat = [_flat(piece, coding) for piece in pieces]
        mine = pieces[self.rank]
        target = _target(out, mine.shape, source.dtype)
        parts = [Piece(None, rank, rows_of(len(piece), coding.elements)) for rank, piece in enumerate(flat)]
        finish = _into(target, mine.shape, source.dtype, len(flat[self.rank]))
        text = f"reduce_scatter({op}, {name}[{source.size}])"
        return self._begin(text, parts, coding, flat, finish)

    def all_gather(self, array: ArrayLike, *, out: Array | None = None) -> HandleT:
        """Everybody gets all members' arrays, which are of one shape, along a new first axis, by rank."""
        source = _native(array, "array")
        return self._move("all_gather", source, [(rank, EVERYBODY) for rank in range(self.size)], out, source.shape)

    def broadcast(self, array: ArrayLike, root: int = 0, *, out: Array | None = None) -> HandleT:
        """Everybody gets root's array. The others' tell its shape and type, and stay as they are, but for `out`."""
        source, root = _native(array, "array"), self._root(root)
        target = _target(out, source.shape, source.dtype)
        coding = OctetsCoding(self._place.values)
        octets = _flat(source, coding)
        parts = [Piece(root, EVERYBODY, rows_of(len(octets), coding.elements))]
        finish = _into(target, source.shape, source.dtype, len(octets))
        text = f"broadcast({source.dtype.name}[{source.size}], root {root})"
        return self._begin(text, parts, coding, [octets] if self.rank == root else [], finish)

    def gather(self, array: ArrayLike, root: int = 0, *, out: Array | None = None) -> HandleT:
        """`root` gets all members' arrays, which are of one shape, along a new first axis, by rank; the others None."""
        source, root = _native(array, "array"), self._root(root)
        ways = [(rank, root) for rank in range(self.size) if rank != root]
        return self._move(f"gather to {root}", source, ways, out, source.shape if self.rank == root else None)

    def scatter(self, array: ArrayLike | None = None, root: int = 0, *, out: Array | None = None) -> HandleT:
        """Each rank gets its row of root's array, whose first axis has one for each rank.

        `array`: of root alone. `out`: the others have to say by it what they expect.
        """
        root, place = self._root(root), self._place
        rows: Array | None = None
        if self.rank == root:
            if array is None:
                raise ValueError(f"array = None: rank {root} is the root and has to give one")
            rows = self._rows(_native(array, "array"), "scatter")
            shape, dtype = rows.shape[1:], rows.dtype
        elif out is None:
            raise ValueError(f"out = None: rank {self.rank} has to say what it expects from root {root}")
        else:
            shape, dtype = out.shape, out.dtype
        target = _target(out, shape, dtype)
        coding = OctetsCoding(place.values)
        length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        others = [rank for rank in range(self.size) if rank != root]
        parts = [Piece(root, rank, rows_of(length, coding.elements)) for rank in others]
        mine = [] if rows is None else [_flat(rows[rank], coding) for rank in others]
        finish = _into(target, shape, dtype, length) if rows is None else _filling(target, rows[root])
        count = int(np.prod(shape, dtype=np.int64))
        return self._begin(f"scatter({dtype.name}[{count}], root {root})", parts, coding, mine, finish)

    def all_to_all(self, array: ArrayLike, *, out: Array | None = None) -> HandleT:
        """Row j of the array goes to rank j; row i of the result comes from rank i."""
        rows = self._rows(_native(array, "array"), "all_to_all")
        ways = [(i, j) for i in range(self.size) for j in range(self.size) if i != j]
        return self._move("all_to_all", rows, ways, out, rows.shape[1:], scattered=True)

    def barrier(self) -> HandleT:
        """Done when everybody has called it."""
        coding = OctetsCoding(self._place.values)
        return self._begin("barrier", [Piece(NOBODY, EVERYBODY, 1)], coding, [], lambda _: None)

    def _reduce(
        self, kind: str, array: ArrayLike, op: str, root: int | None, out: Array | None, dtype: str | None
    ) -> HandleT:
        source = _native(array, "array")
        place, name = self._place, type_name(source.dtype, dtype)
        coding = coding_for(op, source.dtype, name, place.values, self.size)
        wants = root is None or root == self.rank
        target = _target(out, source.shape, source.dtype) if wants else None
        flat = _flat(source, coding)
        piece = Piece(None, EVERYBODY if root is None else root, rows_of(len(flat), coding.elements))
        finish = _into(target, source.shape, source.dtype, len(flat)) if wants else _nothing
        text = f"{kind}({op}, {name}[{source.size}]" + (")" if root is None else f", root {root})")
        return self._begin(text, [piece], coding, [flat], finish)

    def _move(
        self,
        kind: str,
        source: Array,
        ways: Sequence[tuple[int, int]],
        out: Array | None,
        shape: tuple[int, ...] | None,
        *,
        scattered: bool = False,
    ) -> HandleT:
        """Pieces of one size go from rank to rank as `ways` says.

        `shape`: of the result's row for each rank, None without one. `scattered`: the source has a row for each target.
        """
        coding = OctetsCoding(self._place.values)
        sent = {target: _flat(source[target] if scattered else source, coding) for _, target in self._mine(ways)}
        length = source.nbytes // (self.size if scattered else 1)
        parts = [Piece(i, j, rows_of(length, coding.elements)) for i, j in ways]
        count = source.size // (self.size if scattered else 1)
        text = f"{kind}({source.dtype.name}[{count}])"
        if shape is None:
            return self._begin(text, parts, coding, list(sent.values()), _nothing)
        target = _target(out, (self.size, *shape), source.dtype)
        origins = [i for i, j in ways if j in (self.rank, EVERYBODY)]
        own = source[self.rank] if scattered else source

        def finish(blocks: Array | None) -> Array:
            for index, origin in enumerate(origins):
                if blocks is not None:
                    rows = len(blocks) // len(origins)
                    octets = blocks[index * rows : (index + 1) * rows].reshape(-1)[:length]
                    target[origin] = octets.view(source.dtype).reshape(shape)
            if self.rank not in origins:
                target[self.rank] = own
            return target

        return self._begin(text, parts, coding, list(sent.values()), finish)

    def _mine(self, ways: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        return [way for way in ways if way[0] == self.rank]

    def _begin(
        self, text: str, parts: list[Piece], coding: Coding, mine: list[Array], finish: Callable[[Array | None], object]
    ) -> HandleT:
        blocks = Blocks(mine, coding.elements)
        return self._submit(Work(text, parts, coding, blocks, self.rank, self._place.slots, finish))

    def _root(self, root: int) -> int:
        if not isinstance(root, int | np.integer) or not 0 <= root < self.size:
            raise ValueError(f"root = {root!r}: must be in 0..{self.size - 1}")
        return int(root)

    def _rows(self, array: Array, kind: str) -> Array:
        if array.ndim == 0 or len(array) != self.size:
            raise ValueError(f"array.shape = {array.shape}: {kind} needs {self.size} rows, one for each rank")
        return array


def _native(array: ArrayLike, name: str) -> Array:
    """As an array of this machine's byte order. Raises TypeError for objects."""
    found = np.asarray(array)
    if found.dtype.hasobject:
        raise TypeError(f"{name}.dtype = {found.dtype}: objects have no octets to send")
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _flat(array: Array, coding: Coding) -> Array:
    """One dimension, contiguous; octets where the coding moves those."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8) if isinstance(coding, OctetsCoding) else flat


def _target(out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out = array of {out.dtype}{list(out.shape)}: must be {dtype}{list(shape)}")
    if not out.flags.writeable:
        raise ValueError("out: cannot be written")
    return out


def _into(
    target: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any], length: int
) -> Callable[[Array | None], object]:
    """Puts the first `length` elements of the blocks into the target."""

    def finish(blocks: Array | None) -> Array | None:
        if target is not None and blocks is not None:
            flat = np.ascontiguousarray(blocks).reshape(-1)[:length]
            target[...] = flat.view(dtype).reshape(shape)
        return target

    return finish


def _filling(target: Array, source: Array) -> Callable[[Array | None], object]:
    """Copies what this member has itself."""

    def finish(_: Array | None) -> Array:
        target[...] = source
        return target

    return finish


def _nothing(_: Array | None) -> None:
    return None
