"""Sums of integers: exact, and where they do not fit into their type they wrap as NumPy's do; only int32 reports it.

Packets have signed 32-bit lanes that must not saturate. Small integers have room in one lane, those of 8 bits two by
two; large ones are cut into limbs short enough that the limbs of all members add up within a lane. Limbs are unsigned,
whatever the type: two's complement adds the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.coding import Block, Coding, Values, padded
from accelerator.incc.header import Operation

# Two lanes of 16 bits, the upper one signed, hold 8-bit sums of that many members.
_PAIR_MEMBERS = 128


class WholeSum(Coding):
    """An element in a value, int32 or smaller. Sums of int32 are checked, those of smaller types wrap."""

    operation = Operation.SUM

    def __init__(self, dtype: np.dtype[Any], values: int) -> None:
        self.elements = values
        self.checked = dtype.itemsize == 4
        self._dtype = dtype

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        return block.astype(np.int32, copy=False)

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        return values.astype(self._dtype)


class PairSum(Coding):
    """Two elements of 8 bits in a value."""

    operation = Operation.SUM

    def __init__(self, dtype: np.dtype[Any], values: int) -> None:
        self.elements = 2 * values
        self._dtype = dtype

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        octets = block.view(np.uint8).astype(np.int32)
        return octets[:, 0::2] | octets[:, 1::2] << 16

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        octets = np.empty((len(values), self.elements), np.uint8)
        octets[:, 0::2] = values & 0xFF
        octets[:, 1::2] = values >> 16 & 0xFF
        return octets.view(self._dtype)


class LimbSum(Coding):
    """An element cut into limbs, each in a value: uint32 into two, 64 bits into three, for more than 512 members four.

    The limbs of one kind stand together in a packet.
    """

    operation = Operation.SUM

    def __init__(self, dtype: np.dtype[Any], values: int, size: int) -> None:
        """Raises ValueError if not even one element has room."""
        width = 8 * dtype.itemsize
        bits = min(31 - (size - 1).bit_length(), width)
        self._limbs = -(-width // bits)
        self._bits = -(-width // self._limbs)
        self.elements = values // self._limbs
        if not self.elements:
            raise ValueError(f"values = {values}: {dtype} takes {self._limbs}")
        self._values = values
        self._dtype = dtype
        self._unsigned = np.dtype(f"u{dtype.itemsize}")

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        whole = block.view(self._unsigned)
        mask = self._unsigned.type((1 << self._bits) - 1)
        shifts = range(0, self._limbs * self._bits, self._bits)
        lanes = [(whole >> self._unsigned.type(shift) & mask).astype(np.int32) for shift in shifts]
        return padded(np.concatenate(lanes, axis=1), self._values)

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        whole = np.zeros((len(values), self.elements), self._unsigned)
        for limb in range(self._limbs):
            lane = values[:, limb * self.elements : (limb + 1) * self.elements].astype(self._unsigned)
            whole += lane << self._unsigned.type(limb * self._bits)
        return whole.view(self._dtype)

    def top(self) -> slice:
        """The values of a packet that hold the uppermost limbs."""
        return slice((self._limbs - 1) * self.elements, self._limbs * self.elements)


def integer_sum(dtype: np.dtype[Any], values: int, size: int) -> Coding:
    """The coding for sums of integers of `size` members."""
    if dtype.itemsize == 1 and size <= _PAIR_MEMBERS:
        return PairSum(dtype, values)
    if dtype.itemsize <= 2 or dtype == np.int32:
        return WholeSum(dtype, values)
    return LimbSum(dtype, values, size)
