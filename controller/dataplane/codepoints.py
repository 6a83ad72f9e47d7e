"""Code points that the P4 program and its controller share, and the check that they still do.

The program defines them as serializable enums (`p4src/include/types.p4`); P4Info carries their members, so a
controller that meets a switch with another program finds out before it writes anything.
"""

from __future__ import annotations

from enum import IntEnum

from p4.config.v1 import p4info_pb2


class PayloadKind(IntEnum):
    """What a forwarded packet is, tunnels taken off: `payload_kind_t`."""

    NONE = 0
    IPV4 = 1
    IPV6 = 2
    SCALE_UP = 3


class Domain(IntEnum):
    """Which of the draft's two networks an Instance-ID belongs to: `domain_t`."""

    SCALE_OUT = 0
    SCALE_UP = 1


class Encapsulation(IntEnum):
    """How an Instance-ID's packets are tunnelled: `encapsulation_t`.

    LISP carries IP only. VXLAN carries Ethernet frames, IP packets in frames of its own.
    """

    NONE = 0
    LISP = 1
    VXLAN_GPE = 2
    LISP_GPE = 3
    VXLAN = 4


class Spray(IntEnum):
    """Which packets of an Instance-ID are spread one by one instead of flow by flow: `spray_t`."""

    FLOW = 0
    TOLERANT = 1
    EVERY = 2


class PuntReason(IntEnum):
    """Why a packet came to the controller: `punt_reason_t`, the `reason` of packet_in."""

    NONE = 0
    UNKNOWN_DESTINATION = 1
    TO_LOCAL_RLOC = 2
    TOO_BIG = 3
    MEMBERSHIP = 4
    SAMPLE = 5


class DropReason(IntEnum):
    """Why a packet was dropped: `drop_reason_t`, the index of the drop counters."""

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
    SPOOFED_SOURCE = 15
    TOO_BIG = 16
    SPLIT_HORIZON = 17
    INSTANCE_LIMITED = 18
    PUNT_LIMITED = 19
    PUNT_SUPPRESSED = 20
    NOT_A_MEMBER = 21
    STALE_GENERATION = 22
    BAD_SLOT = 23
    STALE_ROUND = 24
    REPEATED = 25
    ABSORBED = 26
    SLOT_CLEARED = 27


class CollectiveKind(IntEnum):
    """What a packet of a collective is (docs/incc.md). Not in P4Info, for no table or controller packet has it."""

    CONTRIBUTION = 0
    RESULT = 1
    CLEAR = 2


class CollectiveOperation(IntEnum):
    """How the values of a collective are combined. Not in P4Info either."""

    SUM = 0
    MINIMUM = 1
    MAXIMUM = 2
    AND = 3
    OR = 4
    XOR = 5


# Modes of packet_out: `PACKET_OUT_*` in p4src/include/headers.p4.
TRANSMIT = 0
SUBMIT = 1

# Of p4src/v1model/arch.p4: the port to the controller, and the clone session of sampled copies.
CPU_PORT = 510
SAMPLE_SESSION = 1

_ENUMS: dict[str, type[IntEnum]] = {
    "payload_kind_t": PayloadKind,
    "domain_t": Domain,
    "encapsulation_t": Encapsulation,
    "spray_t": Spray,
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
