"""What is wrong with a request about groups."""

from __future__ import annotations


class InccError(ValueError):
    """A group cannot be as asked: names the `field`, the `value` found there and the `reason`."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(field, value, reason)
        self.field = field
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field} = {self.value}: {self.reason}"


class NoTreeError(InccError):
    """The members of a group cannot be joined by a tree now."""
