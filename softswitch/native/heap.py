"""Memory of the C library, for things that come and go one by one."""

from __future__ import annotations

import ctypes
import struct

_libc = ctypes.CDLL(None)
_libc.malloc.argtypes, _libc.malloc.restype = [ctypes.c_size_t], ctypes.c_size_t
_libc.free.argtypes, _libc.free.restype = [ctypes.c_size_t], None


def free(address: int) -> None:
    """Give back what malloc() gave, here or in machine code."""
    _libc.free(address)


def write_words(address: int, *words: int) -> None:
    """Write 64-bit words."""
    ctypes.memmove(address, struct.pack(f"<{len(words)}Q", *words), 8 * len(words))


def write_octets(address: int, octets: bytes) -> None:
    """Write octets."""
    ctypes.memmove(address, octets, len(octets))


def read_word(address: int) -> int:
    """A 64-bit word."""
    return ctypes.c_uint64.from_address(address).value


class Heap:
    """Blocks that are freed together, if not before."""

    def __init__(self) -> None:
        self._blocks: set[int] = set()

    def take(self, octets: int) -> int:
        """A block. MemoryError."""
        address: int = _libc.malloc(max(octets, 8))
        if not address:
            raise MemoryError(f"no {octets} octets left")
        self._blocks.add(address)
        return address

    def give(self, address: int) -> None:
        """Free a block."""
        self._blocks.discard(address)
        free(address)

    def close(self) -> None:
        """Free all blocks."""
        for address in self._blocks:
            free(address)
        self._blocks.clear()
