"""Captures an interface of its namespace until SIGTERM: `python -m tests.interop.sniffer INTERFACE FILE`."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.lisp import DecodeError, UdpPacket, decode_udp_packet
from softswitch.ports import read_pcap

_ALL = 0x0003  # ETH_P_ALL
_ETHERNET = 14


@dataclass(slots=True)
class Capture:
    """What was captured, once the sniffer has stopped."""

    file: Path

    def datagrams(self) -> list[UdpPacket]:
        """The UDP datagrams that are whole and have a right checksum, in their order."""
        found = []
        for frame in self.frames():
            try:
                found.append(decode_udp_packet(frame[_ETHERNET:], 0))
            except DecodeError:
                continue
        return found

    def frames(self) -> list[bytes]:
        """Every frame, in their order."""
        return [packet.data for packet in read_pcap(self.file)]


@contextmanager
def sniffing(prefix: Sequence[str], file: Path, cwd: Path) -> Iterator[Capture]:
    """Capture `eth0` of a namespace while the block runs."""
    command = [*prefix, sys.executable, "-m", "tests.interop.sniffer", "eth0", str(file)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            yield Capture(file)
        finally:
            time.sleep(0.1)
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=5)


def main(interface: str, file: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as sock, Path(file).open("wb") as out:
        sock.bind((interface, 0))
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        print("ready", flush=True)
        while True:
            frame = sock.recv(65535)
            seconds, fraction = divmod(time.time(), 1)
            out.write(struct.pack("<IIII", int(seconds), int(fraction * 1e6), len(frame), len(frame)) + frame)
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
