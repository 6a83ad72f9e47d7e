"""How an accelerator is set up as a Linux host: one address, a way out by each access switch, and no ARP.

The fabric knows its neighbours from the configuration and drops ARP and neighbour discovery, so every interface has
the address of the switch's port as a fixed neighbour: 169.254.0.N, or fe80::N over IPv6, on interface N. The host's own
address is on its loopback interface; of several interfaces the first one that has a carrier is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from topologies.schema import AcceleratorConfig

# Octets of an IP packet that a host sends: with any of the tunnel headers around it, it fits into the fabric's 9000.
MTU: Final = 1500
FABRIC_MTU: Final = 9100

# What a kernel computes late or in bulk would reach the switch unfinished.
OFFLOADS: Final = ("tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off")


def host_commands(
    accelerator: AcceleratorConfig, interfaces: Sequence[str], routers: Sequence[str]
) -> list[tuple[str, ...]]:
    """The commands that set a host up. `interfaces`, `routers`: names, and MAC addresses of the ports they lead to."""
    commands: list[tuple[str, ...]] = [
        ("sysctl", "-qw", "net.ipv4.conf.all.ignore_routes_with_linkdown=1"),
        ("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"),
        ("sysctl", "-qw", "net.ipv6.conf.all.ignore_routes_with_linkdown=1"),
        ("ip", "link", "set", "lo", "up"),
    ]
    address = accelerator.address
    if address is not None:
        commands.append(("ip", "address", "replace", f"{address}/{address.max_prefixlen}", "dev", "lo"))
    for number, (interface, router) in enumerate(zip(interfaces, routers, strict=True), start=1):
        commands += [
            ("ethtool", "-K", interface, *OFFLOADS),
            ("ip", "link", "set", interface, "address", accelerator.mac, "mtu", str(MTU)),
            ("sysctl", "-qw", f"net.ipv4.conf.{interface}.ignore_routes_with_linkdown=1"),
            ("sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=0"),
            ("sysctl", "-qw", f"net.ipv6.conf.{interface}.ignore_routes_with_linkdown=1"),
            (
                "sysctl",
                "-qw",
                f"net.ipv6.conf.{interface}.accept_dad=0",
                f"net.ipv6.conf.{interface}.router_solicitations=0",
            ),
            ("ip", "link", "set", interface, "up"),
        ]
        if address is not None:
            gateway = f"169.254.0.{number}" if address.version == 4 else f"fe80::{number}"
            metric = ("metric", str(100 + number))
            family = f"-{address.version}"
            default = ("via", gateway, "dev", interface, "onlink", "src", str(address), *metric)
            commands += [
                ("ip", family, "neigh", "replace", gateway, "lladdr", router, "dev", interface, "nud", "permanent"),
                ("ip", family, "route", "replace", "default", *default),
            ]
    return commands
