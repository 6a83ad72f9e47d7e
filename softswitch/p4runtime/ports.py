"""Port numbers in replicas and watch ports.

P4Runtime 1.3 moved ports from integers to bytestrings; both are taken, and come back in the member they came in. A
port need not exist (yet): the ports of a software switch come and go, and one that is absent is one that is down.
"""

from __future__ import annotations

from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.bytestring import decode_unsigned, encode_unsigned
from softswitch.p4runtime.errors import invalid_argument

_PORT_BITS: Final = 32
_MAX_PORT: Final = 511

Watching = p4rt.ActionProfileGroup.Member | p4rt.ActionProfileAction


def replica_port(replica: p4rt.Replica, where: str) -> int:
    """The egress port of a replica.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`, if it is unset or wider than v1model's 9 bits.
    """
    kind = replica.WhichOneof("port_kind")
    if kind is None:
        raise invalid_argument(f"{where}: the replica's port is not set")
    if kind == "port":
        return _checked(decode_unsigned(replica.port, _PORT_BITS, f"{where}: port"), where)
    return _checked(replica.egress_port, where)


def backup_port(backup: p4rt.BackupReplica, where: str) -> int:
    """The egress port of a backup replica.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`, if it is unset or wider than v1model's 9 bits.
    """
    if not backup.port:
        raise invalid_argument(f"{where}: the backup replica's port is not set")
    return _checked(decode_unsigned(backup.port, _PORT_BITS, f"{where}: backup port"), where)


def watch_port(member: Watching, where: str) -> int | None:
    """The port that a member of a group depends on, None for none (unset, empty, or the integer 0).

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`, if it is wider than v1model's 9 bits.
    """
    kind = member.WhichOneof("watch_kind")
    if kind == "watch_port" and member.watch_port:
        return _checked(decode_unsigned(member.watch_port, _PORT_BITS, f"{where}: watch_port"), where)
    if kind == "watch" and member.watch:
        return _checked(member.watch, where)
    return None


def canonical_replica(replica: p4rt.Replica, port: int) -> p4rt.Replica:
    """The replica as it is read back."""
    if replica.WhichOneof("port_kind") == "port":
        return p4rt.Replica(port=encode_unsigned(port), instance=replica.instance)
    return p4rt.Replica(egress_port=port, instance=replica.instance)


def copy_watch(source: Watching, port: int | None, target: Watching) -> None:
    """Sets the watch port of a message that is read back, in the member it came in."""
    if port is None:
        return
    if source.WhichOneof("watch_kind") == "watch_port":
        target.watch_port = encode_unsigned(port)
    else:
        target.watch = port


def _checked(port: int, where: str) -> int:
    if not 0 <= port <= _MAX_PORT:
        raise invalid_argument(f"{where}: port {port} is not in 0..{_MAX_PORT}")
    return port
