"""Random protobuf messages: of any shape, with ids that exist and numbers at the edges."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_MAX_DEPTH = 6
_BYTES = (b"", b"\0", b"\x01", b"\x0a", b"\0\x02", b"\xff" * 9, b"blue")
_TEXTS = ("", "a", "routes", "\u00e9" * 3)


class Fuzzer:
    """Makes and spoils messages.

    ids: numbers that mean something to the switch
    """

    def __init__(self, seed: int, ids: Sequence[int]) -> None:
        self.random = random.Random(seed)
        self._ids = ids

    def fill(self, message: Message, share: float = 0.5, depth: int = 0) -> None:
        """Sets some of the fields, and those of what is in them."""
        for field in message.DESCRIPTOR.fields:
            if self.random.random() < share and depth < _MAX_DEPTH:
                self._set(message, field, share, depth)

    def spoil(self, message: Message) -> None:
        """Changes one field somewhere in a message."""
        places = [message]
        for place in places:  # grows while it is walked
            for field, value in place.ListFields():
                if field.message_type is not None and not _is_map(field):
                    places += list(value) if field.is_repeated else [value]
        place = self.random.choice(places)
        field = self.random.choice(place.DESCRIPTOR.fields)
        if self.random.random() < 0.3:
            place.ClearField(field.name)
        else:
            self._set(place, field, 0.4, 3)

    def _set(self, message: Message, field: FieldDescriptor, share: float, depth: int) -> None:
        value: Any = getattr(message, field.name)
        if _is_map(field):
            return
        if field.is_repeated:
            for _ in range(self.random.randint(1, 2)):
                if field.message_type is not None:
                    self.fill(value.add(), share, depth + 1)
                else:
                    value.append(self._scalar(field))
        elif field.message_type is not None:
            value.SetInParent()
            self.fill(value, share, depth + 1)
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> object:
        choose = self.random.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return choose(_BYTES) if field.type == FieldDescriptor.TYPE_BYTES else choose(_TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return choose((False, True))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return choose((0.0, -1.5, float("inf"), float("nan")))
            case FieldDescriptor.CPPTYPE_ENUM:
                return choose((0, 1, 2, 3, 99))
        bits = 64 if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64) else 32
        unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
        low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return choose((0, 1, 2, 5, 16, low, high, *(number for number in self._ids if number <= high)))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
