"""The one error raised for a program that cannot be executed."""

from __future__ import annotations

_SHOWN = 80  # characters of an offending value worth showing


class ProgramError(ValueError):
    """A bmv2 JSON document that is malformed or asks for something this switch does not know.

    place:  path inside the document, e.g. ``pipelines[0].tables[3].key[1].target``
    value:  the value found there
    reason: what is wrong with it
    """

    def __init__(self, place: str, value: object, reason: str) -> None:
        self.place = place
        self.value = value
        self.reason = reason
        shown = repr(value)
        if len(shown) > _SHOWN:
            shown = shown[: _SHOWN - 3] + "..."
        super().__init__(f"{place or 'document'}: {reason} (got {shown})")
