"""Ports as the command line names them, and ports that record what passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from softswitch.ports import DatagramPort, InterfacePort, PcapPort, PcapWriter, Port, PortError, Receive

PEER_SUFFIX: Final = ".peer"
"""Where a unix-domain port sends to, after its own path, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A port number and what is attached there."""

    number: int
    port: Port


def parse_interface(text: str, *, files: bool = False) -> Interface:
    """A port of the form `NUMBER@INTERFACE`, `NUMBER@unix:PATH[,PEER]` or `NUMBER@pcap:IN[,OUT]`.

    Args:
        text: the argument.
        files: whether a plain interface X means the files X_in.pcap and X_out.pcap.

    Raises:
        PortError: naming the argument and what is wrong with it.
    """
    number, separator, name = text.partition("@")
    if not separator or not name:
        raise PortError(f"{text!r} is not of the form PORT@INTERFACE")
    if not (number.isascii() and number.isdigit()):
        raise PortError(f"{text!r}: the port {number!r} is not a number")
    kind, separator, rest = name.partition(":")
    first, _, second = rest.partition(",")
    port: Port
    if not separator:
        port = PcapPort(f"{name}_in.pcap", f"{name}_out.pcap") if files else InterfacePort(name)
    elif not first:
        raise PortError(f"{text!r}: the path is missing")
    elif kind == "unix":
        port = DatagramPort(first, second or first + PEER_SUFFIX)
    elif kind == "pcap":
        port = PcapPort(first, second or None)
    else:
        raise PortError(f"{text!r}: {kind!r} is neither unix nor pcap")
    return Interface(int(number), port)


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
