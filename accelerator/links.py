"""Where a running fabric has its sockets, and which links it offers to accelerators in other processes.

The control socket of a fabric NAME is `$XDG_RUNTIME_DIR/lispfabric/NAME/control.sock`, or below `/tmp/lispfabric-UID`
where that variable is not set. Beside it the folder `links` holds, for each accelerator ACC:

    links/ACC.json        the accelerator's MAC address, and the switch and MAC address at the other end of each link
    links/ACC-0.socket    a Unix socket for each link (SOCK_SEQPACKET): the switch listens, the accelerator connects
    links/ACC-0.lock      is locked (flock) by the process that is the accelerator

A frame is one packet of the connection, from the destination MAC address on and without checksum. The fabric writes the
file and listens (`publish_links`); an accelerator reads the file, takes the lock and connects (`find_links`,
`attachment.UnixAttachment`). Datagrams would do, but the kernel lets only ten of those wait at a socket
(net.unix.max_dgram_qlen): a window of 64 packets would stop six times on its way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Octets of a socket's path, its final zero included (sys/un.h).
_LONGEST_PATH = 108


class LinkError(RuntimeError):
    """An accelerator that has no link, or a socket path that is too long; the text names it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of an accelerator, by a Unix socket.

    Attributes:
        accelerator, switch: who is at the ends.
        mac, router_mac: their MAC addresses, six octets each.
        socket: path at which the switch listens. lock: path of what the accelerator locks.
    """

    accelerator: str
    switch: str
    mac: bytes
    router_mac: bytes
    socket: str
    lock: str


def control_path(fabric: str) -> Path:
    """The control socket of the fabric of that name, where nobody says otherwise."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "lispfabric" if runtime else Path(f"/tmp/lispfabric-{os.getuid()}")
    return base / fabric / "control.sock"


def links_folder(control: str | Path) -> Path:
    """The folder of the links of the fabric whose control socket is at `control`."""
    return Path(control).parent / "links"


def publish_links(control: str | Path, accelerator: str, mac: bytes, routers: Mapping[str, bytes]) -> list[Link]:
    """Offers an accelerator its links; for the fabric, which then opens a port at each.

    `routers`: the switch at the other end of each link, and the MAC address of its port. Returns the links, in that
    order. Raises LinkError if a path is too long, OSError if the folder cannot be written.
    """
    folder = links_folder(control)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {
        "accelerator": accelerator,
        "mac": mac.hex(":"),
        "links": [{"switch": switch, "router_mac": router.hex(":")} for switch, router in routers.items()],
    }
    links = _links(folder, document)
    written = folder / f".{accelerator}.json"
    written.write_text(json.dumps(document, indent=1) + "\n")
    written.rename(folder / f"{accelerator}.json")
    return links


def find_links(control: str | Path, accelerator: str) -> list[Link]:
    """The links of an accelerator of a running fabric. Raises LinkError."""
    folder = links_folder(control)
    path = folder / f"{accelerator}.json"
    try:
        document = json.loads(path.read_text())
        return _links(folder, document)
    except FileNotFoundError:
        known = ", ".join(sorted(other.stem for other in folder.glob("[!.]*.json"))) or "none"
        raise LinkError(f"accelerator = {accelerator!r}: no links in {folder}; there are those of: {known}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LinkError(f"{path}: not a list of links: {error!r}") from None


def _links(folder: Path, document: Mapping[str, object]) -> list[Link]:
    name, entries = document["accelerator"], document["links"]
    if not isinstance(name, str) or not isinstance(entries, list):
        raise TypeError("accelerator or links")
    links = []
    for number, entry in enumerate(entries):
        socket, lock = (str(folder / f"{name}-{number}.{end}") for end in ("socket", "lock"))
        if len(os.fsencode(socket)) >= _LONGEST_PATH:
            raise LinkError(f"{socket}: a socket's path has at most {_LONGEST_PATH - 1} octets")
        links.append(Link(name, entry["switch"], _mac(document["mac"]), _mac(entry["router_mac"]), socket, lock))
    return links


def _mac(text: object) -> bytes:
    octets = bytes.fromhex(str(text).replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"MAC address {text!r}")
    return octets
