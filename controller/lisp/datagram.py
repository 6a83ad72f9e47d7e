"""A UDP datagram as the protocol cores see it: what came from where, what goes whereto."""

from __future__ import annotations

from typing import NamedTuple

from controller.lisp.address import IPAddress
from controller.lisp.constants import CONTROL_PORT

__all__ = ["CONTROL_PORT", "Datagram", "Endpoint"]


class Endpoint(NamedTuple):
    """An IP address and a UDP port."""

    address: IPAddress
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


class Datagram(NamedTuple):
    """A UDP payload with both of its endpoints."""

    source: Endpoint
    destination: Endpoint
    payload: bytes
