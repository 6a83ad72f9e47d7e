"""Reading a topology file: a whole, consistent Topology, or one error that names each problem."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from topologies.checks import problems_of
from topologies.schema import Topology
from topologies.yaml_source import TopologyError, place, read_yaml

_SHIPPED = Path(__file__).parent


def shipped() -> list[str]:
    """Names of the topologies that come with lispfabric."""
    return sorted(file.stem for file in _SHIPPED.glob("*.yaml"))


def find(file: Path) -> Path:
    """The file, or the topology of that name that comes with lispfabric. Raises TopologyError when there is neither."""
    if file.exists() or file.suffix or len(file.parts) != 1:
        return file
    if file.name not in shipped():
        raise TopologyError(f"{file}: no such file, and no such topology: there are {', '.join(shipped())}")
    return _SHIPPED / f"{file.name}.yaml"


def load(file: Path) -> Topology:
    """Reads and checks a topology file, or one of those that come with lispfabric by name. Raises TopologyError."""
    file = find(file)
    data, lines = read_yaml(file)
    if not isinstance(data, dict):
        raise TopologyError(f"{place(file, lines, ())}: a mapping of sections is needed, not {type(data).__name__}")
    try:
        topology = Topology.model_validate(data)
    except ValidationError as error:
        found = []
        for detail in error.errors():
            plain = not isinstance(detail["input"], dict | list | tuple) and "secret" not in detail["loc"]
            given = f" = {detail['input']!r}" if plain else ""
            found.append(f"{place(file, lines, tuple(detail['loc']))}{given}: {detail['msg']}")
        raise TopologyError("\n".join(found)) from None
    if problems := problems_of(topology):
        raise TopologyError("\n".join(f"{place(file, lines, path)}: {why}" for path, why in problems))
    return topology
