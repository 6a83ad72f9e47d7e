"""What the backend needs of a group of accelerators; everything else about the fabric is behind this."""

from __future__ import annotations

from typing import Protocol

from accelerator.torch_backend.numbers import Array, Octets


class Communicator(Protocol):
    """A complete group. One collective at a time; all members call the same ones in the same order.

    Values are flat arrays; `how` is one of sum, avg, min, max, and, or, xor; `kind` names the type of elements where
    NumPy has none ("bfloat16"). Octets are flat arrays of uint8. Every method raises an exception whose text says which
    member was lost, or what else went wrong.

    Attributes:
        rank, size: this member's number, and how many there are.
    """

    rank: int
    size: int

    async def all_reduce(self, values: Array, how: str, kind: str | None = None) -> Array:
        """Everybody's values combined."""

    async def reduce(self, values: Array, how: str, root: int, kind: str | None = None) -> Array | None:
        """The same, for the root alone; None for others."""

    async def reduce_scatter(self, values: Array, how: str, kind: str | None = None) -> Array:
        """The same, cut into `size` equal parts, of which each rank gets its own."""

    async def broadcast(self, octets: Octets, root: int) -> Octets:
        """The root's octets; others give as many, which are not looked at."""

    async def all_gather(self, octets: Octets) -> Octets:
        """Everybody's octets, by rank; all have as many."""

    async def gather(self, octets: Octets, root: int) -> Octets | None:
        """The same, for the root alone; None for others."""

    async def scatter(self, octets: Octets | None, root: int, share: int) -> Octets:
        """This rank's part, `share` octets, of the root's octets; others give None."""

    async def all_to_all(self, octets: Octets) -> Octets:
        """`size` equal parts, of which part j goes to rank j, for the parts from each rank."""

    async def barrier(self) -> None:
        """Returns when everybody has called it."""

    async def close(self) -> None:
        """Leaves the group; may be called more than once."""
