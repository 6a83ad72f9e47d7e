"""Which coding an operation on a type of elements has."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from accelerator.incc.coding import Coding, OctetsCoding
from accelerator.incc.floats import LimbFloatSum, SharedExponentSum
from accelerator.incc.header import Operation
from accelerator.incc.integers import integer_sum
from accelerator.incc.ordering import Order, OrderCoding, WideOrderCoding

OPERATIONS: Final = ("sum", "avg", "min", "max", "and", "or", "xor")
BFLOAT16: Final = "bfloat16"

_BITS = {"and": Operation.AND, "or": Operation.OR, "xor": Operation.XOR}
# What these mean where there are two values only, as for NumPy.
_BOOLEAN = {"sum": Operation.OR, "max": Operation.OR, "min": Operation.AND, **_BITS}
_ORDER = {"min": Operation.MINIMUM, "max": Operation.MAXIMUM}


class UnsupportedError(TypeError):
    """An operation that there is not for this type; the text says what there is."""


def type_name(dtype: np.dtype[Any], wanted: str | None = None) -> str:
    """How elements are called: the dtype's name, or "bfloat16" for those of ml_dtypes and for uint16 on demand.

    Raises UnsupportedError.
    """
    if wanted not in (None, dtype.name, BFLOAT16):
        raise UnsupportedError(f"dtype = {wanted!r}: only {BFLOAT16!r} can be told, of arrays of uint16")
    if wanted == BFLOAT16 and dtype not in (np.uint16, np.int16) and dtype.name != BFLOAT16:
        raise UnsupportedError(f"dtype = 'bfloat16': the array is of {dtype}, must be of uint16")
    return BFLOAT16 if wanted == BFLOAT16 else dtype.name


def coding_for(op: str, dtype: np.dtype[Any], name: str, values: int, size: int) -> Coding:
    """The coding for `op` on elements of `dtype`, called `name`, of `size` members. Raises UnsupportedError."""
    if op not in OPERATIONS:
        raise UnsupportedError(f"op = {op!r}: must be one of {', '.join(OPERATIONS)}")
    bfloat16 = name == BFLOAT16
    floats = bfloat16 or dtype.kind == "f"
    if dtype.kind == "b" and op in _BOOLEAN:
        return OctetsCoding(values, _BOOLEAN[op])
    if (dtype.kind not in "iuf" and not bfloat16) or dtype.itemsize > 8:
        raise UnsupportedError(f"op = {op!r}: cannot be computed on elements of {name}")
    if op in _BITS and not floats:
        return OctetsCoding(values, _BITS[op])
    if op in _ORDER:
        order = Order(np.dtype(np.uint16) if bfloat16 else dtype, op == "max", bfloat16=bfloat16)
        return (WideOrderCoding if dtype.itemsize == 8 else OrderCoding)(order, _ORDER[op], values)
    if op in ("sum", "avg") and floats:
        mean = op == "avg"
        if dtype.itemsize == 8:
            return LimbFloatSum(values, size, mean=mean)
        plain = np.dtype(np.uint16) if bfloat16 else dtype
        return SharedExponentSum(plain, values, size, mean=mean, bfloat16=bfloat16)
    if op == "sum":
        return integer_sum(dtype, values, size)
    having = "sum, avg, min and max" if floats else "sum, min, max, and, or and xor"
    raise UnsupportedError(f"op = {op!r}: elements of {name} have {having}")
