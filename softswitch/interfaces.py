"""Ports as the command line names them, and ports that record what passes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from softswitch.ports import (
    DatagramPort,
    Effects,
    InterfacePort,
    PcapPort,
    PcapWriter,
    Port,
    PortError,
    Receive,
    parse_effects,
)

PEER_SUFFIX: Final = ".peer"
"""Where a unix-domain port sends to, after its own path, unless it is told otherwise."""

_OPTION: Final = re.compile(r"[a-z-]+=.*")
_RECEIVED: Final = "in-"


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a device; device None is the only one that there is."""

    device: int | None
    number: int

    def __str__(self) -> str:
        return f"port {self.number}" if self.device is None else f"port {self.number} of device {self.device}"


@dataclass(frozen=True, slots=True)
class Interface:
    """A port and what is attached there: a port back end, or another port of the same process.

    sent, received: the effects on what the switch sends and receives there, None for none
    """

    place: Place
    target: Port | Place
    sent: Effects | None = None
    received: Effects | None = None


def parse_interface(text: str, *, files: bool = False) -> Interface:
    """A port of the form `[DEVICE/]PORT@WHAT[,EFFECT=VALUE...]`.

    WHAT is a network interface, `unix:PATH[,PEER]`, `pcap:IN[,OUT]` or `link:[DEVICE/]PORT`. An effect is one of
    `parse_effects`; it concerns what is sent or, with `in-` before its name, what is received.

    Args:
        text: the argument.
        files: whether a plain interface X means the files X_in.pcap and X_out.pcap.

    Raises:
        PortError: naming the argument and what is wrong with it.
    """
    port, separator, rest = text.partition("@")
    what, *more = rest.split(",")
    if not separator or not what:
        raise PortError(f"{text!r} is not of the form PORT@INTERFACE")
    options = [part for part in more if _OPTION.fullmatch(part)]
    paths = [part for part in more if part not in options]
    try:
        place = _place(port)
        return Interface(place, _target(what, paths, files=files), *_effects(options))
    except PortError as error:
        raise PortError(f"{text!r}: {error}") from None


def _place(text: str) -> Place:
    device, separator, number = text.rpartition("/")
    for noun, digits in (("port", number), ("device", device if separator else "0")):
        if not (digits.isascii() and digits.isdigit()):
            raise PortError(f"the {noun} {digits!r} is not a number")
    return Place(int(device) if separator else None, int(number))


def _target(what: str, paths: Sequence[str], *, files: bool) -> Port | Place:
    kind, separator, first = what.partition(":")
    second = paths[0] if paths else ""
    if len(paths) > (1 if separator and kind in ("unix", "pcap") else 0):
        raise PortError(f"{paths[-1]!r} is not an effect with a value")
    if not separator:
        return PcapPort(f"{what}_in.pcap", f"{what}_out.pcap") if files else InterfacePort(what)
    if kind not in ("unix", "pcap", "link"):
        raise PortError(f"{kind!r} is neither unix nor pcap nor link")
    if not first:
        raise PortError(f"the {'port' if kind == 'link' else 'path'} is missing")
    if kind == "unix":
        return DatagramPort(first, second or first + PEER_SUFFIX)
    if kind == "pcap":
        return PcapPort(first, second or None)
    return _place(first)


def _effects(options: Sequence[str]) -> tuple[Effects | None, Effects | None]:
    received = [option.removeprefix(_RECEIVED) for option in options if option.startswith(_RECEIVED)]
    sent = [option for option in options if not option.startswith(_RECEIVED)]
    return (parse_effects(sent) if sent else None), (parse_effects(received) if received else None)


class CapturedPort:
    """A port whose packets are also written to `<name>_in.pcap` and `<name>_out.pcap` in a folder."""

    def __init__(self, port: Port, folder: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._port = port
        self._stem = folder / port.name.strip("/").replace("/", "_").replace(":", "_")
        self._clock = clock
        self._received: PcapWriter | None = None
        self._sent: PcapWriter | None = None

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name

    @property
    def is_up(self) -> bool:
        """Whether packets can pass."""
        return self._port.is_up

    def open(self, receive: Receive) -> None:
        """Opens the port and both files. OSError."""
        received = self._received = PcapWriter(f"{self._stem}_in.pcap")
        self._sent = PcapWriter(f"{self._stem}_out.pcap")

        def record(packet: bytes) -> None:
            received.write(packet, self._clock())
            receive(packet)

        try:
            self._port.open(record)
        except OSError:
            self._close_files()
            raise

    def close(self) -> None:
        """Closes the port and both files."""
        self._port.close()
        self._close_files()

    def send(self, packet: bytes) -> None:
        """Records and sends a packet."""
        if self._sent is not None:
            self._sent.write(packet, self._clock())
        self._port.send(packet)

    def _close_files(self) -> None:
        for writer in (self._received, self._sent):
            if writer is not None:
                writer.close()
        self._received = self._sent = None
