"""PTF platform: ports are unix-domain datagram sockets, for a switch on the same machine and without privileges.

``ptf --platform unix --platform-dir ptf_tests/platforms -i 1@/path/of/the/switch's/socket``
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

# Where a switch that receives at `path` sends to.
PEER_SUFFIX = ".peer"
_BUFFER_OCTETS = 4 << 20
_MAX_FRAME = 65536


class UnixPort:
    """One end of a link; what PTF calls a port and its packet source."""

    def __init__(self, path: str, device: int, port: int, config: dict[str, Any]) -> None:
        self._device, self._port, self._switch = device, port, path
        self._own = path + PEER_SUFFIX
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_OCTETS)
        self._socket.bind(self._own)

    def fileno(self) -> int:
        """The descriptor that PTF's select waits for."""
        return self._socket.fileno()

    def get_packet_source(self) -> UnixPort:
        """This port itself."""
        return self

    def recv(self) -> tuple[int, int, bytes, float]:
        """The next frame, with its device, its port and the time, seconds since the Epoch."""
        return self._device, self._port, self._socket.recv(_MAX_FRAME), time.time()

    def send(self, packet: bytes) -> int:
        """Sends a frame to the switch; waits while the switch is busy. Raises OSError when nobody is there."""
        return self._socket.sendto(packet, self._switch)

    def down(self) -> None:
        """Takes the link down: the switch's peer is gone."""
        os.unlink(self._own)

    def up(self) -> None:
        """Brings the link up again."""
        self._socket.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._own)


def platform_config_update(config: dict[str, Any]) -> None:
    """Called by PTF: names every port's class and socket."""
    config["port_map"] = {(device, port): path for device, port, path in config["interfaces"]}
    config["dataplane"] = {"portclass": UnixPort}
