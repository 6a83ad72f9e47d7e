"""Code points that the P4 program and its controller share, and the check that they still do.

The program defines them as serializable enums (`p4src/include/types.p4`); P4Info carries their members, so a
controller that meets a switch with another program finds out before it writes anything.
"""

from __future__ import annotations

from enum import IntEnum

from p4.config.v1 import p4info_pb2


class Encapsulation(IntEnum):
    """How an Instance-ID's packets are tunnelled: `encapsulation_t`."""

    NONE = 0
    LISP = 1
    VXLAN_GPE = 2


class PuntReason(IntEnum):
    """Why a packet came to the controller: `punt_reason_t`, the `reason` of packet_in."""

    NONE = 0
    UNKNOWN_DESTINATION = 1
    TO_LOCAL_RLOC = 2


class DropReason(IntEnum):
    """Why a packet was dropped: `drop_reason_t`, the index of the drop counter."""

    NONE = 0
    MALFORMED = 1
    BAD_CHECKSUM = 2
    UNKNOWN_PORT = 3
    UNSUPPORTED_PAYLOAD = 4
    NO_INSTANCE_ID = 5
    FOREIGN_INSTANCE_ID = 6
    ECN_NOT_CAPABLE = 7
    TTL_EXPIRED = 8
    UNKNOWN_DESTINATION = 9
    NEGATIVE_NO_REASON = 10
    NEGATIVE_POLICY = 11
    NEGATIVE_AUTH = 12
    NO_RLOC = 13
    NO_UNDERLAY_ROUTE = 14


# Modes of packet_out: `PACKET_OUT_*` in p4src/include/headers.p4.
TRANSMIT = 0
SUBMIT = 1

_ENUMS: dict[str, type[IntEnum]] = {
    "encapsulation_t": Encapsulation,
    "punt_reason_t": PuntReason,
    "drop_reason_t": DropReason,
}


class ProgramMismatchError(ValueError):
    """The switch runs a program whose code points are not this controller's."""


def check(p4info: p4info_pb2.P4Info) -> None:
    """Compares every shared code point with the program's P4Info. Raises ProgramMismatchError naming the first."""
    for name, enum in _ENUMS.items():
        if name not in p4info.type_info.serializable_enums:
            raise ProgramMismatchError(f"P4Info type_info: no serializable enum {name}")
        members = p4info.type_info.serializable_enums[name].members
        theirs = {member.name: int.from_bytes(member.value, "big") for member in members}
        ours = {member.name: int(member) for member in enum}
        for member in sorted(theirs.keys() | ours.keys()):
            if theirs.get(member) != ours.get(member):
                raise ProgramMismatchError(
                    f"P4Info type_info.{name}.{member} = {theirs.get(member)}: "
                    f"this controller takes it for {ours.get(member)}"
                )
