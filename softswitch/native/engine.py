"""A program in machine code, at work in a switch."""

from __future__ import annotations

import ctypes
import logging
import random
import re
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

from softswitch.native.compiler import Code, compile_cached, core
from softswitch.native.heap import free, read_word, write_words
from softswitch.native.hub import Happened, Hub
from softswitch.native.mirror.state import StateMirror
from softswitch.native.objects import objects_of
from softswitch.native.runtime.replication import MAX_PASSES
from softswitch.native.runtime.structs import (
    CTX_NEXT,
    DESC_BUFFER,
    DESCRIPTOR_BYTES,
    DIGEST,
    LOG,
    NONE,
    OUTPUT,
    PORT_BYTES,
    PORT_COUNT,
    PORT_UP,
    SW_CLOCK,
    SW_COLLECT,
    SW_CONTEXTS,
    SW_CPU_PORT,
    SW_DROP_PORT,
    SW_ENDLESS,
    SW_GROUPS,
    SW_HUB,
    SW_INDEX,
    SW_NOW,
    SW_OBJECTS,
    SW_PORTS,
    SW_PROCESS,
    SW_RANDOM,
    SW_RING,
    SW_RING_HEAD,
    SW_RING_MASK,
    SW_RING_TAIL,
    SW_SCRATCH,
    SW_SESSIONS,
    SW_STARTED,
    SW_TRACE_EVERY,
    SW_UNSENT,
    TRACE,
)
from softswitch.native.translate.architecture import digest_words
from softswitch.native.translate.module import translate
from softswitch.native.translate.ranges import Ranges, width_of
from softswitch.program.actions import Primitive
from softswitch.program.model import Program
from softswitch.state import SwitchState
from softswitch.state.memory import Memory

log = logging.getLogger(__name__)

_RING: Final = 4096  # packets that may wait for a switch
_PLACEHOLDER: Final = re.compile(r"\\([{}])|\{[^}]*\}")

_programs: dict[str, Code] = {}


def compile_program(program: Program) -> Code:
    """The machine code of a program. UntranslatableError."""
    if program.digest not in _programs:
        _programs[program.digest] = compile_cached(program.digest, lambda: translate(program))
    return _programs[program.digest]


class Owner(Protocol):
    """What an engine asks of its switch."""

    def native_output(self, port: int, packet: bytes) -> None:
        """A packet leaves by a port that Python serves; the port has counted it."""

    def native_trace(self, port: int, packet: bytes) -> None:
        """A packet that has been chosen to be traced enters."""


