"""What machines put out, and how a test names addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import TypeVar

from controller.lisp import Datagram, Ecm, Eid, EidRecord, Message, decode
from controller.mapping import Event, NonceSource, Send
from controller.xtr import MapCacheEntry

IID = 0x1001
M = TypeVar("M", bound=Message)


def nonce_source(seed: int, now: float = 0.0) -> NonceSource:
    """Nonces that depend on nothing but the seed and the simulated time."""
    return NonceSource(1_700_000_000_000 + int(now * 1000), now, Random(seed).getrandbits)


def eid(text: str, iid: int = IID) -> Eid:
    return Eid.of(iid, text)


def ip(text: str) -> IPv4Address:
    return IPv4Address(text)


def unwrap(payload: bytes) -> Message:
    """The message in a datagram, out of its ECM if it has one."""
    message = decode(payload)
    return decode(message.payload) if isinstance(message, Ecm) else message


@dataclass(frozen=True, slots=True)
class Seen:
    """A datagram on the wire, and the message in it."""

    at: float
    datagram: Datagram
    message: Message

    @property
    def source(self) -> str:
        return str(self.datagram.source.address)

    @property
    def destination(self) -> str:
        return str(self.datagram.destination.address)


def sends(outputs: Iterable[object]) -> list[Datagram]:
    return [output.datagram for output in outputs if isinstance(output, Send)]


def events(outputs: Iterable[object], name: str | None = None) -> list[Event]:
    return [output for output in outputs if isinstance(output, Event) and name in (None, output.name)]


def drop_reason(outputs: Sequence[object]) -> str:
    """The reason of the one event that a refused datagram leaves; fails if there is anything else."""
    (event,) = outputs
    assert isinstance(event, Event), event
    assert event.name == "message-dropped", event
    return str(event.fields["reason"])


def rlocs(holder: EidRecord | MapCacheEntry) -> list[str]:
    return [str(locator.rloc) for locator in holder.locators]
