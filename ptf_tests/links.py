"""The links between the switch's ports and PTF's: veth pairs, or pairs of unix-domain datagram sockets.

Both give every port two names: the one the switch is started with, and the one PTF opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ptf_tests import namespace

# Data-plane ports of the switch under test.
PORTS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Link:
    """One port of the switch: `switch` is the switch's end, `tester` is PTF's."""

    port: int
    switch: str
    tester: str


def veth() -> list[Link]:
    """Creates veth pairs in the present network namespace. Raises SetupError.

    Checksum offload is off: a kernel that leaves checksums to the other end would hand out packets without them.
    """
    links = [Link(port, f"sw{port}", f"ptf{port}") for port in PORTS]
    for link in links:
        namespace.run("ip", "link", "add", link.switch, "type", "veth", "peer", "name", link.tester)
        for end in (link.switch, link.tester):
            namespace.run("ethtool", "--offload", end, "tx", "off", "rx", "off")
            namespace.run("ip", "link", "set", end, "mtu", "9000", "up")
    return links


def unix(folder: Path) -> list[Link]:
    """Names sockets in `folder`; the switch creates its ends, PTF's platform the others."""
    return [Link(port, f"unix:{folder}/sw{port}", f"{folder}/sw{port}") for port in PORTS]
