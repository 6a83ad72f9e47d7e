"""Compiled objects on disk, by digest of everything that decides them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

_MOST_OCTETS = 256 << 20  # kept; the oldest go first


def cache_folder() -> Path:
    """Where objects are kept (XDG Base Directory Specification)."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "lispfabric" / "native"


class ObjectCache:
    """Files that appear whole or not at all, so several processes can share a folder.

    A file begins with the digest of its content: what has been cut off or altered is not used. A folder that cannot
    be written costs time, nothing else.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            self._folder: Path | None = cache_folder() if folder is None else folder
        except RuntimeError:  # no home
            self._folder = None

    def load(self, key: str) -> bytes | None:
        """The object of a key, or None."""
        if self._folder is None:
            return None
        try:
            path = self._folder / key
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, binary = content[:32], content[32:]
        return binary if hashlib.sha256(binary).digest() == digest else None

    def save(self, key: str, binary: bytes) -> None:
        """Keep an object."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                try:
                    file.write(hashlib.sha256(binary).digest() + binary)
                    file.flush()
                    os.replace(file.name, self._folder / key)
                except BaseException:
                    os.unlink(file.name)
                    raise
            self._prune()
        except OSError as error:
            log.info("machine code is not kept: %s", error)

    def _prune(self) -> None:
        assert self._folder is not None
        files = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in self._folder.iterdir()), reverse=True)
        kept = 0
        for _, octets, path in files:
            kept += octets
            if kept > _MOST_OCTETS:
                with contextlib.suppress(OSError):
                    path.unlink()
