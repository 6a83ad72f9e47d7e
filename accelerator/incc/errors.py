"""Why a collective has no result, or a group cannot go on."""

from __future__ import annotations

from collections.abc import Sequence


class CollectiveError(RuntimeError):
    """A collective that failed; the text names it."""


class SaturatedError(CollectiveError, OverflowError):
    """A sum of int32 that does not fit; the group goes on."""


class GroupError(CollectiveError):
    """The group cannot go on; all its collectives failed with this."""


class MismatchError(GroupError):
    """The members do not call the same collectives with the same parameters."""


class MemberLostError(GroupError):
    """Somebody is no member any more, or has lost what it knew. `lost`: their names, as far as they are known."""

    def __init__(self, message: str, lost: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lost = tuple(lost)


class CollectiveTimeoutError(GroupError, TimeoutError):
    """No chunk was completed for too long."""
