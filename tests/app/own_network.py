"""A network of a test's own: a thread in a new network namespace, where any address and any device can be had.

And what tests need rights for: a test that lacks them is skipped, and says what was not observed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from threading import Thread

import pytest

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


def _may_have_networks() -> bool:
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


def _may_have_raw_sockets() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        return False
    return True


needs_own_network = pytest.mark.skipif(
    not (shutil.which("ip") and shutil.which("unshare") and _may_have_networks()),
    reason="NOT OBSERVED: needs iproute2 and the right to create network namespaces (root)",
)
needs_raw_sockets = pytest.mark.skipif(
    not _may_have_raw_sockets(), reason="NOT OBSERVED: needs the right to open raw sockets (root)"
)


def in_own_network(*commands: str, run: Callable[[], object]) -> None:
    """Call `run` in a network with only a loopback device, after `ip` was called with each of `commands`.

    The network belongs to the thread and what it creates; the rest of the test process does not notice.
    """
    errors: list[BaseException] = []

    def body() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            for command in ("link set lo up", *commands):
                ip(command)
            run()
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def ip(command: str) -> None:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"


def open_tun(name: str) -> int:
    """A device whose other end is the file descriptor that this returns: one IP packet a read and a write."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return tun
