"""A switch: ports, a program, its state, and an engine that carries packets through."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from softswitch.engines import make_native, make_rings
from softswitch.native.runtime.structs import (
    ABSENT,
    LINK,
    PORT_BYTES,
    PORT_COUNT,
    PORT_KIND,
    PORT_LOST,
    PORT_RX_BYTES,
    PORT_RX_PACKETS,
    PORT_TX_BYTES,
    PORT_TX_PACKETS,
    RING,
    TO_PYTHON,
)
from softswitch.ports.base import Port
from softswitch.ports.link import LinkEnd, NativePort
from softswitch.ports.packet_socket import InterfacePort
from softswitch.ports.workqueue import WorkQueue, shared_queue
from softswitch.program import Program
from softswitch.reference.engine import ReferenceEngine
from softswitch.reference.trace import Event, TraceSink
from softswitch.state import DigestList, Entry, SwitchState
from softswitch.state.memory import Memory

if TYPE_CHECKING:
    from softswitch.native.engine import NativeEngine
    from softswitch.native.rings import PacketRings

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


EngineName = Literal["auto", "native", "reference"]


class PortCounters:
    """Packets and bytes since the port was added; lost: refused because the queue was full.

    They are in memory that machine code counts in too.
    """

    def __init__(self, ports: Memory, number: int) -> None:
        self._words = ports.view[PORT_BYTES // 8 * number : PORT_BYTES // 8 * (number + 1)]
        for offset in (PORT_RX_PACKETS, PORT_RX_BYTES, PORT_TX_PACKETS, PORT_TX_BYTES, PORT_LOST):
            self._words[offset // 8] = 0

    @property
    def rx_packets(self) -> int:
        """Packets received."""
        return self._words[PORT_RX_PACKETS // 8]

    @property
    def rx_bytes(self) -> int:
        """Octets received."""
        return self._words[PORT_RX_BYTES // 8]

    @property
    def tx_packets(self) -> int:
        """Packets sent."""
        return self._words[PORT_TX_PACKETS // 8]

    @property
    def tx_bytes(self) -> int:
        """Octets sent."""
        return self._words[PORT_TX_BYTES // 8]

    @property
    def lost(self) -> int:
        """Packets received and lost."""
        return self._words[PORT_LOST // 8]

    def received(self, octets: int) -> None:
        """Account a packet."""
        self._words[PORT_RX_PACKETS // 8] += 1
        self._words[PORT_RX_BYTES // 8] += octets

    def sent(self, octets: int) -> None:
        """Account a packet."""
        self._words[PORT_TX_PACKETS // 8] += 1
        self._words[PORT_TX_BYTES // 8] += octets

    def lose(self) -> None:
        """Account a packet."""
        self._words[PORT_LOST // 8] += 1

    def connect(self, kind: int, peer: NativePort | None = None) -> None:
        """Say where machine code sends what leaves by the port."""
        self._words[PORT_KIND // 8 + 1] = peer.switch if peer is not None else 0
        self._words[PORT_KIND // 8 + 2] = peer.port if peer is not None else 0
        self._words[PORT_KIND // 8] = kind


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
    engine:    ``native`` or ``reference``; ``auto`` is native where that is possible
    trace_every: with the native engine, one of that many packets is traced, by the reference engine; 1 for all
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
        engine: EngineName = "auto",
        trace_every: int = 1,
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
        self._unsent = 0
        self._engine_name = engine
        self._trace_every = trace_every
        self._started_ns = clock()
        self._ports: dict[int, AttachedPort] = {}
        self._was_up: dict[int, bool] = {}
        self._memory = Memory(PORT_BYTES * PORT_COUNT)
        self._engine: Engine | None = None
        self._native: NativeEngine | None = None
        self._rings: dict[int, PacketRings] = {}
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
        native = self._make_native(program, state)
        if self._native is not None:
            self._unsent += self._native.unsent
            self._native.close()
        self._engine = None
        self._native = native
        self._program, self._state = program, state
        if native is None:
            self._require_engine()
        for number in self._ports:
            self._connect(number)

    def _make_native(self, program: Program, state: SwitchState) -> NativeEngine | None:
        """The program in machine code, None for the reference engine."""
        if self._engine_name == "reference" or (self.trace is not None and self._trace_every == 1):
            return None
        return make_native(
            program,
            state,
            self.queue,
            self,
            self._memory,
            required=self._engine_name == "native",
            drop_port=self.drop_port,
            cpu_port=self.cpu_port,
            started_ns=self._started_ns,
            trace_every=0 if self.trace is None else self._trace_every,
        )

    @property
    def engine(self) -> Literal["native", "reference"]:
        """What carries packets."""
        return "reference" if self._native is None else "native"

    @property
    def unsent(self) -> int:
        """Packets for ports that are not there, or for a controller that is not there."""
        return self._unsent + (self._native.unsent if self._native is not None else 0)

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
        attached = AttachedPort(number, port, PortCounters(self._memory, number))
        self._ports[number] = attached
        try:
            port.open(lambda packet: self.inject(number, packet))
        except OSError:
            del self._ports[number]
            raise
        self._was_up[number] = port.is_up
        if isinstance(port, LinkEnd):
            port.on_change = lambda: self._connect(number)
        self._connect(number)
        if self.on_ports_changed is not None:
            self.on_ports_changed()
        return attached

    def remove_port(self, number: int) -> None:
        """Close a port. KeyError if there is none."""
        attached = self._ports.pop(number)
        self._drop_rings(number)
        if isinstance(attached.port, LinkEnd):
            attached.port.on_change = attached.port.native = None
        attached.port.close()
        attached.counters.connect(ABSENT)
        self._was_up.pop(number, None)
        if self.on_ports_changed is not None:
            self.on_ports_changed()

    def close(self) -> None:
        """Close all ports."""
        for number in list(self._ports):
            self.remove_port(number)

    def inject(self, port_number: int, packet: bytes) -> None:
        """A packet received on a port: processed, and the results sent, before this returns or soon after."""
        if self._native is not None:
            self._native.inject(port_number, packet)
            self._native.hub.kick()
            return
        attached = self._ports.get(port_number)
        if attached is not None:
            attached.counters.received(len(packet))
        if not self.queue.post(lambda: self._begin(port_number, packet)) and attached is not None:
            attached.counters.lose()

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
        if self._native is not None:
            return self._native.process(port, packet)
        return self._follow(self._require_engine(), port, packet)

    def explain(self, port: int, packet: bytes) -> tuple[list[Output], list[Event]]:
        """As process(), by the reference engine, with everything that happened on the way.

        The packet is processed for real: counters, meters and registers change.
        """
        events: list[Event] = []
        return self._follow(self._make_reference(events.append), port, packet), events

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

    def native_output(self, port: int, packet: bytes) -> None:
        """A packet leaves by a port that Python serves; the port has counted it."""
        if port == self.cpu_port:
            self._transmit((port, packet))
        elif port in self._ports:
            self._ports[port].port.send(packet)

    def native_trace(self, port: int, packet: bytes) -> None:
        """A packet that has been chosen to be traced enters."""
        engine = self._require_engine()
        self.queue.post(lambda: self._step(engine, engine.receive(port, packet)))

    def _connect(self, number: int) -> None:
        """Tell machine code where a port leads."""
        attached, native = self._ports.get(number), self._native
        if attached is None:
            return
        port, peer = attached.port, None
        if isinstance(port, LinkEnd):
            here = None if native is None else NativePort(native.hub.address, native.address, number)
            if port.native != here:
                port.native = here
                port.changed()
            peer = port.native_peer if here is not None else None
            if peer is not None and here is not None and peer.hub != here.hub:
                peer = None
        elif isinstance(port, InterfacePort):
            self._drop_rings(number)
            rings = None if native is None else make_rings(native, port, number)
            port.set_receiving(rings is None)
            if rings is not None:
                self._rings[number] = rings
                attached.counters.connect(RING, NativePort(0, rings.address, number))
                return
        attached.counters.connect(TO_PYTHON if peer is None else LINK, peer)

    def _drop_rings(self, number: int) -> None:
        if number in self._rings:
            self._rings.pop(number).close()

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
                self._unsent += 1
            return
        attached = self._ports.get(number)
        if attached is None:
            self._unsent += 1
            return
        attached.counters.sent(len(packet))
        attached.port.send(packet)

    def _digest(self, digest: DigestList) -> None:
        if self.on_digest is not None:
            self.on_digest(digest)

    def _port_is_up(self, number: int) -> bool:
        attached = self._ports.get(number)
        return number == self.cpu_port or (attached is not None and attached.is_up)

    def _require_engine(self) -> Engine:
        """The reference engine. RuntimeError before the first program."""
        if self._engine is None:
            self._engine = self._make_reference(self.trace)
        return self._engine

    def _make_reference(self, trace: TraceSink | None) -> Engine:
        if self._program is None:
            raise RuntimeError("the switch has no program")
        return ReferenceEngine(
            self._program, self.state, drop_port=self.drop_port, started_ns=self._started_ns, trace=trace
        )
