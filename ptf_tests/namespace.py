"""A network namespace of one's own: whatever is created in it is gone with the last process that lives there."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

from ptf_tests.errors import SetupError

# sched.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def enter() -> None:
    """Moves this process, still single-threaded, and its later children into a new network namespace.

    Without the privilege it becomes root of a new user namespace too, where the kernel allows that. IPv6 is off, so
    that no interface ever speaks by itself; the loopback interface is up; /sys shows this namespace. Raises SetupError.
    """
    uid, gid = os.geteuid(), os.getegid()
    if _unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:
        reason = _unshare(_CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWUSER)
        if reason:
            raise SetupError(f"veth ports need root, or a kernel that grants user namespaces ({os.strerror(reason)})")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    # bmv2 asks sysfs for the state of its ports; a sysfs shows the interfaces of the namespace it was mounted in.
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    for scope in ("all", "default"):
        knob = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if knob.exists():
            knob.write_text("1")
    run("ip", "link", "set", "lo", "up")


def _unshare(flags: int) -> int:
    """Leaves the namespaces of these kinds; 0, or the error number of the system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.unshare(flags) == 0 else ctypes.get_errno()


def run(*command: str) -> None:
    """Runs a command of the system. Raises SetupError with what it said."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise SetupError(f"{command[0]} is not installed (it is needed for veth ports)") from None
    except subprocess.CalledProcessError as error:
        raise SetupError(f"{' '.join(command)}: {error.stderr.strip()}") from None
