"""How many records fit a message that no path fragments (RFC 9301 §5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from controller.lisp import EidRecord, MapNotify, encode
from controller.lisp.constants import UNFRAGMENTED_IPV4, UNFRAGMENTED_IPV6
from controller.mapping.config import MapServerConfig

_IPV4_HEADERS: Final = 20 + 8
_IPV6_HEADERS: Final = 40 + 8
_MOST_RECORDS: Final = 255  # the record count has 8 bits
_LONGEST_MAC: Final = 32
_SMALLEST_RECORD: Final = 12


class Packing:
    """Sizes of the messages of one Map-Server."""

    def __init__(self, config: MapServerConfig) -> None:
        ipv4 = config.address.version == 4
        packet = config.path_mtu or (UNFRAGMENTED_IPV4 if ipv4 else UNFRAGMENTED_IPV6)
        headers = _IPV4_HEADERS if ipv4 else _IPV6_HEADERS
        self._room = packet - headers - len(encode(MapNotify(0, ()))) - _LONGEST_MAC
        self.most_records: Final = min(_MOST_RECORDS, self._room // _SMALLEST_RECORD)

    def fits(self, records: Sequence[EidRecord]) -> bool:
        """Whether all of `records` go into one message."""
        return self.fitting(records) == len(records)

    def fitting(self, records: Sequence[EidRecord]) -> int:
        """How many of `records`, from the first, go into one message; at least one, whatever its size."""
        if len(records) <= 1:
            return len(records)
        empty = len(encode(MapNotify(0, ())))
        room = self._room
        for number, record in enumerate(records[:_MOST_RECORDS]):
            room -= len(encode(MapNotify(0, (record,)))) - empty
            if room < 0:
                return max(number, 1)
        return min(len(records), _MOST_RECORDS)