class NativeEngine:
    """A program over the state of a switch.

    address:     of the switch in memory
    ports:       what is known of the switch's ports, see :mod:`softswitch.native.runtime.structs`
    trace_every: one of that many packets is given to Python to be traced; 0 for none
    """

    def __init__(
        self,
        program: Program,
        state: SwitchState,
        hub: Hub,
        owner: Owner,
        ports: Memory,
        *,
        drop_port: int = 511,
        cpu_port: int | None = None,
        started_ns: int = 0,
        trace_every: int = 0,
        seed: int | None = None,
    ) -> None:
        code = compile_program(program)
        self.hub = hub
        self._owner = owner
        self._state = state
        self._ports = ports
        self._objects = objects_of(program)
        self._digests = {digest.id: digest for digest in program.digests.values()}
        self._messages = {number: _message(program, call) for call, number in self._objects.messages.items()}
        self._mirror = StateMirror(state, self._objects, core())
        self._memory = Memory(SW_OBJECTS + 8 * len(self._objects))
        self._ring = Memory(DESCRIPTOR_BYTES * _RING)
        self.address = self._memory.address
        self._words = self._memory.view
        self._process_one = code.function("process_one", 4)
        self._fixed_clock: Callable[[], int] | None = None if state.clock is time.monotonic_ns else state.clock
        self._number = hub.attach(self)
        self._endless = 0
        for offset, value in (
            (SW_HUB, hub.address),
            (SW_PROCESS, code.address("process_batch")),
            (SW_INDEX, self._number),
            (SW_DROP_PORT, drop_port),
            (SW_CPU_PORT, NONE if cpu_port is None else cpu_port),
            (SW_STARTED, started_ns),
            (SW_RING, self._ring.address),
            (SW_RING_MASK, _RING - 1),
            (SW_PORTS, ports.address),
            (SW_GROUPS, self._mirror.multicast.address),
            (SW_SESSIONS, self._mirror.clones.address),
            (SW_RANDOM, random.Random(seed).getrandbits(64) | 1),
            (SW_TRACE_EVERY, trace_every),
        ):
            write_words(self.address + offset, value)
        write_words(self.address + SW_OBJECTS, *self._mirror.addresses)
        self._finalizer = weakref.finalize(self, _close, hub, self._number, self._memory, self._ring, self._mirror)
        self._finalizer.atexit = False

    def close(self) -> None:
        """What waits is dropped."""
        self._finalizer()

    def inject(self, port: int, packet: bytes) -> bool:
        """A packet arrives at a port; whether it was taken. kick() the hub to have it processed."""
        return bool(self.hub.inject(self.address, port, _address(packet), len(packet)))

    def process(self, port: int, packet: bytes) -> list[tuple[int, bytes]]:
        """Carry one packet through: what leaves, as (egress port, packet), in order."""
        self.prepare()
        now = self._fixed_clock() if self._fixed_clock is not None else time.monotonic_ns()
        self._words[SW_NOW // 8] = now
        self._words[SW_COLLECT // 8] = 1
        since = self.hub.tail
        try:
            self._process_one(self.address, port, _address(packet), len(packet))
        finally:
            self._words[SW_COLLECT // 8] = 0
        self._report_endless()
        outputs: list[tuple[int, bytes]] = []
        for _, event in self.hub.take(since):
            if event.kind == OUTPUT:
                outputs.append((event.port, event.data))
            else:
                self.handle(event)
        return outputs

    @property
    def endless(self) -> int:
        """Packets dropped because they never ceased to be resubmitted, recirculated or cloned."""
        return self._words[SW_ENDLESS // 8]

    @property
    def unsent(self) -> int:
        """Packets for ports that are not there."""
        return self._words[SW_UNSENT // 8]

    # For the hub

    def prepare(self) -> None:
        """Packets will be processed: tell machine code the time, if it is not the machine's, and which ports are up."""
        self._report_endless()
        if self._fixed_clock is not None:
            self._words[SW_CLOCK // 8] = self._fixed_clock()
        for port, users in self._mirror.watched.items():
            if users and port < PORT_COUNT:
                self._ports.view[(PORT_BYTES * port + PORT_UP) // 8] = int(self._state.port_is_up(port))

    def _report_endless(self) -> None:
        if self.endless != self._endless:
            log.warning("%d packets were dropped after %d passes", self.endless - self._endless, MAX_PASSES)
            self._endless = self.endless

    def handle(self, event: Happened) -> None:
        """Something has happened at the switch."""
        match event.kind:
            case kind if kind == OUTPUT:
                self._owner.native_output(event.port, event.data)
            case kind if kind == TRACE:
                self._owner.native_trace(event.port, event.data)
            case kind if kind == DIGEST:
                self._sample(event.other, event.data)
            case kind if kind == LOG:
                log.info("%s", _filled(*self._messages[event.other], event.data))

    def _sample(self, number: int, data: bytes) -> None:
        digest = self._digests.get(number)
        if digest is None:
            log.error("the program asked for a digest of id %d, which it does not have", number)
            return
        values, at = [], 0
        for words in digest_words(digest):
            values.append(int.from_bytes(data[at : at + 8 * words], "little"))
            at += 8 * words
        self._state.digests(digest.name).add(tuple(values))


def _address(packet: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(packet), ctypes.c_void_p).value or 0


def _close(hub: Hub, number: int, memory: Memory, ring: Memory, mirror: StateMirror) -> None:
    hub.detach(number)
    address = memory.address
    head, tail = read_word(address + SW_RING_HEAD), read_word(address + SW_RING_TAIL)
    for position in range(head, tail):
        hub.release(read_word(ring.address + DESCRIPTOR_BYTES * (position % _RING) + DESC_BUFFER))
    write_words(address + SW_RING_HEAD, tail)
    hub.forget(address)
    context = read_word(address + SW_CONTEXTS)
    while context:
        context, done = read_word(context + CTX_NEXT), context
        free(done)
    write_words(address + SW_CONTEXTS, 0)
    if scratch := read_word(address + SW_SCRATCH):
        free(scratch)
    mirror.close()


def _message(program: Program, call: Primitive) -> tuple[str, list[tuple[int, bool]]]:
    """The template of a log message, and how its values are stored."""
    template, items = call.arguments
    assert isinstance(template, str)
    assert isinstance(items, tuple)
    params = next((a.params for a in program.actions.values() if call in a.primitives), ())
    ranges = Ranges(tuple((0, (1 << param.width) - 1) for param in params))
    return template, [width_of(ranges.of(item)) for item in items]


def _filled(template: str, widths: list[tuple[int, bool]], data: bytes) -> str:
    values, at = [], 0
    for width, signed in widths:
        octets = (width + 63) // 64 * 8
        values.append(int.from_bytes(data[at : at + octets], "little", signed=signed))
        at += octets
    left = iter(values)

    def substitute(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        value = next(left, None)
        return found[0] if value is None else str(value)

    return _PLACEHOLDER.sub(substitute, template)
