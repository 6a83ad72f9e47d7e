"""A fabric in network namespaces, for root: switch processes joined by veth pairs, each accelerator in its own.

All switches are in one namespace of their own, so that nothing of the fabric shows on the machine. Namespaces have no
names; they are kept by a process each and are gone with it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType

from topologies.brought_up import BroughtUp
from topologies.cables import Cable
from topologies.external import ExternalFabric
from topologies.host_setup import FABRIC_MTU, OFFLOADS, host_commands
from topologies.plan import SwitchPlan, plan
from topologies.port_watch import watch_ports
from topologies.schema import Topology
from topologies.switch_processes import StartError, SwitchProcesses, outlives_own_port


class Namespace:
    """A network and mount namespace, kept by a process that sleeps in it; a context manager.

    /sys shows the network of the namespace: bmv2 asks there for the state of its ports.
    """

    def __init__(self) -> None:
        """Raises StartError without the privilege."""
        if os.geteuid() != 0:
            raise StartError("network namespaces need root")
        mounts = "mount --make-rprivate / && mount -t sysfs sysfs /sys"
        script = f"{mounts} && ip link set lo up && echo up && exec sleep infinity"
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        if self._keeper.stdout.readline() != "up\n":
            raise StartError(f"no network namespace: {self._keeper.stderr.read().strip()}")

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.kill()
        self._keeper.communicate()

    @property
    def pid(self) -> int:
        """Of the process that keeps it."""
        return self._keeper.pid

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command so that it runs inside."""
        return ("nsenter", "--net", "--mount", "--target", str(self.pid), f"--wd={Path.cwd()}", "--")

    def run(self, *commands: Sequence[str]) -> None:
        """Runs commands inside, one after the other. Raises StartError with what the first that fails says."""
        for command in commands:
            done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False)
            if done.returncode:
                raise StartError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")


class NamespaceNetwork(BroughtUp):
    """The namespaces, links and switch processes of a topology; a context manager.

    Attributes:
        plans: ports of each switch. switch_namespace: where all switches are. hosts: the accelerators, by name.
        switches: the processes. target: what they are.
    """

    def __init__(self, topology: Topology, target: str = "softswitch") -> None:
        """`target`: softswitch or bmv2. Nothing is started yet."""
        super().__init__()
        self.topology = topology
        self.plans: dict[str, SwitchPlan] = plan(topology)
        self.hosts: dict[str, Namespace] = {}
        self.target = target
        self._plugs: dict[str, str] = {}

    def interface(self, switch: str, port: int) -> str:
        """Name of a switch's port, in 15 characters."""
        return f"s{self.plans[switch].index}p{port}"

    def start(self, host: str, command: Sequence[str]) -> subprocess.Popen[str]:
        """A command starts at an accelerator; what it says on either output comes by its standard output."""
        return subprocess.Popen(
            [*self.hosts[host].prefix, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def interfaces(self, host: str) -> list[str]:
        """Names of an accelerator's interfaces, one for each of its access switches."""
        return [f"eth{number}" for number in range(len(self.topology.accelerator(host).attached_to))]

    def link_interfaces(self, one: str, other: str) -> list[str]:
        """The switch's ends of a link between two switches, or of an accelerator and a switch. KeyError without one."""
        ends = [(near, far) for near, far in ((one, other), (other, one)) if near in self.plans]
        return [self.interface(near, self.plans[near].port_to(far).number) for near, far in ends]

    def set_link(self, one: str, other: str, *, up: bool) -> None:
        """A link fails, seen from both ends, or heals. KeyError where there is none."""
        state = "up" if up else "down"
        for host, switch in ((one, other), (other, one)):
            if host in self.hosts:
                number = self.topology.accelerator(host).attached_to.index(switch)
                self.hosts[host].run(("ip", "link", "set", f"eth{number}", state))
                return
        for interface in self.link_interfaces(one, other):
            self.switch_namespace.run(("ip", "link", "set", self._plugs.get(interface, interface), state))

    def _bring_up(self) -> None:
        self.switch_namespace = self._stack.enter_context(Namespace())
        off = "".join(f"echo 1 > /proc/sys/net/ipv6/conf/{scope}/disable_ipv6; " for scope in ("all", "default"))
        self.switch_namespace.run(("sh", "-c", off))
        for accelerator in self.topology.accelerators:
            self.hosts[accelerator.name] = self._stack.enter_context(Namespace())
        interfaces: dict[tuple[str, int], str] = {}
        lines: list[str] = []
        for name, planned in self.plans.items():
            for port in planned.ports:
                here = interfaces[name, port.number] = self.interface(name, port.number)
                if port.access:
                    there = f"eth{port.peer_port - 1} netns {self.hosts[port.peer].pid}"
                    lines.append(f"link add {here} type veth peer name {there}")
                elif (name, port.number) < (port.peer, port.peer_port):
                    there = self.interface(port.peer, port.peer_port)
                    if outlives_own_port(self.target):
                        lines.append(f"link add {here} type veth peer name {there}")
                    else:
                        cable = Cable(here, there, len(self._plugs))
                        lines += cable.lines()
                        self._plugs |= cable.plugs
        lines += [f"link set {one} mtu {FABRIC_MTU} up" for one in interfaces.values()]
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lispfabric-")))
        (folder / "links").write_text("\n".join(lines) + "\n")
        self.switch_namespace.run(("ip", "-batch", str(folder / "links")))
        self.switch_namespace.run(*(("ethtool", "-K", one, *OFFLOADS) for one in interfaces.values()))
        for accelerator in self.topology.accelerators:
            own = self.interfaces(accelerator.name)
            routers = [self.plans[switch].port_to(accelerator.name).mac for switch in accelerator.attached_to]
            self.hosts[accelerator.name].run(*host_commands(accelerator, own, routers))
        processes = SwitchProcesses(self.target, self.plans, interfaces, folder, self.switch_namespace.prefix)
        self.switches = self._stack.enter_context(processes)
        self.ports = {name: place for place, name in interfaces.items()}


@asynccontextmanager
async def namespace_fabric(
    topology: Topology, target: str = "softswitch"
) -> AsyncIterator[tuple[NamespaceNetwork, ExternalFabric]]:
    """A whole fabric in namespaces, up. Raises StartError, NotConvergedError."""
    network = NamespaceNetwork(topology, target)
    async with AsyncExitStack() as stack:
        stack.enter_context(network)
        fabric = ExternalFabric(topology, network.switches.places)
        await stack.enter_async_context(watch_ports(network.ports, fabric.port_status, network.switch_namespace.prefix))
        await stack.enter_async_context(fabric)
        yield network, fabric
