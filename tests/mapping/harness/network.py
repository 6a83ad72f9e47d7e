"""Datagrams between machines, lost, repeated and delayed under a seed; time is simulated."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol

from controller.lisp import Datagram, Eid
from controller.mapping import Event, Send
from controller.xtr import MapCacheChange, MapCacheEntry, Replay
from tests.mapping.harness.observe import M, Seen, unwrap


class Machine(Protocol):
    """What MapServer and Xtr have in common."""

    def receive(self, datagram: Datagram, now: float) -> Sequence[Any]: ...
    def tick(self, now: float) -> Sequence[Any]: ...
    def next_deadline(self) -> float | None: ...


@dataclass(slots=True)
class Node:
    """A machine on the network, and what it put out. `up` False: it neither hears nor speaks."""

    name: str
    machine: Machine
    up: bool = True
    outputs: list[tuple[float, object]] = field(default_factory=list)
    forwarding: dict[Eid, MapCacheEntry] = field(default_factory=dict)
    """The map-cache as a follower of the outputs has it."""

    def events(self, name: str, since: float = 0.0) -> list[Event]:
        return [
            output for at, output in self.outputs if isinstance(output, Event) and output.name == name and at >= since
        ]

    def replayed(self) -> list[bytes]:
        return [packet for _, output in self.outputs if isinstance(output, Replay) for packet in output.packets]


@dataclass(slots=True)
class Weather:
    """How the network treats datagrams: probabilities, and the range of the delay in seconds."""

    loss: float = 0.0
    repeat: float = 0.0
    delay: tuple[float, float] = (0.001, 0.001)


class Network:
    """Nodes by address, and datagrams on their way."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.weather = Weather()
        self.nodes: dict[str, Node] = {}
        self.sent: list[Seen] = []
        self.filter: Callable[[Seen], bool] = lambda seen: True
        """Datagrams for which it is False are lost."""
        self.watch: Callable[[], None] = lambda: None
        """Called whenever a machine may have changed."""
        self._random = Random(seed)
        self._by_address: dict[Any, Node] = {}
        self._queue: list[tuple[float, int, Datagram]] = []
        self._order = count()

    def add(self, name: str, machine: Machine, addresses: Iterable[Any]) -> Node:
        node = Node(name, machine)
        self.nodes[name] = node
        for address in addresses:
            self._by_address[address] = node
        return node

    def do(self, node: Node, action: Callable[..., Sequence[Any]], *args: Any, **fields: Any) -> Sequence[Any]:
        """Call a method of a node's machine at the present time and carry its outputs."""
        outputs = action(*args, self.now, **fields)
        self._take(node, outputs)
        self.watch()
        return outputs

    def inject(self, datagram: Datagram) -> None:
        """Put a datagram on the wire that no machine sent."""
        heapq.heappush(self._queue, (self.now, next(self._order), datagram))

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        end = self.now + seconds
        while (when := self._next()) is not None and when <= end:
            self.now = max(self.now, when)
            self._step()
        self.now = end

    def seen(self, kind: type[M], since: float = 0.0, **where: str) -> list[tuple[Seen, M]]:
        """Messages of one type sent since a time; `source` and `destination` name nodes."""
        found: list[tuple[Seen, M]] = []
        for seen in self.sent:
            if seen.at < since or not isinstance(seen.message, kind):
                continue
            ends = {
                "source": self._by_address.get(seen.datagram.source.address),
                "destination": self._by_address.get(seen.datagram.destination.address),
            }
            if all(ends[end] is self.nodes[name] for end, name in where.items()):
                found.append((seen, seen.message))
        return found

    def _next(self) -> float | None:
        deadlines = [node.machine.next_deadline() for node in self.nodes.values() if node.up]
        if self._queue:
            deadlines.append(self._queue[0][0])
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, datagram = heapq.heappop(self._queue)
            node = self._by_address.get(datagram.destination.address)
            if node is not None and node.up:
                self._take(node, node.machine.receive(datagram, self.now))
        for node in self.nodes.values():
            deadline = node.machine.next_deadline() if node.up else None
            if deadline is not None and deadline <= self.now:
                self._take(node, node.machine.tick(self.now))
                later = node.machine.next_deadline()
                assert later is None or later > self.now, f"{node.name} does not get on"
        self.watch()

    def _take(self, node: Node, outputs: Iterable[object]) -> None:
        for output in outputs:
            node.outputs.append((self.now, output))
            if isinstance(output, MapCacheChange):
                if output.entry is None:
                    del node.forwarding[output.eid]
                else:
                    node.forwarding[output.eid] = output.entry
            if isinstance(output, Send):
                self._carry(output.datagram)

    def _carry(self, datagram: Datagram) -> None:
        seen = Seen(self.now, datagram, unwrap(datagram.payload))
        self.sent.append(seen)
        if not self.filter(seen):
            return
        copies = 1 + (self._random.random() < self.weather.repeat)
        for _ in range(copies):
            if self._random.random() >= self.weather.loss:
                at = self.now + self._random.uniform(*self.weather.delay)
                heapq.heappush(self._queue, (at, next(self._order), datagram))
