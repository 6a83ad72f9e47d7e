"""How much one process of the control plane can have."""

from __future__ import annotations

from typing import Final

MAX_WORKERS: Final = 64
"""Sockets, each of a Map-Server's worker, that share an address."""
