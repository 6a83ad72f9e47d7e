"""A topology in Mininet, for root: `python -m topologies.mininet_run FILE --target softswitch|bmv2 [--test]`.

Mininet makes hosts, switches' interfaces and links; the switch processes and the control plane are ours, as in
`topologies.namespaces`. Neither Open vSwitch nor an OpenFlow controller is used.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from topologies.brought_up import BroughtUp
from topologies.cables import Cable
from topologies.external import ExternalFabric, Place
from topologies.host_setup import FABRIC_MTU, OFFLOADS, host_commands
from topologies.inprocess import NotConvergedError
from topologies.plan import PortPlan, SwitchPlan, plan
from topologies.port_watch import watch_ports
from topologies.schema import Topology
from topologies.scripted_check import check, report
from topologies.switch_processes import TARGETS, StartError, SwitchProcesses, outlives_own_port
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

# Debian packages Mininet for the system's Python; behind everything that the environment has itself.
_SYSTEM_PACKAGES: Final = "/usr/lib/python3/dist-packages"
_LONGEST_NAME: Final = 9  # with -ethNN behind it, an interface's name has 15 characters
_START_SECONDS: Final = 300.0


def mininet_modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Mininet's modules net, node and cli. Raises StartError where it is not installed."""
    if _SYSTEM_PACKAGES not in sys.path:
        sys.path.append(_SYSTEM_PACKAGES)
    loggers = logging.getLoggerClass()
    try:
        from mininet import cli, net, node
    except ImportError as error:
        raise StartError(f"Mininet is not installed ({error}): apt-get install mininet") from None
    finally:
        # Mininet makes every later logger of the process one of its own, which prints by itself and drops INFO.
        logging.setLoggerClass(loggers)
    return net, node, cli


class MininetNetwork(BroughtUp):
    """A topology as a Mininet network, with its switch processes; a context manager.

    Attributes:
        net: the Mininet. plans: ports of each switch. switches: the processes. ports: by interface.
    """

    def __init__(self, topology: Topology, target: str) -> None:
        """Nothing is started yet. Raises StartError for what Mininet cannot have."""
        names = [switch.name for switch in topology.switches] + [one.name for one in topology.accelerators]
        for name in names:
            if len(name) > _LONGEST_NAME:
                raise StartError(f"{name}: Mininet needs names of {_LONGEST_NAME} characters at most")
            if names.count(name) > 1:
                raise StartError(f"{name}: is a switch and an accelerator; Mininet needs names of their own")
        super().__init__()
        self.topology = topology
        self.plans: dict[str, SwitchPlan] = plan(topology)
        self._target = target
        self._parts: list[str] = []

    def start(self, host: str, command: Sequence[str]) -> subprocess.Popen[str]:
        """A command starts at an accelerator."""
        found: subprocess.Popen[str] = self.net.get(host).popen(list(command), text=True, stderr=subprocess.STDOUT)
        return found

    def interfaces(self, host: str) -> list[str]:
        """Names of an accelerator's interfaces."""
        return [f"{host}-eth{number}" for number in range(len(self.topology.accelerator(host).attached_to))]

    def set_link(self, one: str, other: str, *, up: bool) -> None:
        """As `link one other up|down` of the Mininet prompt; of an accelerator's link, its own end."""
        state = "up" if up else "down"
        for host, switch in ((one, other), (other, one)):
            if switch in self.plans and host not in self.plans:
                number = self.topology.accelerator(host).attached_to.index(switch)
                self.net.get(host).pexec(["ip", "link", "set", f"{host}-eth{number}", state])
                return
        self.net.configLinkStatus(one, other, state)

    def _bring_up(self) -> None:
        net_module, node_module, _ = mininet_modules()
        self.net = net_module.Mininet(controller=None, build=False, switch=_switch_class(node_module))
        self._stack.callback(self.net.stop)
        for switch in self.topology.switches:
            self.net.addSwitch(switch.name, dpid=f"{self.plans[switch.name].index:016x}")
        for accelerator in self.topology.accelerators:
            self.net.addHost(accelerator.name, ip=None, mac=None)
        for name, planned in self.plans.items():
            for port in planned.ports:
                if port.access:
                    self.net.addLink(name, port.peer, port1=port.number, port2=port.peer_port - 1)
                elif (name, port.number) < (port.peer, port.peer_port):
                    kind = None if outlives_own_port(self._target) else self._cable(node_module, name, port)
                    self.net.addLink(name, port.peer, port1=port.number, port2=port.peer_port, cls=kind)
        self.net.build()
        for part in self._parts:
            Path(f"/proc/sys/net/ipv6/conf/{part}/disable_ipv6").write_text("1")
        interfaces = {
            (name, port.number): f"{name}-eth{port.number}" for name, one in self.plans.items() for port in one.ports
        }
        self.ports = {name: place for place, name in interfaces.items()}
        for interface in interfaces.values():
            Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")
            _run("ethtool", "-K", interface, *OFFLOADS)
            _run("ip", "link", "set", interface, "mtu", str(FABRIC_MTU), "up")
        for accelerator in self.topology.accelerators:
            routers = [self.plans[switch].port_to(accelerator.name).mac for switch in accelerator.attached_to]
            for command in host_commands(accelerator, self.interfaces(accelerator.name), routers):
                said, problem, code = self.net.get(accelerator.name).pexec(list(command))
                if code:
                    raise StartError(f"{accelerator.name}: {' '.join(command)}: {(problem or said).strip()}")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lispfabric-")))
        self.switches = self._stack.enter_context(SwitchProcesses(self._target, self.plans, interfaces, folder))
        self.net.start()

    def _cable(self, node_module: ModuleType, name: str, port: PortPlan) -> type:
        """The class of a link with a middle; `link ... down` at the prompt pulls it out there."""
        cable = Cable(f"{name}-eth{port.number}", f"{port.peer}-eth{port.peer_port}", len(self._parts))
        self._parts += [cable.bridge, *cable.plugs.values()]
        self._stack.callback(subprocess.run, ["ip", "link", "delete", cable.bridge], capture_output=True, check=False)
        return _cable_class(node_module, cable)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartError(f"{' '.join(command)}: {done.stderr.strip()}")


