"""Classic pcap files, with microseconds or nanoseconds, of either byte order; and ports that are files."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from softswitch.ports.base import PortError, Receive

_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_VERSION = (2, 4)
_LINKTYPE_ETHERNET = 1
_SNAPLEN = 262144
_FILE_HEADER = "IHHiIII"
_RECORD_HEADER = "IIII"
_NS_PER_S = 1_000_000_000


class PcapPacket(NamedTuple):
    """A packet and its time in nanoseconds since 1970."""

    timestamp_ns: int
    data: bytes


def read_pcap(path: str | Path) -> Iterator[PcapPacket]:
    """The packets of a file. PortError, naming file and octet, if it is not a whole pcap file; OSError."""
    with open(path, "rb") as file:
        magic = file.read(4)
        for order in "<>":
            unit = {_MICROSECONDS: 1000, _NANOSECONDS: 1}.get(
                int.from_bytes(magic, "little" if order == "<" else "big")
            )
            if unit is not None and len(magic) == 4:
                break
        else:
            raise PortError(f"{path}: not a pcap file (begins with {magic.hex() or 'nothing'})")
        _read_exactly(file, struct.calcsize(f"{order}{_FILE_HEADER}") - 4, path)
        record = struct.Struct(f"{order}{_RECORD_HEADER}")
        while head := file.read(record.size):
            if len(head) < record.size:
                raise PortError(f"{path}: ends inside a record at octet {file.tell()}")
            seconds, fraction, captured, _length = record.unpack(head)
            if captured > _SNAPLEN:
                raise PortError(f"{path}: record of {captured} octets at octet {file.tell() - record.size}")
            yield PcapPacket(seconds * _NS_PER_S + fraction * unit, _read_exactly(file, captured, path))


def _read_exactly(file: BinaryIO, count: int, path: str | Path) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise PortError(f"{path}: ends inside a record at octet {file.tell()}")
    return data


class PcapWriter:
    """Writes a file; each packet is on disk before write() returns."""

    def __init__(self, path: str | Path, *, nanoseconds: bool = False) -> None:
        self._unit = 1 if nanoseconds else 1000
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by close()
        magic = _NANOSECONDS if nanoseconds else _MICROSECONDS
        self._file.write(struct.pack(f"<{_FILE_HEADER}", magic, *_VERSION, 0, 0, _SNAPLEN, _LINKTYPE_ETHERNET))

    def write(self, packet: bytes, timestamp_ns: int) -> None:
        """Append a packet. OSError."""
        seconds, fraction = divmod(timestamp_ns, _NS_PER_S)
        head = struct.pack(f"<{_RECORD_HEADER}", seconds, fraction // self._unit, len(packet), len(packet))
        self._file.write(head + packet)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> PcapWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PcapPort:
    """A port that receives the packets of one file, when replay() is called, and sends to another.

    clock: nanoseconds since 1970, the time written with packets that are sent
    """

    def __init__(
        self,
        source: str | Path | None,
        sink: str | Path | None,
        *,
        nanoseconds: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._source = source
        self._sink = sink
        self._nanoseconds = nanoseconds
        self._clock = clock
        self._writer: PcapWriter | None = None
        self._receive: Receive | None = None
        self.lost = 0

    @property
    def name(self) -> str:
        """The files."""
        return f"{self._source or '-'}:{self._sink or '-'}"

    @property
    def is_up(self) -> bool:
        """While open."""
        return self._receive is not None

    def open(self, receive: Receive) -> None:
        """Create the file that is sent to. OSError."""
        if self._sink is not None:
            self._writer = PcapWriter(self._sink, nanoseconds=self._nanoseconds)
        self._receive = receive

    def close(self) -> None:
        """Close the file that is sent to."""
        if self._writer is not None:
            self._writer.close()
        self._writer = self._receive = None

    def send(self, packet: bytes) -> None:
        """Append to the file."""
        try:
            if self._writer is not None:
                self._writer.write(packet, self._clock())
                return
        except OSError:
            pass
        self.lost += 1

    def replay(self) -> int:
        """Receive all packets of the source, one after the other; how many. PortError, OSError."""
        count = 0
        if self._source is not None and self._receive is not None:
            for packet in read_pcap(self._source):
                self._receive(packet.data)
                count += 1
        return count
