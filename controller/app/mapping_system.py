"""A mapping system: the Map-Server's protocol core on a network."""

from __future__ import annotations

from collections.abc import Sequence

from controller.app.network import Transport
from controller.app.process import MachineProcess
from controller.lisp import Datagram, IPAddress
from controller.mapping import MapServer, MapServerConfig, MemoryStore, Store


class MappingSystem(MachineProcess[MapServer]):
    """One Map-Server and Map-Resolver."""

    def __init__(self, name: str, config: MapServerConfig, transport: Transport, store: Store | None = None) -> None:
        """`store`: what survives a restart; memory that does not, unless given."""
        machine = MapServer(config, store if store is not None else MemoryStore(), self.now())
        super().__init__(name, machine, config.address, transport)

    def listen(self, address: IPAddress | None = None) -> None:
        """From now on, datagrams to `address` reach it; all that came together share one store transaction."""
        self._transport.listen_all(address or self.address, self._receive_all)

    def _receive_all(self, datagrams: Sequence[Datagram]) -> None:
        self.perform(self.machine.receive_all(datagrams, self.now()))
