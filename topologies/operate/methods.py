"""Every method of the control socket of a fabric, by name."""

from __future__ import annotations

from collections.abc import Callable

from controller.app.control import Method
from topologies.inprocess import Fabric
from topologies.operate.status import Status


def methods_of(fabric: Fabric, stop: Callable[[], object]) -> dict[str, Method]:
    """The methods of a fabric, those that its own parts have registered included. `stop` takes it down."""
    return {**Status(fabric, stop).methods(), **fabric.control_methods}
