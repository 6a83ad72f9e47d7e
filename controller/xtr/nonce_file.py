"""The nonces of one xTR in a small file: what was committed is still there after the process was killed.

The file has two slots, written in turn, each with a sequence number and a CRC-32: a write that did not come to its
end leaves the other slot whole. There is no wait for the disk; a loss of power can lose the latest commits.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from controller.mapping.machine import StoreError
from controller.xtr.nonces import LinkNonces

_MAGIC: Final = b"LISPxTR1"
_HEAD: Final = struct.Struct("!8sQHI")  # magic, sequence, octets of the body, CRC-32 of sequence and body
_LINK: Final = struct.Struct("!B4Q")  # octets of the name, which follows; nonces, each one more, so that 0 is none
_SLOT: Final = 4096


class FileNonceStore:
    """A `NonceStore` in a file, which is made if there is none."""

    def __init__(self, file: Path) -> None:
        """Raises StoreError, which names the file, when it cannot be used or holds something else."""
        self._file = file
        try:
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{file}: cannot be opened or created: {error.strerror}") from error
        try:
            self._sequence, self._nonces = self._read()
        except StoreError:
            os.close(self._fd)
            raise

    def load(self) -> Mapping[str, LinkNonces]:
        """What was kept."""
        return self._nonces

    def commit(self, nonces: Mapping[str, LinkNonces]) -> None:
        """Keep `nonces` in place of all before. Raises StoreError."""
        body = b"".join(_encode(name, one) for name, one in nonces.items())
        if len(body) > _SLOT - _HEAD.size:
            raise StoreError(f"{self._file}: cannot hold {len(nonces)} links")
        sequence = self._sequence + 1
        slot = _HEAD.pack(_MAGIC, sequence, len(body), _crc(sequence, body)) + body
        try:
            os.pwrite(self._fd, slot, sequence % 2 * _SLOT)
        except OSError as error:
            raise StoreError(f"{self._file}: {error.strerror}") from error
        self._sequence, self._nonces = sequence, dict(nonces)

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)

    def __enter__(self) -> FileNonceStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> tuple[int, dict[str, LinkNonces]]:
        try:
            octets = os.pread(self._fd, 2 * _SLOT, 0)
        except OSError as error:
            raise StoreError(f"{self._file}: {error.strerror}") from error
        if not octets:
            return 0, {}
        slots = [slot for start in (0, _SLOT) if (slot := _decode_slot(octets[start : start + _SLOT])) is not None]
        if not slots:
            raise StoreError(f"{self._file}: is damaged, or no file of nonces")
        return max(slots, key=lambda slot: slot[0])


def _encode(name: str, nonces: LinkNonces) -> bytes:
    octets = name.encode()
    numbers = (nonces.registration, nonces.subscription, nonces.member, nonces.publication)
    return _LINK.pack(len(octets), *(number + 1 for number in numbers)) + octets


def _decode_slot(slot: bytes) -> tuple[int, dict[str, LinkNonces]] | None:
    """Sequence number and content of a slot; None if it is not whole."""
    if len(slot) < _HEAD.size:
        return None
    magic, sequence, length, crc = _HEAD.unpack_from(slot)
    body = slot[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(body) != length or crc != _crc(sequence, body):
        return None
    found: dict[str, LinkNonces] = {}
    at = 0
    while at < length:
        size, *numbers = _LINK.unpack_from(body, at)
        at += _LINK.size
        found[body[at : at + size].decode()] = LinkNonces(*(number - 1 for number in numbers))
        at += size
    return sequence, found


def _crc(sequence: int, body: bytes) -> int:
    return zlib.crc32(body, sequence & 0xFFFFFFFF)
