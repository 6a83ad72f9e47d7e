"""Network namespaces joined by a veth pair, with nothing in them but what a test starts there. Needs root."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType


class Namespace:
    """A network of its own, kept by a process that sleeps in it; gone with that process."""

    def __init__(self) -> None:
        self._keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").readlink()
        until = time.monotonic() + 5
        while Path(f"/proc/{self._keeper.pid}/ns/net").readlink() == own:
            assert time.monotonic() < until, "no namespace"
            time.sleep(0.005)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """Of the process that keeps it."""
        return self._keeper.pid

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command so that it runs inside."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    def run(self, *command: str) -> str:
        """Run a command inside, to its end; returns what it wrote. Raises AssertionError when it fails."""
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.kill()
        self._keeper.wait()


@contextmanager
def two_namespaces(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[Namespace, Namespace]]:
    """Two of them, each with an interface `eth0` to the other that has these addresses (with prefix length)."""
    with ExitStack() as stack:
        first, second = stack.enter_context(Namespace()), stack.enter_context(Namespace())
        peer = ("peer", "name", "eth0", "netns", str(second.pid))
        first.run("ip", "link", "add", "eth0", "type", "veth", *peer)
        for namespace, addresses in ((first, one), (second, other)):
            # Checksums are not computed on veth otherwise; a capture would show all of them as wrong.
            subprocess.run([*namespace.prefix, "ethtool", "-K", "eth0", "tx", "off"], capture_output=True, check=False)
            for address in addresses:
                namespace.run("ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
            if not any(":" in address for address in addresses):
                namespace.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6")
            namespace.run("ip", "link", "set", "eth0", "up")
        for namespace in (first, second):
            until = time.monotonic() + 5
            while " UP " not in namespace.run("ip", "-brief", "link", "show", "eth0"):
                assert time.monotonic() < until, "the link does not come up"
                time.sleep(0.02)
        yield first, second
