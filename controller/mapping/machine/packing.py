"""How many records fit a message that no path fragments (RFC 9301 §5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from controller.lisp import EidRecord, MapNotify, encode
from controller.lisp.constants import UNFRAGMENTED_IPV4, UNFRAGMENTED_IPV6, XTR_IDENTITY_LENGTH

_IPV4_HEADERS: Final = 20 + 8
_IPV6_HEADERS: Final = 40 + 8
_MOST_RECORDS: Final = 255  # the record count has 8 bits
_LONGEST_MAC: Final = 32
_SMALLEST_RECORD: Final = 12
_EMPTY: Final = len(encode(MapNotify(0, ())))

T = TypeVar("T")


class Packing:
    """Sizes of the messages of one node that speaks IP `version`.

    `path_mtu`: octets of the largest packet; None for what passes every path unfragmented. `identified`: the
    messages end with xTR-ID and Site-ID.
    """

    def __init__(self, version: int, path_mtu: int | None = None, *, identified: bool = False) -> None:
        packet = path_mtu or (UNFRAGMENTED_IPV4 if version == 4 else UNFRAGMENTED_IPV6)
        headers = _IPV4_HEADERS if version == 4 else _IPV6_HEADERS
        trailer = XTR_IDENTITY_LENGTH if identified else 0
        self._room = packet - headers - _EMPTY - _LONGEST_MAC - trailer
        self.most_records: Final = min(_MOST_RECORDS, self._room // _SMALLEST_RECORD)

    def fits(self, records: Sequence[EidRecord]) -> bool:
        """Whether all of `records` go into one message."""
        return self.fitting(records) == len(records)

    def fitting(self, records: Sequence[EidRecord]) -> int:
        """How many of `records`, from the first, go into one message; at least one, whatever its size."""
        return self.filling(records, record_size)

    def filling(self, items: Sequence[T], size: Callable[[T], int]) -> int:
        """The same for items that each make a record of `size` octets."""
        if len(items) <= 1:
            return len(items)
        room = self._room
        for number, item in enumerate(items[:_MOST_RECORDS]):
            room -= size(item)
            if room < 0:
                return max(number, 1)
        return min(len(items), _MOST_RECORDS)


def record_size(record: EidRecord) -> int:
    """The octets of a record in a message."""
    return len(encode(MapNotify(0, (record,)))) - _EMPTY
