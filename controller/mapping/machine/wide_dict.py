"""A dictionary of any size that no insertion stops for long."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_FIRST: Final = 1 << 16
_OTHERS: Final = 61  # prime, so that it divides hashes otherwise than a dictionary, which takes their lowest bits


class WideDict(Generic[K, V]):
    """A dictionary in parts, of which none gets large.

    Python's own moves all of its entries when it has to grow: 30 ms for 700 000 of them, while datagrams wait. Here
    the first 65 536 keys are in one dictionary, the rest in 61 others, by their hashes.
    """

    __slots__ = ("_first", "_others")

    def __init__(self) -> None:
        self._first: dict[K, V] = {}
        self._others: list[dict[K, V]] = []  # none until the first is full

    def __len__(self) -> int:
        return len(self._first) + sum(map(len, self._others))

    def __iter__(self) -> Iterator[K]:
        """The keys: as many as one dictionary holds in the order in which they came, then the others in any."""
        return chain(self._first, *self._others)

    def items(self) -> Iterator[tuple[K, V]]:
        """Keys and values in the order of the keys."""
        return chain(self._first.items(), *(part.items() for part in self._others))

    def __contains__(self, key: K) -> bool:
        return key in self._part(key)

    def __getitem__(self, key: K) -> V:
        return self._part(key)[key]

    def get(self, key: K) -> V | None:
        """The value of a key; None if it is not there."""
        return self._part(key).get(key)

    def __setitem__(self, key: K, value: V) -> None:
        part = self._part(key)
        if part is self._first and len(part) >= _FIRST and key not in part:
            self._others = [{} for _ in range(_OTHERS)]
            part = self._part(key)
        part[key] = value

    def __delitem__(self, key: K) -> None:
        del self._part(key)[key]

    def pop(self, key: K) -> V:
        """Remove a key that is there, and return its value."""
        return self._part(key).pop(key)

    def _part(self, key: K) -> dict[K, V]:
        """The dictionary that has the key, or would have it."""
        if not self._others or key in self._first:
            return self._first
        return self._others[hash(key) % _OTHERS]
