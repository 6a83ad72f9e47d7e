"""A switch: ports, a program, its state, and an engine that carries packets through."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from softswitch.ports.base import Port
from softswitch.ports.workqueue import WorkQueue, shared_queue
from softswitch.program import Program
from softswitch.reference.engine import ReferenceEngine
from softswitch.reference.trace import Event, TraceSink
from softswitch.state import DigestList, Entry, SwitchState

log = logging.getLogger(__name__)

MAX_PORT = 510  # 511 is the drop port, 9 bits are all that v1model has
MAX_PASSES = 1024  # of one packet and its copies through process()
_SWEEP_INTERVAL = 1.0  # seconds between looks for idle entries and port changes, as in bmv2
_DIGEST_INTERVAL = 0.02  # seconds between looks for digest lists that are due, if the program has digests

Output = tuple[int, bytes]  # egress port, packet
Work = object  # a packet about to enter ingress; its content is the engine's own affair


class Engine(Protocol):
    """Carries packets through one program over its state."""

    def receive(self, port: int, packet: bytes) -> Work:
        """A packet that has arrived on a port."""

    def step(self, work: Work) -> tuple[Sequence[Output], Sequence[Work]]:
        """One pass: what leaves, and copies that enter ingress again (resubmitted, recirculated)."""


EngineFactory = Callable[..., Engine]


@dataclass(slots=True)
class PortCounters:
    """Packets and bytes since the port was added; lost: refused because the queue was full."""

    rx_packets: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class AttachedPort:
    """A port of a switch."""

    number: int
    port: Port
    counters: PortCounters

    @property
    def is_up(self) -> bool:
        """Whether packets can pass."""
        return self.port.is_up


class Switch:
    """A v1model switch.

    device_id: P4Runtime device id
    cpu_port:  port number of the controller; packets sent there go to on_packet_in
    drop_port: value of egress_spec that drops
    trace:     receives the events of every packet; None for full speed
    clock:     nanoseconds, monotonic; the program's timestamps begin at 0 when the switch is made
    queue:     shared by all switches that are linked to each other
    """

    def __init__(
        self,
        device_id: int,
        *,
        cpu_port: int | None = None,
        drop_port: int = 511,
        trace: TraceSink | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        queue: WorkQueue | None = None,
        engine: EngineFactory = ReferenceEngine,
    ) -> None:
        self.device_id = device_id
        self.cpu_port = cpu_port
        self.drop_port = drop_port
        self.trace = trace
        self.clock = clock
        self.queue = queue if queue is not None else shared_queue
        self.on_packet_in: Callable[[bytes], None] | None = None
        self.on_digest: Callable[[DigestList], None] | None = None
        self.on_idle_timeout: Callable[[str, list[Entry]], None] | None = None
        self.on_port_status: Callable[[int, bool], None] | None = None
        self.on_ports_changed: Callable[[], None] | None = None  # for the P4Runtime server, as on_packet_in
        self.unsent = 0  # packets for ports that are not there, or for a controller that is not there
        self._make_engine = engine
        self._started_ns = clock()
        self._ports: dict[int, AttachedPort] = {}
        self._was_up: dict[int, bool] = {}
        self._engine: Engine | None = None
        self._program: Program | None = None
        self._state: SwitchState | None = None

    @property
    def program(self) -> Program | None:
        """The running program, None before the first."""
        return self._program

    @property
    def state(self) -> SwitchState:
        """The state of the running program. RuntimeError before the first program."""
        if self._state is None:
            raise RuntimeError("the switch has no program")
        return self._state

    def set_program(self, program: Program) -> None:
        """Run a program, with fresh state, from the next packet on."""
        state = SwitchState(program, self.clock)
        state.port_is_up = self._port_is_up
        state.set_digest_callback(self._digest)
        self._engine = self._make_engine(
            program,
            state,
            drop_port=self.drop_port,
            started_ns=self._started_ns,
            trace=self.trace,
        )
        self._program, self._state = program, state

    @property
    def ports(self) -> Mapping[int, AttachedPort]:
        """The ports by number; the CPU port is not among them."""
        return MappingProxyType(self._ports)

    def add_port(self, number: int, port: Port) -> AttachedPort:
        """Open a port. ValueError if the number is taken, reserved or out of range; OSError from the port."""
        if not 0 <= number <= MAX_PORT or number in (self.drop_port, self.cpu_port):
            raise ValueError(f"port number {number} is reserved or not in 0..{MAX_PORT}")
        if number in self._ports:
            raise ValueError(f"port {number} is taken by {self._ports[number].port.name}")
        attached = AttachedPort(number, port, PortCounters())
        self._ports[number] = attached
        try:
            port.open(lambda packet: self.inject(number, packet))
        except OSError:
            del self._ports[number]
            raise
        self._was_up[number] = port.is_up
        if self.on_ports_changed is not None:
            self.on_ports_changed()
        return attached

    def remove_port(self, number: int) -> None:
        """Close a port. KeyError if there is none."""
        self._ports.pop(number).port.close()
        self._was_up.pop(number, None)
        if self.on_ports_changed is not None:
            self.on_ports_changed()

    def close(self) -> None:
        """Close all ports."""
        for number in list(self._ports):
            self.remove_port(number)

    def inject(self, port_number: int, packet: bytes) -> None:
        """A packet received on a port: processed, and the results sent, before this returns or soon after."""
        attached = self._ports.get(port_number)
        if attached is not None:
            attached.counters.rx_packets += 1
            attached.counters.rx_bytes += len(packet)
        if not self.queue.post(lambda: self._begin(port_number, packet)) and attached is not None:
            attached.counters.lost += 1

    def packet_out(self, packet: bytes) -> None:
        """A packet from the controller, its packet-out header in front. RuntimeError without a CPU port."""
        if self.cpu_port is None:
            raise RuntimeError("the switch has no CPU port")
        self.inject(self.cpu_port, packet)

    def process(self, port: int, packet: bytes) -> list[Output]:
        """Carry one packet through, without ports: what leaves, as (egress port, packet), in order.

        Copies that recirculate or are resubmitted are followed, up to MAX_PASSES passes in all.
        RuntimeError before the first program.
        """
        return self._follow(self._require_engine(), port, packet)

    def explain(self, port: int, packet: bytes) -> tuple[list[Output], list[Event]]:
        """As process(), by the reference engine, with everything that happened on the way.

        The packet is processed for real: counters, meters and registers change.
        """
        self._require_engine()
        events: list[Event] = []
        assert self._program is not None
        engine = ReferenceEngine(
            self._program, self.state, drop_port=self.drop_port, started_ns=self._started_ns, trace=events.append
        )
        return self._follow(engine, port, packet), events

    async def run(self) -> None:
        """Keep time until cancelled: idle entries, digest lists that are due, ports going up and down."""
        loop = asyncio.get_running_loop()
        next_sweep = loop.time() + _SWEEP_INTERVAL
        while True:
            with_digests = self._state is not None and self._state.digest_streams
            await asyncio.sleep(_DIGEST_INTERVAL if with_digests else _SWEEP_INTERVAL)
            self.poll_digests()
            if loop.time() >= next_sweep:
                next_sweep = loop.time() + _SWEEP_INTERVAL
                self.sweep_idle()
                self.poll_ports()

    def poll_digests(self) -> None:
        """Send the digest lists that are due."""
        if self._state is not None:
            for stream in self._state.digest_streams.values():
                stream.poll()

    def sweep_idle(self) -> None:
        """Report entries that have become idle."""
        if self._state is None:
            return
        for table, entries in self._state.sweep_idle():
            if self.on_idle_timeout is not None:
                self.on_idle_timeout(table, entries)

    def poll_ports(self) -> None:
        """Report ports that have gone up or down."""
        changed = {number for number, attached in self._ports.items() if self._was_up.get(number) != attached.is_up}
        for number in changed:
            self._was_up[number] = self._ports[number].is_up
        if changed and self.on_ports_changed is not None:
            self.on_ports_changed()
        for number in changed:
            if self.on_port_status is not None:
                self.on_port_status(number, self._was_up[number])

    @staticmethod
    def _follow(engine: Engine, port: int, packet: bytes) -> list[Output]:
        results: list[Output] = []
        waiting: list[Work] = [engine.receive(port, packet)]
        for _ in range(MAX_PASSES):
            if not waiting:
                break
            outputs, again = engine.step(waiting.pop(0))
            results.extend(outputs)
            waiting = [*again, *waiting]
        else:
            log.warning("a packet was dropped after %d passes", MAX_PASSES)
        return results

    def _begin(self, port: int, packet: bytes) -> None:
        if self._engine is not None:
            self._step(self._engine, self._engine.receive(port, packet))

    def _step(self, engine: Engine, work: Work) -> None:
        if engine is not self._engine:
            return  # the program was replaced while the packet waited
        outputs, again = engine.step(work)
        for output in outputs:
            self._transmit(output)
        for more in reversed(again):
            self.queue.post(lambda more=more: self._step(engine, more), first=True)  # type: ignore[misc]

    def _transmit(self, output: Output) -> None:
        number, packet = output
        if number == self.cpu_port:
            if self.on_packet_in is not None:
                self.on_packet_in(packet)
            else:
                self.unsent += 1
            return
        attached = self._ports.get(number)
        if attached is None:
            self.unsent += 1
            return
        attached.counters.tx_packets += 1
        attached.counters.tx_bytes += len(packet)
        attached.port.send(packet)

    def _digest(self, digest: DigestList) -> None:
        if self.on_digest is not None:
            self.on_digest(digest)

    def _port_is_up(self, number: int) -> bool:
        attached = self._ports.get(number)
        return number == self.cpu_port or (attached is not None and attached.is_up)

    def _require_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the switch has no program")
        return self._engine
