"""Endpoints in the form that the kernel has them in, and back: remembered, for the same peers speak again and again.

Making and printing address objects costs more than a system call.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import Final

from controller.lisp import CONTROL_PORT, Endpoint

_FAMILY_OCTETS: Final = 2
_KEPT: Final = 1 << 16


class Peers:
    """The endpoints that datagrams came from. The control port stands for `control_port`, this network's own.

    Attributes:
        known: by the kernel's form; always the same object, while it is in here.
    """

    def __init__(self, control_port: int) -> None:
        self._control_port = control_port
        self.known: dict[bytes, Endpoint] = {}

    def meet(self, address: bytes) -> Endpoint:
        """The endpoint of a socket address that is not known."""
        endpoint = endpoint_of(address)
        if endpoint.port == self._control_port:
            endpoint = endpoint._replace(port=CONTROL_PORT)
        if len(self.known) >= _KEPT:
            self.known.clear()
        self.known[address] = endpoint
        return endpoint


class KernelAddresses:
    """The kernel's form of endpoints, found by the identity of the object: hashing an address takes longer.

    Attributes:
        known: by identity the endpoint, which is its own while it is in here, and its socket address.
    """

    def __init__(self, control_port: int) -> None:
        self._control_port = control_port
        self.known: dict[int, tuple[Endpoint, bytes]] = {}

    def find(self, endpoint: Endpoint) -> bytes:
        """The socket address of an endpoint that is not known."""
        port = self._control_port if endpoint.port == CONTROL_PORT else endpoint.port
        address = socket_address(endpoint._replace(port=port))
        if len(self.known) >= _KEPT:
            self.known.clear()
        self.known[id(endpoint)] = (endpoint, address)
        return address


def socket_address(endpoint: Endpoint) -> bytes:
    """The kernel's form of an endpoint: a sockaddr_in or sockaddr_in6."""
    packed = endpoint.address.packed
    port = endpoint.port.to_bytes(2, "big")
    if len(packed) == 4:
        return socket.AF_INET.to_bytes(_FAMILY_OCTETS, sys.byteorder) + port + packed + bytes(8)
    return socket.AF_INET6.to_bytes(_FAMILY_OCTETS, sys.byteorder) + port + bytes(4) + packed + bytes(4)


def endpoint_of(address: bytes) -> Endpoint:
    """The endpoint that a socket address of the kernel names."""
    port = int.from_bytes(address[2:4], "big")
    packed = address[4:8] if len(address) == 16 else address[8:24]
    return Endpoint(ip_address(packed), port)
