"""Sums of floating-point numbers, by integers that share an exponent.

For each block the members agree on the exponent e of the largest magnitude of all: each |x| < 2^e. Everybody then
contributes round(x * 2^(b - e)) with b = 30 - log2(members, rounded up), so that the sum of all stays within 2^30, and
the result is that sum times 2^(e - b), rounded once to the type.

Error bound. Each of n members rounds by at most half a unit 2^(e - b), and 2^e is at most twice the largest magnitude M
that any member has in the block, so a sum is off by at most n * 2^(e - b - 1) <= n * 2^(log2(n) - 30) * M, before the
one rounding to the type. For n = 8 that is 2^-24 M, as much as float32 rounds a number like M. float64 uses limbs and
b = 62 - log2(n): its bound is n * 2^(log2(n) - 62) * M, and "avg" rounds it twice.

NaN and infinities. An element that is NaN or infinite with any member is NaN in the result; its neighbours are not
affected. It is contributed as the smallest integer, from where no sum of others gets back to -2^30.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.coding import SMALLEST, Block, Coding, Values
from accelerator.incc.header import Operation
from accelerator.incc.integers import LimbSum

# No block needs a smaller exponent: float32's smallest number is 2^-149. For float64 it keeps 2^(b - e) finite;
# magnitudes below 2^-960 are zero in the sum then.
_SMALLEST_EXPONENT, _SMALLEST_EXPONENT_64 = -148, -900
_LARGEST_EXPONENT = 1024


def exponents(block: Block, smallest: int) -> Values:
    """For each row the smallest e with |x| < 2^e for all finite elements, at least `smallest`."""
    magnitude = np.abs(block)
    top = magnitude.max(axis=1)
    if not np.isfinite(top).all():
        top = np.where(np.isfinite(magnitude), magnitude, 0).max(axis=1)
    _, found = np.frexp(top)
    return np.where(top > 0, np.maximum(found, smallest), smallest).astype(np.int32)


def _powers(exponent: NDArray[Any]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.ldexp(1.0, exponent)
    return powers[:, np.newaxis]


class SharedExponentSum(Coding):
    """A float32 or float16, or a bfloat16 as the upper half of a float32's bits (uint16), in a value."""

    operation = Operation.SUM
    scaled = True

    def __init__(self, dtype: np.dtype[Any], values: int, size: int, *, mean: bool, bfloat16: bool = False) -> None:
        self.elements = values
        self._dtype = dtype
        self._bfloat16 = bfloat16
        self._bits = 30 - (size - 1).bit_length()
        self._divisor = size if mean else 1

    def scales(self, block: Block) -> Values:
        """See Coding."""
        return exponents(self._floats(block), _SMALLEST_EXPONENT)

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        scaled = self._floats(block).astype(np.float64) * _powers(self._bits - _clipped(scales))
        finite = np.isfinite(scaled)
        if not finite.all():
            scaled[~finite] = SMALLEST
        return np.rint(scaled, out=scaled).astype(np.int32)

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        with np.errstate(over="ignore", invalid="ignore"):
            sums = values * _powers(_clipped(scales) - self._bits)
            if self._divisor != 1:
                sums /= self._divisor
            sums[values < -(2**30)] = np.nan
            if self._bfloat16:
                return to_bfloat16(sums.astype(np.float32)).view(self._dtype)
            return sums.astype(self._dtype)

    def _floats(self, block: Block) -> NDArray[Any]:
        return from_bfloat16(block) if self._bfloat16 else block.astype(np.float32, copy=False)


class LimbFloatSum(Coding):
    """A float64 as an integer of 62 bits, in three or four values."""

    operation = Operation.SUM
    scaled = True

    def __init__(self, values: int, size: int, *, mean: bool) -> None:
        self._limbs = LimbSum(np.dtype(np.int64), values, size)
        self.elements = self._limbs.elements
        self._bits = 62 - (size - 1).bit_length()
        self._divisor = size if mean else 1

    def scales(self, block: Block) -> Values:
        """See Coding."""
        return exponents(block, _SMALLEST_EXPONENT_64)

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding."""
        scaled = block * _powers(self._bits - _clipped(scales))
        finite = np.isfinite(scaled)
        lanes = self._limbs.encode(np.rint(np.where(finite, scaled, 0)).astype(np.int64), scales)
        lanes[:, self._limbs.top()][~finite] = SMALLEST
        return lanes

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        with np.errstate(over="ignore"):
            sums = self._limbs.decode(values, scales) * _powers(_clipped(scales) - self._bits)
            if self._divisor != 1:
                sums /= self._divisor
            sums[values[:, self._limbs.top()] < 0] = np.nan
            return sums


def _clipped(scales: Values) -> Values:
    """A scale that no member of ours would send must not make infinities here."""
    return np.clip(scales, _SMALLEST_EXPONENT_64, _LARGEST_EXPONENT)


def from_bfloat16(block: Block) -> NDArray[np.float32]:
    """float32 of bfloat16 bits."""
    return (block.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """bfloat16 bits, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    rounded = np.where(np.isnan(numbers), bits | np.uint32(0x400000), rounded)
    return (rounded >> np.uint32(16)).astype(np.uint16)
