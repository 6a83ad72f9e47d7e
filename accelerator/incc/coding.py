"""How elements of an array become the 32-bit values of packets, and combined values become elements again.

A coding works on blocks: an array of (chunks, elements), of which each row goes into one packet. Switches can add and
compare signed 32-bit integers and combine bits; whatever else a collective computes is expressed by that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.header import Operation

Block = NDArray[Any]
Values = NDArray[np.int32]

SMALLEST, LARGEST = -(2**31), 2**31 - 1


class Coding(ABC):
    """One way to put elements into packets.

    Attributes:
        operation: what the switches do with the values.
        elements: in a packet.
        passes: packets that each block takes. The second one needs the result of the first.
        scaled: whether the members agree on a number for each block before they encode it.
        checked: whether a saturated sum is an error.
    """

    operation: Operation
    elements: int
    passes = 1
    scaled = False
    checked = False

    @abstractmethod
    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """Values of (chunks, values) for the packets. `scales`: agreed for each row, without meaning unless `scaled`.

        Integers of 32 bits in any byte order.
        """

    @abstractmethod
    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """The elements, (chunks, elements), of combined values."""

    def scales(self, block: Block) -> Values:
        """What this member needs for each row; the largest of all members will be agreed."""
        return np.zeros(len(block), np.int32)

    def encode_second(self, block: Block, first: NDArray[Any]) -> NDArray[Any]:
        """Values for the second pass, given the result of the first."""
        raise NotImplementedError


class OctetsCoding(Coding):
    """Octets as they are, four in a value: for collectives that only move data, and for bits of any element."""

    def __init__(self, values: int, operation: Operation = Operation.OR) -> None:
        self.operation = operation
        self.elements = 4 * values

    def encode(self, block: Block, scales: Values) -> NDArray[Any]:
        """See Coding; `block` is of uint8."""
        return np.ascontiguousarray(block).view(">i4")

    def decode(self, values: NDArray[Any], scales: Values) -> Block:
        """See Coding."""
        return np.ascontiguousarray(values, ">i4").view(np.uint8)


def padded(lanes: NDArray[Any], values: int) -> NDArray[Any]:
    """Rows made as long as a packet, with zeros."""
    missing = values - lanes.shape[1]
    return lanes if not missing else np.pad(lanes, ((0, 0), (0, missing)))
