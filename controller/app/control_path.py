"""Where the control sockets of running fabrics are, and which one is meant when none is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SOCKET_NAME = "control.sock"

# Octets of a path that fit into sockaddr_un, the final zero taken off.
PATH_LIMIT = 107


class ControlPathError(Exception):
    """No control socket can be at a path, or there is none to talk to; the text says what to do."""


def runtime_folder() -> Path:
    """The folder of this user's running fabrics: `$XDG_RUNTIME_DIR/lispfabric`, else `/tmp/lispfabric-UID`."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "lispfabric" if runtime else Path(f"/tmp/lispfabric-{os.getuid()}")


def default_path(name: str) -> Path:
    """The control socket of the fabric of that name."""
    return runtime_folder() / name / SOCKET_NAME


def make_folder(folder: Path) -> None:
    """Makes a folder that only this user can enter, and its parents. Raises ControlPathError where it is another's."""
    for part in (folder.parent, folder) if folder.parent == runtime_folder() else (folder,):
        try:
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = part.lstat()
        except OSError as error:
            raise ControlPathError(f"{part}: cannot be made: {error.strerror}; choose another with --control") from None
        if not stat.S_ISDIR(found.st_mode):
            raise ControlPathError(f"{part}: is no folder; choose another with --control")
        if part.parent == Path("/tmp") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
            raise ControlPathError(f"{part}: others can write there; choose another with --control")


def running_paths() -> list[Path]:
    """The control sockets there are in the runtime folder, in the order of their names; some may be stale."""
    return sorted(runtime_folder().glob(f"*/{SOCKET_NAME}"))
