"""Minimum and maximum of any type, exact: elements become signed integers in the same order.

The bits of a floating-point number, read as an integer, are in order but for the negative ones, whose order is turned
round. Negative zero is then smaller than zero, and NaN lies beyond infinity, at the end where it wins, as it does for
NumPy. 64 bits take two passes: the upper halves are compared first, and whoever has the winning one then says the
lower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.coding import LARGEST, SMALLEST, Block, Coding, Values
from accelerator.incc.header import Operation

# Flips the sign of an unsigned 32-bit number, so that its order is that of the signed one.
_SIGN = np.uint32(0x80000000)


class Order:
    """A map from elements to signed integers and back. `dtype` may be of unsigned integers that stand for bfloat16."""

    def __init__(self, dtype: np.dtype[Any], largest_wins: bool, *, bfloat16: bool = False) -> None:
        self._dtype = dtype
        self._floats = bfloat16 or dtype.kind == "f"
        self._bits = np.dtype(f"i{dtype.itemsize}")
        self._mask = np.iinfo(self._bits).max
        # Infinity has all bits of the exponent and none of the fraction.
        self._infinity = 0x7F80 if bfloat16 else {2: 0x7C00, 4: 0x7F800000, 8: 0x7FF0 << 48}.get(dtype.itemsize, 0)
        self._nan = self._mask if largest_wins else -self._mask - 1

    def key(self, block: Block) -> NDArray[Any]:
        """Integers as wide as the elements, signed."""
        bits: NDArray[Any] = block.view(self._bits)
        if self._floats:
            magnitude = bits & self._bits.type(self._mask)
            keys: NDArray[Any] = np.where(bits < 0, ~magnitude, magnitude)
            nan = magnitude > self._infinity
            keys[nan] = self._nan
            return keys
        if self._dtype.kind == "u":
            bits = bits ^ np.iinfo(self._bits).min
        return bits

    def element(self, keys: NDArray[Any]) -> Block:
        """Elements of keys."""
        keys = np.ascontiguousarray(keys, self._bits)
        if self._floats:
            keys = np.where(keys < 0, ~keys | np.iinfo(self._bits).min, keys)
            # What was the smallest key is a NaN again, with its sign.
        elif self._dtype.kind == "u":
            keys = keys ^ np.iinfo(self._bits).min
        return keys.astype(self._bits, copy=False).view(self._dtype)


class OrderCoding(Coding):
    """An element of at most 32 bits in a value."""

    def __init__(self, order: Order, operation: Operation, values: int) -> None:
        self.operation = operation
        self.elements = values
        self._order = order

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        return self._order.key(block).astype(np.int32, copy=False)

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        return self._order.element(values)


class WideOrderCoding(Coding):
    """An element of 64 bits in a value, in two passes: upper halves, then lower ones of those who have the winner."""

    passes = 2

    def __init__(self, order: Order, operation: Operation, values: int) -> None:
        self.operation = operation
        self.elements = values
        self._order = order
        self._loser = SMALLEST if operation == Operation.MAXIMUM else LARGEST

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        return (self._order.key(block) >> 32).astype(np.int32)

    def encode_second(self, block: Block, first: NDArray[Any]) -> NDArray[Any]:
        """See Coding."""
        keys = self._order.key(block)
        lower = (keys.astype(np.uint32) ^ _SIGN).view(np.int32)
        return np.where((keys >> 32) == first, lower, np.int32(self._loser))

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding; each row is that of the first pass and that of the second."""
        upper, lower = values[:, : self.elements], values[:, self.elements :]
        unsigned = lower.astype(np.int32).view(np.uint32) ^ _SIGN
        return self._order.element((upper.astype(np.int64) << 32) | unsigned.astype(np.int64))
