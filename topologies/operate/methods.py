"""Every method of the control socket of a fabric, by name."""

from __future__ import annotations

from collections.abc import Callable

from controller.app.control import Method
from topologies.inprocess import Fabric
from topologies.operate.capture import Capture
from topologies.operate.failures import Failures
from topologies.operate.moves import Moves
from topologies.operate.ping import Ping
from topologies.operate.show import Show
from topologies.operate.status import Status
from topologies.operate.trace import Trace


def methods_of(fabric: Fabric, stop: Callable[[], object]) -> dict[str, Method]:
    """The methods of a fabric, those that its own parts have registered included. `stop` takes it down."""
    found = Status(fabric, stop).methods()
    for family in (Show, Trace, Ping, Failures, Moves, Capture):
        found |= family(fabric).methods()
    return found | fabric.control_methods
