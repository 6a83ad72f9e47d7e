"""Network namespaces joined by a veth pair, with nothing in them but what a test starts there. Needs root."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from topologies.namespaces import Namespace


@contextmanager
def two_namespaces(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[Namespace, Namespace]]:
    """Two of them, each with an interface `eth0` to the other that has these addresses (with prefix length)."""
    with ExitStack() as stack:
        first, second = stack.enter_context(Namespace()), stack.enter_context(Namespace())
        peer = ("peer", "name", "eth0", "netns", str(second.pid))
        first.run(("ip", "link", "add", "eth0", "type", "veth", *peer))
        for namespace, addresses in ((first, one), (second, other)):
            # Checksums are not computed on veth otherwise; a capture would show all of them as wrong.
            subprocess.run([*namespace.prefix, "ethtool", "-K", "eth0", "tx", "off"], capture_output=True, check=False)
            for address in addresses:
                namespace.run(("ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else [])))
            if not any(":" in address for address in addresses):
                namespace.run(("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6"))
            namespace.run(("ip", "link", "set", "eth0", "up"))
        for namespace in (first, second):
            until = time.monotonic() + 5
            look = [*namespace.prefix, "ip", "-brief", "link", "show", "eth0"]
            while b" UP " not in subprocess.run(look, capture_output=True, check=True).stdout:
                assert time.monotonic() < until, "the link does not come up"
                time.sleep(0.02)
        yield first, second
