"""Reading a topology file: a whole, consistent Topology, or one error that names each problem."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from topologies.checks import problems_of
from topologies.schema import Topology
from topologies.yaml_source import TopologyError, place, read_yaml


def load(file: Path) -> Topology:
    """Reads and checks a topology file. Raises TopologyError."""
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
