"""Writing steps in one call, and finding out what became of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grpc import StatusCode

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.errors import RpcError, WriteError
from controller.p4rt.plan import DELETE, INSERT, MODIFY, Step

# What these codes say of a whole Write is no matter of its content: the session is over, or not (yet) ours.
_SESSION = frozenset(
    {
        StatusCode.ABORTED,
        StatusCode.CANCELLED,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.NOT_FOUND,
        StatusCode.PERMISSION_DENIED,
        StatusCode.UNAUTHENTICATED,
        StatusCode.UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step; it took effect if `code` is OK.

    Attributes:
        step: the step as it was last tried, which may be another kind of update than at first.
    """

    step: Step
    code: StatusCode = StatusCode.OK
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the step took effect."""
        return self.code is StatusCode.OK


async def write_steps(client: P4RuntimeClient, steps: Sequence[Step]) -> list[Outcome]:
    """Write steps of which none depends on another; the outcomes are in the same order.

    Where the switch says that what is inserted exists, or that what is modified does not, the other kind of
    update is tried; what is deleted and does not exist is as it should be.

    Raises:
        RpcError: if the session is over; what became of the steps is unknown.
        NotConnectedError: likewise, and no step was written.
    """
    outcomes = await _write(client, steps)
    other = {index: changed for index, outcome in enumerate(outcomes) if (changed := _other_way(outcome))}
    if other:
        for index, outcome in zip(other, await _write(client, list(other.values())), strict=True):
            outcomes[index] = outcome
    return [_absent_is_deleted(outcome) for outcome in outcomes]


def _other_way(outcome: Outcome) -> Step | None:
    step = outcome.step
    if step.removal or step.entity.resident:
        return None
    if step.kind == INSERT and outcome.code is StatusCode.ALREADY_EXISTS:
        return Step(step.entity, MODIFY, removal=False)
    if step.kind == MODIFY and outcome.code is StatusCode.NOT_FOUND:
        return Step(step.entity, INSERT, removal=False)
    return None


def _absent_is_deleted(outcome: Outcome) -> Outcome:
    if outcome.step.kind == DELETE and outcome.code is StatusCode.NOT_FOUND:
        return Outcome(outcome.step)
    return outcome


async def _write(client: P4RuntimeClient, steps: Sequence[Step]) -> list[Outcome]:
    request = client.write_request()
    for step in steps:
        update = request.updates.add(type=step.kind)
        update.entity.ParseFromString(step.wire)
    try:
        await client.submit(request)
    except WriteError as error:
        outcomes = [Outcome(step) for step in steps]
        for failure in error.failures:
            outcomes[failure.index] = Outcome(steps[failure.index], failure.code, failure.reason)
        return outcomes
    except RpcError as error:
        if error.code in _SESSION:
            raise
        if len(steps) == 1:
            return [Outcome(steps[0], error.code, error.reason)]
        # Too large a batch, or a switch that does not say which update it dislikes: smaller ones will tell.
        # What already took effect is found to exist, and written the other way.
        middle = len(steps) // 2
        return await _write(client, steps[:middle]) + await _write(client, steps[middle:])
    return [Outcome(step) for step in steps]
