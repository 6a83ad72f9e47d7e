"""A mapping system: the Map-Server's protocol core on a network."""

from __future__ import annotations

from controller.app.network import Transport
from controller.app.process import MachineProcess
from controller.mapping import MapServer, MapServerConfig, MemoryStore, Store


class MappingSystem(MachineProcess[MapServer]):
    """One Map-Server and Map-Resolver."""

    def __init__(self, name: str, config: MapServerConfig, transport: Transport, store: Store | None = None) -> None:
        """`store`: what survives a restart; memory that does not, unless given."""
        machine = MapServer(config, store if store is not None else MemoryStore(), self.now())
        super().__init__(name, machine, config.address, transport)
