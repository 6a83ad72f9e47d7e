"""Numbers that a switch wants for things, the same ones again after a restart of the controller."""

from __future__ import annotations

from zlib import crc32


class Numbers:
    """Numbers from 1 to below `limit` for keys, as good as independent of the order in which they are asked for.

    A number follows from its key, or is the next free one where two keys collide: a restarted controller finds what an
    earlier one left on the switch.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_key: dict[object, int] = {}
        self._taken: set[int] = set()

    def of(self, key: object) -> int:
        """The key's number; it is given one if it has none. Raises OverflowError when all are taken."""
        if key in self._by_key:
            return self._by_key[key]
        room = self._limit - 1
        if len(self._taken) == room:
            raise OverflowError(f"all {room} numbers are in use")
        number = crc32(repr(key).encode()) % room + 1
        while number in self._taken:
            number = number % room + 1
        self._by_key[key] = number
        self._taken.add(number)
        return number

    def release(self, key: object) -> None:
        """The key needs its number no more."""
        self._taken.discard(self._by_key.pop(key))

    def __contains__(self, key: object) -> bool:
        return key in self._by_key
