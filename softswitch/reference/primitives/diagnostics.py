"""Primitives for people: assertions and messages."""

from __future__ import annotations

import logging
import re

from softswitch.reference.packet import Packet, PacketDropped
from softswitch.reference.primitives.context import Arguments, Compiler, Context, Run
from softswitch.reference.trace import Logged

log = logging.getLogger(__name__)


def _assert(args: Arguments, _: Context) -> Run:
    holds = args.data(0)

    def run(packet: Packet) -> None:
        if holds(packet.fields) == 0:
            raise PacketDropped("an assertion of the program does not hold")

    return run


_PLACEHOLDER = re.compile(r"\\([{}])|\{[^}]*\}")


def _log_message(args: Arguments, context: Context) -> Run:
    template, items = args[0], args[1]
    assert isinstance(template, str)
    assert isinstance(items, tuple)
    values = [context.expressions.data(item) for item in items]

    def run(packet: Packet) -> None:
        left = iter(values)

        def substitute(found: re.Match[str]) -> str:
            if found[1]:
                return found[1]
            value = next(left, None)
            return found[0] if value is None else str(value(packet.fields))

        message = _PLACEHOLDER.sub(substitute, template)
        log.info("%s", message)
        if context.trace is not None:
            context.trace(Logged(packet.id, message))

    return run


COMPILERS: dict[str, Compiler] = {"assert": _assert, "assume": _assert, "log_msg": _log_message}
