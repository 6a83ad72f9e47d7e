"""Several sockets at one address, of which the kernel chooses by instance-ID: the socket of a Map-Server worker.

Left alone, the kernel spreads senders over the sockets of an SO_REUSEPORT group, and one mapping would lie in several
processes. A classic BPF program at the group finds the first EID of a control message instead, and returns its
instance-ID modulo the number of sockets (SO_ATTACH_REUSEPORT_CBPF of socket(7)). It sees the UDP payload; where it
would read beyond the end, it ends with 0. So socket 0 gets what has no instance-ID, what is no message at all, and what
it does not look into: AFI lists as EID, names outside of an LCAF as source EID, LISP-SEC data before an inner packet.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

from controller.app.limits import MAX_WORKERS
from controller.app.udp_socket import Instruction, attach_program, open_control_socket
from controller.lisp import Endpoint
from controller.lisp.constants import MessageType

_SO_ATTACH_REUSEPORT_CBPF: Final = 51

# Codes of classic BPF (linux/bpf_common.h). A is the accumulator, X the index register, M[n] are words of memory.
_LDB_X: Final = 0x50  # A = octet at X + k
_LDH_X: Final = 0x48  # A = 16 bits at X + k
_LD_X: Final = 0x40  # A = 32 bits at X + k
_LD: Final = 0x00  # A = k
_LDX: Final = 0x01  # X = k
_LDX_IP_HEADER: Final = 0xB1  # X = 4 * (octet at k & 15)
_LD_MEM: Final = 0x60  # A = M[k]
_ST: Final = 0x02  # M[k] = A
_TAX: Final = 0x07
_TXA: Final = 0x87
_ADD: Final = 0x04
_ADD_X: Final = 0x0C
_SUB: Final = 0x14
_MOD: Final = 0x94
_AND: Final = 0x54
_RSH: Final = 0x74
_JA: Final = 0x05
_JEQ: Final = 0x15
_RET: Final = 0x06
_RET_A: Final = 0x16

_AFI_IPV4, _AFI_IPV6, _AFI_LCAF = 1, 2, 16387
_AFI_MACS: Final = (6, 16389)
_LCAF_HEADER: Final = 8  # octets with the AFI; the length of the rest stands in the last two of them
_LCAF_TYPES: Final = (2, 9)  # instance-ID and multicast info: both begin with 32 bits of instance-ID
_UDP: Final = 17
_IRC: Final = 0x1F
_MOST_ITR_RLOCS: Final = _IRC + 1
_LEFT: Final = 0  # M[0]: ITR-RLOCs still to be passed


def open_steered_sockets(endpoint: Endpoint, count: int, *, receive_buffer: int) -> tuple[socket.socket, ...]:
    """Return `count` non-blocking UDP sockets at one endpoint; number `iid % count` gets what is about `iid`.

    That holds while all are open, in whichever process: what one leaves behind moves the others' numbers.

    Raises ValueError for a count out of range; OSError if the endpoint is taken, also by another group, or the kernel
    refuses the program.
    """
    if not 1 <= count <= MAX_WORKERS:
        raise ValueError(f"count = {count}: must be 1 to {MAX_WORKERS}")
    # A socket that shares with nobody finds out whether somebody is here, who would become one of the group.
    open_control_socket(endpoint, reuse_port=False, receive_buffer=receive_buffer).close()
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(open_control_socket(endpoint, reuse_port=True, receive_buffer=receive_buffer))
            for _ in range(count)
        ]
        try:
            attach_program(sockets[0], _SO_ATTACH_REUSEPORT_CBPF, steering_program(count))
        except OSError as error:
            raise OSError(error.errno, f"cannot steer by instance-ID at {endpoint}: {error.strerror}") from None
        stack.pop_all()
    return tuple(sockets)


def steering_program(count: int) -> list[Instruction]:
    """The program that returns which of `count` sockets a control message belongs to."""
    return [
        *_find_message(),
        *_goto_records(),
        # Here X is where the first record's EID begins.
        (_LDH_X, 0, 0, 0),
        (_JEQ, 1, 0, _AFI_LCAF),
        (_RET, 0, 0, 0),
        (_LDB_X, 0, 0, 4),
        (_JEQ, 2, 0, _LCAF_TYPES[0]),
        (_JEQ, 1, 0, _LCAF_TYPES[1]),
        (_RET, 0, 0, 0),
        (_LD_X, 0, 0, _LCAF_HEADER),
        (_MOD, 0, 0, count),
        (_RET_A, 0, 0, 0),
    ]


def _find_message() -> list[Instruction]:
    """X becomes where the message begins: at 0, or in an Encapsulated Control Message behind IP and UDP."""
    return [
        (_LDX, 0, 0, 0),
        (_LDB_X, 0, 0, 0),
        (_AND, 0, 0, 0xF8),  # the type, and whether LISP-SEC data of unknown length comes before the inner packet
        (_JEQ, 0, 18, MessageType.ECM << 4),
        (_LDB_X, 0, 0, 4),
        (_RSH, 0, 0, 4),
        (_JEQ, 0, 6, 4),
        (_LDB_X, 0, 0, 4 + 9),
        (_JEQ, 1, 0, _UDP),
        (_RET, 0, 0, 0),
        (_LDX_IP_HEADER, 0, 0, 4),
        (_TXA, 0, 0, 0),
        (_JA, 0, 0, 6),
        (_JEQ, 1, 0, 6),
        (_RET, 0, 0, 0),
        (_LDB_X, 0, 0, 4 + 6),
        (_JEQ, 1, 0, _UDP),
        (_RET, 0, 0, 0),
        (_LD, 0, 0, 40),
        (_ADD, 0, 0, 4 + 8),
        (_TAX, 0, 0, 0),
    ]


def _goto_records() -> list[Instruction]:
    """X becomes where the EID of the first record begins."""
    request = _pass_request()
    authenticated: list[Instruction] = [
        (_LDH_X, 0, 0, 14),  # length of the Authentication Data
        (_ADD_X, 0, 0, 0),
        (_ADD, 0, 0, 16 + 10),
        (_TAX, 0, 0, 0),
    ]
    return [
        (_LDB_X, 0, 0, 0),
        (_RSH, 0, 0, 4),
        (_JEQ, 4, 0, MessageType.MAP_REQUEST),
        (_JEQ, 4, 0, MessageType.MAP_REGISTER),
        (_JEQ, 3, 0, MessageType.MAP_NOTIFY),
        (_JEQ, 2, 0, MessageType.MAP_NOTIFY_ACK),
        (_RET, 0, 0, 0),
        (_JA, 0, 0, len(authenticated) + 1),
        *authenticated,
        (_JA, 0, 0, len(request)),
        *request,
    ]


def _pass_request() -> list[Instruction]:
    """X goes from the beginning of a Map-Request to the EID of its first record: over source EID and ITR-RLOCs."""
    passes = [_pass_address() for _ in range(_MOST_ITR_RLOCS)]
    program: list[Instruction] = [
        (_LDB_X, 0, 0, 2),
        (_AND, 0, 0, _IRC),
        (_ADD, 0, 0, 1),
        (_ST, 0, 0, _LEFT),
        (_TXA, 0, 0, 0),
        (_ADD, 0, 0, 12),
        (_TAX, 0, 0, 0),
        *_pass_address(),
    ]
    for index, one in enumerate(passes):
        rest = sum(len(later) + 5 for later in passes[index + 1 :])
        program += [
            (_LD_MEM, 0, 0, _LEFT),
            (_JEQ, 0, 1, 0),
            (_JA, 0, 0, 2 + len(one) + rest),
            (_SUB, 0, 0, 1),
            (_ST, 0, 0, _LEFT),
            *one,
        ]
    return [*program, (_TXA, 0, 0, 0), (_ADD, 0, 0, 2), (_TAX, 0, 0, 0)]


def _pass_address() -> list[Instruction]:
    """X goes over an address: none, IPv4, IPv6, MAC or any LCAF. With another, the program ends."""
    return [
        (_LDH_X, 0, 0, 0),
        (_JEQ, 14, 0, 0),
        (_JEQ, 8, 0, _AFI_IPV4),
        (_JEQ, 11, 0, _AFI_IPV6),
        (_JEQ, 8, 0, _AFI_MACS[0]),
        (_JEQ, 7, 0, _AFI_MACS[1]),
        (_JEQ, 1, 0, _AFI_LCAF),
        (_RET, 0, 0, 0),
        (_LDH_X, 0, 0, _LCAF_HEADER - 2),
        (_ADD, 0, 0, _LCAF_HEADER - 2),
        (_JA, 0, 0, 5),
        (_LD, 0, 0, 4),
        (_JA, 0, 0, 3),
        (_LD, 0, 0, 6),
        (_JA, 0, 0, 1),
        (_LD, 0, 0, 16),
        (_ADD, 0, 0, 2),
        (_ADD_X, 0, 0, 0),
        (_TAX, 0, 0, 0),
    ]
