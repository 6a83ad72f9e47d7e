"""Primitives that decide what becomes of the packet. Most leave a mark that the architecture acts on later."""

from __future__ import annotations

from softswitch.program.headers import FieldRef, Header
from softswitch.reference.expressions import field_writer
from softswitch.reference.packet import Packet
from softswitch.reference.primitives.context import Arguments, Compiler, Context, Run

_MAX_U16 = (1 << 16) - 1
_SESSION_MASK = (1 << 15) - 1


def _drop(_args: Arguments, context: Context) -> Run:
    return _drop_through(
        context.standard("standard_metadata.egress_spec"),
        context.standard("intrinsic_metadata.mcast_grp"),
        context,
    )


def _mark_to_drop(args: Arguments, context: Context) -> Run:
    header = getattr(args.expr(0), "header", None)
    assert isinstance(header, Header)
    refs = (header.type.find(name) for name in ("egress_spec", "mcast_grp"))
    egress_spec, group = (FieldRef(header, field) if field else None for field in refs)
    return _drop_through(egress_spec, group, context)


def _drop_through(egress_spec: FieldRef | None, group: FieldRef | None, context: Context) -> Run:
    assert egress_spec is not None
    write, drop_port = field_writer(context.layout.spec(egress_spec)), context.drop_port
    group_slot = context.layout.slot(group) if group is not None else None

    def run(packet: Packet) -> None:
        write(packet.fields, drop_port)
        if group_slot is not None:
            packet.fields[group_slot] = 0

    return run


def _clone(args: Arguments, _: Context) -> Run:
    session, field_list = args.data(0), args.data(1)

    def run(packet: Packet) -> None:
        packet.clone_session = min(session(packet.fields), _MAX_U16) & _SESSION_MASK
        packet.clone_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _resubmit(args: Arguments, _: Context) -> Run:
    field_list = args.data(0)

    def run(packet: Packet) -> None:
        packet.resubmit_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _recirculate(args: Arguments, _: Context) -> Run:
    field_list = args.data(0)

    def run(packet: Packet) -> None:
        packet.recirculate_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _generate_digest(args: Arguments, _: Context) -> Run:
    digest = args.data(1)  # the receiver, argument 0, is not used

    def run(packet: Packet) -> None:
        packet.digest = min(digest(packet.fields), _MAX_U16)

    return run


def _truncate(args: Arguments, _: Context) -> Run:
    length = args.data(0)

    def run(packet: Packet) -> None:
        wanted = max(length(packet.fields), 0)
        packet.limit = wanted if packet.limit is None else min(wanted, packet.limit)

    return run


def _exit(_args: Arguments, _: Context) -> Run:
    def run(packet: Packet) -> None:
        packet.exited = True

    return run


def _no_op(_args: Arguments, _: Context) -> Run:
    return lambda packet: None


COMPILERS: dict[str, Compiler] = {
    "clone_egress_pkt_to_egress": _clone,
    "clone_ingress_pkt_to_egress": _clone,
    "drop": _drop,
    "exit": _exit,
    "generate_digest": _generate_digest,
    "mark_to_drop": _mark_to_drop,
    "no_op": _no_op,
    "recirculate": _recirculate,
    "resubmit": _resubmit,
    "truncate": _truncate,
}
