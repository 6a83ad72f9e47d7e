"""gRPC statuses, and the errors of single updates that a failed Write carries in its trailer."""

from __future__ import annotations

from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc import StatusCode
from p4.v1 import p4runtime_pb2

_TRAILER = "grpc-status-details-bin"
_CODES = {int(code.value[0]): code for code in StatusCode}


def status_code(number: int) -> StatusCode:
    """The status code with this number; numbers gRPC does not know count as UNKNOWN."""
    return _CODES.get(number, StatusCode.UNKNOWN)


def update_errors(error: grpc.aio.AioRpcError, updates: int) -> list[p4runtime_pb2.Error] | None:
    """One p4.v1.Error for each of the batch's `updates`, OK ones included.

    None if the switch did not say which updates failed (P4Runtime section "Error Reporting": the trailer
    holds one detail for each update, in order).
    """
    status = _details(error)
    if status is None or len(status.details) != updates:
        return None
    errors = []
    for detail in status.details:
        decoded = p4runtime_pb2.Error()
        if not detail.Unpack(decoded):
            return None
        errors.append(decoded)
    return errors if any(found.canonical_code for found in errors) else None


def _details(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    trailer: Any = error.trailing_metadata() or ()  # pairs, whatever the type hints of gRPC say
    for name, value in trailer:
        if name == _TRAILER and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
