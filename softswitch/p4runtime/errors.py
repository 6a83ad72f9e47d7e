"""Errors as P4Runtime reports them: a canonical code and one sentence, per RPC or per element of a batch.

The shape on the wire is laid down in the P4Runtime specification, section "Error Reporting Messages": the gRPC
status carries a serialised `google.rpc.Status` in the trailing metadata `grpc-status-details-bin`, and this packs
one `p4.v1.Error` for every element of the batch, in the order of the batch.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import grpc
from google.rpc import status_pb2
from p4.v1 import p4runtime_pb2 as p4rt

DETAILS_KEY: Final = "grpc-status-details-bin"

SPACE: Final = "softswitch-v1model-lispfabric"
"""Error space of every `p4.v1.Error`; within it the numeric code repeats the canonical code."""


class Code(enum.IntEnum):
    """The canonical codes (google.rpc.Code) that this server answers with."""

    OK = 0
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13


_GRPC_CODES: Final = {status.value[0]: status for status in grpc.StatusCode}


class P4RuntimeError(Exception):
    """A request, or one element of a batch, is refused.

    Attributes:
        code: the canonical code.
        message: one sentence naming the entity, the field and the value.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


class BatchError(Exception):
    """Some elements of a batch are refused.

    Attributes:
        outcomes: one item for every element of the batch, in its order; None where the element succeeded.
    """

    def __init__(self, what: str, outcomes: Sequence[P4RuntimeError | None]) -> None:
        failed = sum(outcome is not None for outcome in outcomes)
        super().__init__(f"{failed} of {len(outcomes)} {what} failed")
        self.outcomes = tuple(outcomes)

    def status(self) -> status_pb2.Status:
        """The `google.rpc.Status` for the trailing metadata; its code is UNKNOWN, as the specification says."""
        status = status_pb2.Status(code=Code.UNKNOWN, message=str(self))
        for outcome in self.outcomes:
            error = p4rt.Error(canonical_code=Code.OK)
            if outcome is not None:
                error = p4rt.Error(canonical_code=outcome.code, message=outcome.message, space=SPACE, code=outcome.code)
            status.details.add().Pack(error)
        return status


def grpc_code(code: Code) -> grpc.StatusCode:
    """The gRPC library's name for a canonical code."""
    return _GRPC_CODES[int(code)]


def invalid_argument(message: str) -> P4RuntimeError:
    """The request can never be right, whatever the state of the switch."""
    return P4RuntimeError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> P4RuntimeError:
    """The request names something that is not there."""
    return P4RuntimeError(Code.NOT_FOUND, message)


def already_exists(message: str) -> P4RuntimeError:
    """The request inserts something that is there."""
    return P4RuntimeError(Code.ALREADY_EXISTS, message)


def permission_denied(message: str) -> P4RuntimeError:
    """The client, or the P4 program, does not allow it."""
    return P4RuntimeError(Code.PERMISSION_DENIED, message)


def resource_exhausted(message: str) -> P4RuntimeError:
    """There is no room left."""
    return P4RuntimeError(Code.RESOURCE_EXHAUSTED, message)


def failed_precondition(message: str) -> P4RuntimeError:
    """The switch is not in a state in which this could be done."""
    return P4RuntimeError(Code.FAILED_PRECONDITION, message)


def out_of_range(message: str) -> P4RuntimeError:
    """A number does not fit where it is to go."""
    return P4RuntimeError(Code.OUT_OF_RANGE, message)


def unimplemented(message: str) -> P4RuntimeError:
    """The protocol has it, this switch has not."""
    return P4RuntimeError(Code.UNIMPLEMENTED, message)
