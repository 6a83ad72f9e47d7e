"""What can go wrong between a controller and a P4Runtime switch; every message names what and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from grpc import StatusCode


class P4RuntimeError(Exception):
    """Base of every error this package raises."""


class P4InfoError(P4RuntimeError):
    """A P4Info that is not one: the message names its source, and the line or object that is wrong."""


class UnknownNameError(P4RuntimeError, KeyError):
    """A name that the P4Info does not have, or that fits several of its objects.

    Args:
        kind: what was looked up, such as ``table``.
        name: the name asked for.
        known: every name there is; the nearest ones go into the message.
        place: where it was looked up, such as the table whose match field it should have been.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], place: str = "") -> None:
        names = sorted(known)
        near = _nearest(str(name), names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:12]) or 'none'}"
        self.kind, self.name, self.near = kind, name, tuple(near)
        super().__init__(f"unknown {kind} {name!r}{f' in {place}' if place else ''} ({hint})")

    def __str__(self) -> str:  # KeyError would print the repr of its argument
        return str(self.args[0])


def _nearest(name: str, names: list[str]) -> list[str]:
    """The names most like `name`, which may be only the end of one."""
    spelled = {full: full for full in names} | {full.rsplit(".", 1)[-1]: full for full in names}
    near = [spelled[found] for found in get_close_matches(name, spelled, n=3, cutoff=0.6)]
    return list(dict.fromkeys(near))


class EncodingError(P4RuntimeError, ValueError):
    """An entity that the P4Info cannot express; the message names entity, field and value."""


class DecodingError(P4RuntimeError, ValueError):
    """A message of the switch that does not fit the P4Info both sides agreed on."""


class NotConnectedError(P4RuntimeError):
    """There is no stream to the switch at the moment."""


class RpcError(P4RuntimeError):
    """A P4Runtime call that failed as a whole.

    Attributes:
        method: name of the call.
        code: gRPC's status code.
        reason: the switch's words.
    """

    def __init__(self, method: str, code: StatusCode, reason: str) -> None:
        self.method, self.code, self.reason = method, code, reason
        super().__init__(f"{method}: {code.name}: {reason}")


@dataclass(frozen=True, slots=True)
class UpdateFailure:
    """Why one update of a batch failed (p4.v1.Error, P4Runtime section "Error Reporting").

    Attributes:
        index: position of the update in the batch.
        subject: the update in words.
        code: gRPC's canonical status code.
        reason: the switch's words.
        space: the vendor's error space, "" if it has none.
        vendor_code: numeric code within that space.
    """

    index: int
    subject: str
    code: StatusCode
    reason: str
    space: str = ""
    vendor_code: int = 0

    def __str__(self) -> str:
        return f"{self.subject}: {self.code.name}{f': {self.reason}' if self.reason else ''}"


class WriteError(RpcError):
    """A batch of which some updates failed; all others of the batch took effect.

    Attributes:
        failures: the updates that failed, in the order of the batch.
    """

    def __init__(self, failures: tuple[UpdateFailure, ...], size: int) -> None:
        self.failures = failures
        listed = "; ".join(str(failure) for failure in failures[:5])
        more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        reason = f"{len(failures)} of {size} updates failed: {listed}{more}"
        super().__init__("Write", StatusCode.UNKNOWN, reason)
