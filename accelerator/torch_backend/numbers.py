"""Tensors as the arrays that switches can work on, and back.

Where values are combined, a tensor's type decides: what the switches cannot combine is refused before anything is sent.
Where they only travel, any type does: its octets are sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

Array = NDArray[np.generic]
Octets = NDArray[np.uint8]


_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

# PyTorch's name of an operation, the collectives' library's, and the types that have it.
_OPERATIONS: dict[str, tuple[str, tuple[object, ...]]] = {
    "SUM": ("sum", (*_FLOATS, *_INTEGERS)),
    "AVG": ("avg", _FLOATS),
    "MIN": ("min", (*_FLOATS, *_INTEGERS)),
    "MAX": ("max", (*_FLOATS, *_INTEGERS)),
    "BAND": ("and", _INTEGERS),
    "BOR": ("or", _INTEGERS),
    "BXOR": ("xor", _INTEGERS),
}


def _name(op: object) -> str:
    """PyTorch's name of an operation."""
    for name in (*_OPERATIONS, "PRODUCT", "PREMUL_SUM"):
        if op == getattr(dist.ReduceOp, name):
            return name
    return str(op)


def reduction(op: object, dtype: torch.dtype) -> str:
    """The name by which switches know an operation. Raises NotImplementedError naming it and the type."""
    name = _name(op)
    how, types = _OPERATIONS.get(name, ("", ()))
    if dtype not in types:
        can = ", ".join(str(one).removeprefix("torch.") for one in types)
        instead = f"has {can}" if can else f"there is no such operation, but {', '.join(_OPERATIONS)}"
        raise NotImplementedError(f"incc: ReduceOp.{name} on {dtype} is not supported: {instead}")
    return how


def to_values(tensor: torch.Tensor) -> tuple[Array, str | None]:
    """A tensor's elements, flat, and the name of their type where NumPy has no such type (bfloat16, as uint16).

    A view of the tensor's memory if it can be.
    """
    flat = check(tensor).detach().reshape(-1).contiguous()
    if flat.dtype is torch.bfloat16:
        return flat.view(torch.int16).numpy().view(np.uint16), "bfloat16"
    return flat.numpy(), None


def from_values(values: Array, tensor: torch.Tensor) -> None:
    """Writes combined values into a tensor of their number."""
    values = np.ascontiguousarray(values)
    if tensor.dtype is torch.bfloat16:
        found = torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    else:
        found = torch.from_numpy(values)
    tensor.detach().copy_(found.reshape(tensor.shape))


def octets_of(tensor: torch.Tensor) -> Octets:
    """A tensor's octets, flat; a view of its memory if it is contiguous."""
    octets: Octets = check(tensor).detach().reshape(-1).contiguous().view(torch.uint8).numpy()
    return octets


def write_octets(octets: Octets, tensor: torch.Tensor) -> None:
    """Writes the octets of a tensor of the same type and number of elements."""
    found = torch.from_numpy(np.ascontiguousarray(octets)).view(tensor.dtype)
    tensor.detach().copy_(found.reshape(tensor.shape))


def check(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself. Raises NotImplementedError for one that is sparse or not in this process's memory."""
    if tensor.is_sparse or tensor.layout is not torch.strided:
        raise NotImplementedError(f"incc: a tensor of layout {tensor.layout} is not supported, only dense ones")
    if tensor.device.type != "cpu":
        raise NotImplementedError(f"incc: a tensor on device {tensor.device} is not supported, only on cpu")
    return tensor


def same_size(what: str, tensors: Sequence[torch.Tensor], like: torch.Tensor) -> None:
    """Raises ValueError unless all have the type and number of elements of `like`."""
    for index, tensor in enumerate(tensors):
        if tensor.dtype != like.dtype or tensor.numel() != like.numel():
            raise ValueError(
                f"incc: {what}[{index}] has {tensor.numel()} elements of {tensor.dtype}, must have {like.numel()} of "
                f"{like.dtype}"
            )
