"""Parameters that name something of a fabric; what is not there is refused, with what comes close."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from controller.app.control_errors import ControlError, invalid, text, unknown
from topologies.inprocess import Fabric
from topologies.plan import PortPlan


def accelerators(fabric: Fabric) -> list[str]:
    """The names of all accelerators."""
    return [one.name for one in fabric.topology.accelerators]


def accelerator(fabric: Fabric, params: Mapping[str, Any], field: str = "accelerator") -> str:
    """The name of an accelerator. Raises ControlError."""
    return _one_of(accelerators(fabric), "accelerator", params, field)


def switch(fabric: Fabric, params: Mapping[str, Any], field: str = "switch") -> str:
    """The name of a switch. Raises ControlError."""
    return _one_of(fabric.plans, "switch", params, field)


def xtr(fabric: Fabric, params: Mapping[str, Any], field: str = "xtr") -> str:
    """The name of an xTR. Raises ControlError."""
    return _one_of(fabric.routers, "xTR", params, field)


def map_server(fabric: Fabric, params: Mapping[str, Any], field: str = "map_server") -> str:
    """The name of a Map-Server. Raises ControlError."""
    return _one_of(fabric.mapping_systems, "Map-Server", params, field)


def _one_of(known: Collection[str], kind: str, params: Mapping[str, Any], field: str) -> str:
    name = text(params, field)
    if name not in known:
        raise unknown(field, name, known, kind)
    return name


def port(fabric: Fabric, params: Mapping[str, Any], field: str = "port") -> tuple[str, PortPlan]:
    """A port as `SWITCH:NUMBER` or `SWITCH:PEER`: the switch's name and the port. Raises ControlError."""
    value = text(params, field)
    name, _, number = value.rpartition(":")
    if name not in fabric.plans:
        reason = "a port is SWITCH:NUMBER or SWITCH:PEER"
        raise unknown(field, name, fabric.plans, "switch") if name else invalid(field, value, reason)
    ports = fabric.plans[name].ports
    for planned in ports:
        if number in (str(planned.number), planned.peer):
            return name, planned
    known = ", ".join(f"{name}:{planned.number} (to {planned.peer})" for planned in ports)
    raise invalid(field, value, f"no such port; there are {known}")


def links(fabric: Fabric) -> list[str]:
    """The links of a fabric, each as `ONE-OTHER`; those between the same two ends once."""
    found: dict[str, None] = {}
    for name, planned in fabric.plans.items():
        for one in planned.ports:
            if one.access or f"{one.peer}-{name}" not in found:
                found[f"{name}-{one.peer}"] = None
    return list(found)


def link(fabric: Fabric, params: Mapping[str, Any], field: str = "link") -> list[tuple[str, PortPlan]]:
    """A link as `ONE-OTHER`, its ends in any order: a switch and its port for each cable of it. Raises ControlError."""
    value = text(params, field)
    ends = (*fabric.plans, *accelerators(fabric))
    for one in ends:
        other = value.removeprefix(f"{one}-")
        if other == value or other not in ends:
            continue
        here, there = (one, other) if one in fabric.plans else (other, one)
        ports = (
            [planned for planned in fabric.plans[here].ports if planned.peer == there] if here in fabric.plans else []
        )
        if ports:
            return [(here, planned) for planned in ports]
    turned = ["-".join(reversed(name.split("-"))) for name in links(fabric) if name.count("-") == 1]
    raise unknown(field, value, [*links(fabric), *turned], "link (ONE-OTHER)")


def refused(error: Exception) -> ControlError:
    """What a part of the fabric would not do."""
    return ControlError(str(error))
