"""The network as trees need it: routers, ways between them, where accelerators are, and what of it works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from controller.incc.domains import GroupEid
from controller.lisp import IPAddress

MAX_CHILDREN = 64
"""Children of a switch in one group, of any program: the bits of a set in a register cell."""


@dataclass(frozen=True, slots=True)
class Xtr:
    """A router that can combine: `border` of its PoD, or an access router.

    `slots`: that it has for all groups; `children`: that it can have in one group, `ipv6`: whether that may have an
    IPv6 EID, as its program says.
    """

    name: str
    pod: str
    rloc: IPAddress
    border: bool = False
    slots: int = 4096
    children: int = MAX_CHILDREN
    ipv6: bool = True


@dataclass(frozen=True, slots=True)
class Way:
    """One of a switch's equal ways to a router: the own port, and the port of the next switch at the other end."""

    port: int
    peer: str
    peer_port: int


@dataclass(frozen=True, slots=True)
class Home:
    """Where an accelerator is plugged in."""

    switch: str
    port: int


@dataclass(frozen=True, slots=True)
class Accelerator:
    """An accelerator: its PoD, and its address in each of its Instance-IDs."""

    name: str
    pod: str
    addresses: Mapping[int, GroupEid]


Ways = Callable[[str, str], Sequence[Way]]


class Network:
    """Keeps track of what is there and works."""

    def __init__(self, xtrs: Iterable[Xtr], accelerators: Iterable[Accelerator], ways: Ways) -> None:
        """`ways`: from any switch to an xTR, as the underlay's routes have them: equal-cost, without loops."""
        self.xtrs = {xtr.name: xtr for xtr in xtrs}
        self.accelerators = {one.name: one for one in accelerators}
        self._ways = ways
        self._homes: dict[str, dict[str, Home]] = {}
        self._down_ports: set[tuple[str, int]] = set()
        self._down: set[str] = set()

    def attach(self, accelerator: str, home: Home) -> None:
        """An accelerator is plugged into a port."""
        self._homes.setdefault(accelerator, {})[home.switch] = home

    def detach(self, accelerator: str, switch: str) -> None:
        """An accelerator has left a switch."""
        self._homes.get(accelerator, {}).pop(switch, None)

    def set_port(self, switch: str, port: int, up: bool) -> bool:
        """A port went up or down; whether that is news."""
        known = (switch, port) not in self._down_ports
        (self._down_ports.discard if up else self._down_ports.add)((switch, port))
        return known != up

    def set_switch(self, switch: str, up: bool) -> bool:
        """A switch, xTR or not, works or does not; whether that is news."""
        known = switch not in self._down
        (self._down.discard if up else self._down.add)(switch)
        return known != up

    def is_up(self, switch: str) -> bool:
        """Whether a switch works, as far as is known."""
        return switch not in self._down

    def homes(self, accelerator: str) -> list[Home]:
        """The ports at which an accelerator can be reached, in the order in which it was plugged in."""
        found = self._homes.get(accelerator, {}).values()
        return [home for home in found if self.is_up(home.switch) and (home.switch, home.port) not in self._down_ports]

    def parted(self, accelerator: str) -> str:
        """Why an accelerator cannot be reached, in words that follow its name."""
        silent = [home.switch for home in self._homes.get(accelerator, {}).values() if not self.is_up(home.switch)]
        return f"is lost with {' and '.join(silent)}" if silent else "is not attached any more"

    def joined(self, child: str, parent: str) -> bool:
        """Whether packets pass between two xTRs: contributions by any way, results by one that can be chosen.

        A switch spreads what it sends to its parent over all ways whose first port is up, so all have to lead there.
        """
        return self._sure(child, parent, {}) and self.port_to(parent, child) is not None

    def port_to(self, source: str, target: str) -> int | None:
        """A port of `source` all of whose ways lead to `target`; of several, pairs of routers use different ones."""
        found = [way.port for way in self._live(source, target) if self._leads(way, target)]
        return found[crc32(f"{source} {target}".encode()) % len(found)] if found else None

    def leads(self, source: str, port: int, target: str) -> bool:
        """Whether all ways from a port of `source` lead to `target`."""
        return any(way.port == port and self._leads(way, target) for way in self._live(source, target))

    def _leads(self, way: Way, target: str) -> bool:
        return self._arrives(way) and self._sure(way.peer, target, {})

    def _live(self, source: str, target: str) -> list[Way]:
        if not self.is_up(source):
            return []
        return [way for way in self._ways(source, target) if (source, way.port) not in self._down_ports]

    def _arrives(self, way: Way) -> bool:
        return self.is_up(way.peer) and (way.peer, way.peer_port) not in self._down_ports

    def _sure(self, source: str, target: str, known: dict[str, bool]) -> bool:
        """Whether every packet that `source` has for `target` arrives."""
        if source == target:
            return self.is_up(target)
        if source not in known:
            live = self._live(source, target)
            known[source] = bool(live) and all(
                self._arrives(way) and self._sure(way.peer, target, known) for way in live
            )
        return known[source]
