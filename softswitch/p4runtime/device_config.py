"""The `p4_device_config` of a forwarding pipeline: bmv2 JSON.

Clients send the JSON as it is or, in the way of the first P4Runtime servers, wrapped in the message
`p4.tmp.P4DeviceConfig`, which simple_switch_grpc still accepts: `reassign` (1, bool), `extras` (2, message) and
`device_data` (3, bytes). Only the last one says anything to this switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from softswitch.p4runtime.errors import invalid_argument

_DEVICE_DATA: Final = 3
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_OCTETS: Final = 10


def unwrap(device_config: bytes) -> bytes:
    """The bmv2 JSON in a `p4_device_config`.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT if there is none.
    """
    if not device_config.strip():
        raise invalid_argument("config.p4_device_config is empty; it must be the bmv2 JSON of the program")
    if device_config.lstrip().startswith(b"{"):
        return device_config
    try:
        data = dict(_length_delimited_fields(device_config)).get(_DEVICE_DATA, b"")
    except ValueError as error:
        raise invalid_argument(
            f"config.p4_device_config is neither bmv2 JSON nor a p4.tmp.P4DeviceConfig message: {error}"
        ) from None
    if not data.lstrip().startswith(b"{"):
        raise invalid_argument("config.p4_device_config is a p4.tmp.P4DeviceConfig whose device_data is not bmv2 JSON")
    return data


def _length_delimited_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Field numbers and contents; fields of other wire types are skipped."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, position = _varint(message, position)
            continue
        if wire_type == _LENGTH_DELIMITED:
            length, position = _varint(message, position)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type} at octet {position - 1}")
        end = position + length
        if number == 0 or end > len(message):
            raise ValueError(f"field {number} of {length} octets at octet {position} of {len(message)}")
        if wire_type == _LENGTH_DELIMITED:
            yield number, message[position:end]
        position = end


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, octet in enumerate(message[position : position + _MAX_VARINT_OCTETS]):
        value |= (octet & 0x7F) << (7 * index)
        if octet < 0x80:
            return value, position + index + 1
    raise ValueError(f"a number without an end at octet {position}")
