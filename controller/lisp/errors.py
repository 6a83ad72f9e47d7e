"""What the codec raises: one clear error that names field, value and place."""

from __future__ import annotations


class LispError(ValueError):
    """Base of every error of this package."""


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value[:32].hex()}{'...' if len(value) > 32 else ''}"
    return str(value)


class DecodeError(LispError):
    """Received octets do not form a valid message; the message is to be dropped and logged (RFC 9301 §5.1).

    `field` is the path of the field in wire order of nesting, `value` what was found there, `offset` the
    octet at which the field starts, counted from the first octet of the message (None where there is no
    message, such as in a lookup key taken from an address object), `reason` what is wrong with it.
    """

    def __init__(self, field: str, value: object, offset: int | None, reason: str) -> None:
        super().__init__(field, value, offset, reason)
        self.field = field
        self.value = value
        self.offset = offset
        self.reason = reason

    def within(self, container: str) -> None:
        """Put `container` in front of the field path.

        Readers know only their own field; each enclosing reader adds its name while the error passes, so that
        building the path costs nothing as long as nothing is wrong.
        """
        self.field = f"{container}.{self.field}"

    def __str__(self) -> str:
        place = "" if self.offset is None else f" at octet {self.offset}"
        return f"{self.field} = {_show(self.value)}{place}: {self.reason}"


class EncodeError(LispError):
    """An object holds a value that has no place on the wire; it is the caller's mistake, nothing is sent.

    Attributes as for `DecodeError`, without an offset.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(field, value, reason)
        self.field = field
        self.value = value
        self.reason = reason

    def within(self, container: str) -> None:
        """Put `container` in front of the field path."""
        self.field = f"{container}.{self.field}"

    def __str__(self) -> str:
        return f"{self.field} = {_show(self.value)}: {self.reason}"


class AuthenticationError(LispError):
    """Authentication Data is missing, unfit or wrong: drop the message unprocessed (RFC 9301 §5.7)."""
