"""What a switch refused, and when it makes sense to try again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from grpc import StatusCode

from controller.p4rt.batches import Outcome
from controller.p4rt.codec import Encoded
from controller.p4rt.entities import Entity
from controller.p4rt.plan import Step


class Remedy(Enum):
    """What a failed update waits for before it is tried again; a new session tries everything again."""

    CHANGE = "the desired state of the entity changes"
    REFERENCE = "what it refers to is on the switch"
    ROOM = "something leaves the same table or profile"
    RELEASE = "something that may refer to it changes"
    TIME = "some time has passed"


_PASSING = (StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED)

# PI says UNKNOWN for whatever bmv2 says no to, a full table included.
_PERHAPS_FULL = (
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.UNKNOWN,
    StatusCode.INTERNAL,
)

# After these, PI may have done a part: it inserts a group before it finds that a member is missing.
_UNCLEAR = (*_PERHAPS_FULL, StatusCode.NOT_FOUND, *_PASSING)


def remedy(outcome: Outcome) -> Remedy:
    """What an outcome that is a failure waits for."""
    if outcome.code in _PASSING:
        return Remedy.TIME
    if outcome.step.removal:
        return Remedy.RELEASE
    return Remedy.ROOM if outcome.code in _PERHAPS_FULL else Remedy.CHANGE


def leaves_doubt(outcome: Outcome) -> bool:
    """Whether a failure may have changed the switch all the same."""
    return outcome.code in _UNCLEAR


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the switch does not hold, or still holds, an entity.

    Attributes:
        removal: whether the entity should go.
        reason: the switch's words.
        remedy: what the writer waits for before it tries again.
    """

    entity: Entity
    removal: bool
    code: StatusCode
    reason: str
    remedy: Remedy

    def __str__(self) -> str:
        verb = "remove" if self.removal else "put"
        return f"cannot {verb} {self.entity}: {self.code.name}: {self.reason}; waits until {self.remedy.value}"


class FailureBook:
    """The failures that stand, by the key of their entity."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[Failure, Encoded]] = {}

    def record(self, failure: Failure, entity: Encoded) -> None:
        """A failure, in place of any earlier one of the same entity."""
        self._open[entity.key] = (failure, entity)

    def settle(self, key: bytes) -> None:
        """The entity is as desired, or desired otherwise."""
        self._open.pop(key, None)

    def clear(self) -> None:
        """Forget all failures."""
        self._open.clear()

    def failures(self) -> tuple[Failure, ...]:
        """The failures that stand."""
        return tuple(failure for failure, _ in self._open.values())

    def waiting(self, kind: Remedy) -> set[bytes]:
        """Keys of the failures that wait for `kind`."""
        return {key for key, (failure, _) in self._open.items() if failure.remedy is kind}

    def remedied(self, done: Iterable[Step], holds: Callable[[bytes], bool]) -> set[bytes]:
        """Keys worth another try now that steps took effect, and the switch `holds` what it holds."""
        if not self._open:
            return set()
        left: set[int] = set()
        highest = -1
        for step in done:
            highest = max(highest, step.entity.rank)
            if step.removal:
                left.add(step.entity.scope)
        worth: set[bytes] = set()
        for key, (failure, entity) in self._open.items():
            match failure.remedy:
                case Remedy.REFERENCE:
                    again = all(holds(ref) for ref in entity.refs)
                case Remedy.ROOM:
                    again = entity.scope in left
                case Remedy.RELEASE:
                    again = highest > entity.rank
                case _:
                    again = False
            if again:
                worth.add(key)
        return worth

    def __len__(self) -> int:
        return len(self._open)
