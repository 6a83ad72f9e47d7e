"""What the tests of all durable stores share: examples, histories, a mirror in memory, lives that end by a kill."""

from __future__ import annotations

from pathlib import Path

# Many examples make many files: without a disk to wait for, if the system has such a folder.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
