"""What a change to the forwarding state can be refused for.

Codes are the canonical gRPC names, so that a control plane can pass them on unchanged.
"""

from __future__ import annotations

from typing import ClassVar


class StateError(Exception):
    """A refused change; nothing was changed."""

    code: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class AlreadyExists(StateError):  # noqa: N818 - named for the canonical code
    """An object with this identity is already there."""

    code = "ALREADY_EXISTS"


class NotFound(StateError):  # noqa: N818
    """There is no object with this identity."""

    code = "NOT_FOUND"


class TableFull(StateError):  # noqa: N818
    """The declared size is used up."""

    code = "RESOURCE_EXHAUSTED"


class ConstTable(StateError):  # noqa: N818
    """The program declared the entries, or the default action, constant."""

    code = "PERMISSION_DENIED"


class InvalidEntry(StateError):  # noqa: N818
    """A value does not fit what the program declares."""

    code = "INVALID_ARGUMENT"


class OutOfRange(StateError):  # noqa: N818
    """An index beyond the end of an array."""

    code = "OUT_OF_RANGE"


class InUse(StateError):  # noqa: N818
    """Something else still refers to the object."""

    code = "FAILED_PRECONDITION"
