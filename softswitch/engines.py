"""The choice of an engine: machine code where that is possible, the reference engine elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from softswitch.ports.workqueue import WorkQueue
from softswitch.program import Program, ProgramError
from softswitch.state import SwitchState
from softswitch.state.memory import Memory

if TYPE_CHECKING:
    from softswitch.native.engine import NativeEngine, Owner
    from softswitch.native.rings import PacketRings
    from softswitch.ports.packet_socket import InterfacePort

log = logging.getLogger(__name__)


def make_native(
    program: Program,
    state: SwitchState,
    queue: WorkQueue,
    owner: Owner,
    ports: Memory,
    *,
    required: bool,
    drop_port: int,
    cpu_port: int | None,
    started_ns: int,
    trace_every: int,
) -> NativeEngine | None:
    """The native engine of a program; see :class:`softswitch.native.engine.NativeEngine` for the arguments.

    Where it cannot be had, one line in the log says why and the answer is None. ProgramError if it is required.
    """
    try:
        from softswitch.native.engine import NativeEngine
        from softswitch.native.errors import UntranslatableError
        from softswitch.native.hub import hub_of
    except ImportError as error:
        return _without(program, f"llvmlite cannot be imported: {error}", required)
    try:
        return NativeEngine(
            program,
            state,
            hub_of(queue),
            owner,
            ports,
            drop_port=drop_port,
            cpu_port=cpu_port,
            started_ns=started_ns,
            trace_every=trace_every,
        )
    except UntranslatableError as error:
        return _without(program, f"it has {error}", required)
    except OSError as error:
        return _without(program, str(error), required)


def make_rings(native: NativeEngine, port: InterfacePort, number: int) -> PacketRings | None:
    """Packet rings for a port of a native switch, None where the kernel has none."""
    from softswitch.native.rings import PacketRings

    if port.socket is None:
        return None
    try:
        return PacketRings(port.name, port.socket, native.hub, native.address, number)
    except (OSError, RuntimeError) as error:
        log.warning("port %d: %s is served by Python, since it has no packet rings: %s", number, port.name, error)
        return None


def _without(program: Program, reason: str, required: bool) -> NativeEngine | None:
    if required:
        raise ProgramError("", program.name, f"cannot be run by the native engine: {reason}")
    log.warning("program %s runs on the reference engine: %s", program.name, reason)
    return None