def _switch_class(node_module: ModuleType) -> type:
    """A switch of the root namespace whose process is none of Mininet's business."""

    base: Any = node_module.Switch

    class FabricSwitch(base):  # type: ignore[misc]
        """One switch of `SwitchProcesses`."""

        def start(self, controllers: object) -> None:
            """It runs already."""

        def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803 - Mininet's name
            """Its interfaces go; its process ends with the others."""
            super().stop(deleteIntfs)

    return FabricSwitch


def _cable_class(node_module: ModuleType, cable: Cable) -> type:
    """A link whose interfaces fail by losing their carrier."""
    link: Any = node_module.Link
    interface: Any = node_module.Intf

    class Plugged(interface):  # type: ignore[misc]
        """One end."""

        def ifconfig(self, *args: str) -> str:
            """`up` and `down` are those of the plug; everything else as usual."""
            if args in (("up",), ("down",)):
                _run("ip", "link", "set", cable.plugs[self.name], *args)
                if args == ("down",):
                    return ""
            return str(super().ifconfig(*args))

    class CableLink(link):  # type: ignore[misc]
        """Made of two pairs and a bridge."""

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **{**options, "intf": Plugged})

        @classmethod
        def makeIntfPair(cls, *_: object, **__: object) -> tuple[None, None]:  # noqa: N802 - Mininet's name
            """All of it."""
            subprocess.run(["ip", "-batch", "-"], input="\n".join(cable.lines()), text=True, check=True)
            return None, None

    return CableLink


@contextmanager
def control_plane(
    topology: Topology, places: Mapping[str, Place], ports: Mapping[str, tuple[str, int]]
) -> Iterator[ExternalFabric]:
    """The control plane of a fabric in a thread of its own, up. Raises NotConvergedError, or whatever else stops it."""
    ready, stop = threading.Event(), asyncio.Event()
    state: dict[str, Any] = {}

    async def run() -> None:
        state["loop"] = asyncio.get_running_loop()
        fabric = ExternalFabric(topology, places)
        async with watch_ports(ports, fabric.port_status), fabric:
            state["fabric"] = fabric
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            state["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="control plane", daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise NotConvergedError(f"after {_START_SECONDS} s the control plane is not up")
        if "error" in state:
            raise state["error"]
        yield state["fabric"]
    finally:
        if "loop" in state and thread.is_alive():
            state["loop"].call_soon_threadsafe(stop.set)
        thread.join(timeout=20)


def main() -> None:
    """Reads the command line; exits with 1 when something cannot be started or a check fails."""
    parser = argparse.ArgumentParser(description="A topology in Mininet; needs root.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--target", choices=TARGETS, default="softswitch")
    parser.add_argument("--test", action="store_true", help="a scripted check instead of the prompt")
    said = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        sys.exit(0 if run(load(said.file), said.target, test=said.test) else 1)
    except (StartError, NotConvergedError, TopologyError, OSError) as error:
        sys.exit(f"error: {error}")


def run(topology: Topology, target: str, *, test: bool) -> bool:
    """Brings a topology up and checks it, or gives it to the user; returns whether all went as it should."""
    _, _, cli_module = mininet_modules()
    with (
        MininetNetwork(topology, target) as network,
        control_plane(topology, network.switches.places, network.ports) as fabric,
    ):
        print(f"{topology.name} is up in Mininet on {target}: {len(fabric.network.record)} control messages in band")
        if not test:
            print("Accelerators are Mininet's hosts: try `acc1 ping acc7`, `link A3 F1 down`, `acc7 ip route`.")
            cli_module.CLI(network.net)
            return True
        return report(check(topology, network.plans, network))


if __name__ == "__main__":
    main()
