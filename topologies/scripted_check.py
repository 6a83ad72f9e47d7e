"""A scripted check of a fabric whose accelerators are Linux hosts: pings, TCP, frames, and links that fail and heal.

The same for namespaces and for Mininet: whoever runs the fabric says how a command is started at an accelerator.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final, Protocol

from topologies.plan import SwitchPlan
from topologies.schema import AcceleratorConfig, Topology

_FRAMES: Final = 50
_PING_GAP: Final = 0.02
# Packets lost at most while a link's failure is noticed: half a second of pings.
_MAY_BE_LOST: Final = 25


class Hosts(Protocol):
    """How to do things at accelerators and to links."""

    def start(self, host: str, command: Sequence[str]) -> subprocess.Popen[str]:
        """A command starts at an accelerator; its standard output is a pipe."""

    def interfaces(self, host: str) -> list[str]:
        """Names of an accelerator's interfaces, one for each of its access switches, in their order."""

    def set_link(self, one: str, other: str, *, up: bool) -> None:
        """A link fails or heals."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: what, whether it went as it should, and the figures."""

    what: str
    passed: bool
    detail: str


def check(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    """Tries everything that the topology allows; what it has no accelerators for is left out."""
    steps: list[Callable[[Topology, Mapping[str, SwitchPlan], Hosts], Iterator[Finding]]]
    steps = [_pings, _tcp, _roce, _scale_up, _link_failure]
    for step in steps:
        yield from step(topology, plans, hosts)


def report(findings: Iterable[Finding]) -> bool:
    """Prints each as it comes; returns whether all passed."""
    passed = True
    for finding in findings:
        passed &= finding.passed
        print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.what}: {finding.detail}", flush=True)
    return passed


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "topologies.frame_tool", *arguments]


def _output(process: subprocess.Popen[str], seconds: float = 30.0) -> str:
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return said


def _may_talk(one: AcceleratorConfig, other: AcceleratorConfig) -> bool:
    """Whether IP packets get from one to the other."""
    return one.ip is not None and other.ip is not None and one.iid == other.iid and one.ip.version == other.ip.version


def _pairs(topology: Topology) -> list[tuple[AcceleratorConfig, AcceleratorConfig]]:
    """Those that may talk; the ones in different PoDs first."""
    found = [pair for pair in permutations(topology.accelerators, 2) if _may_talk(*pair)]
    return sorted(found, key=lambda pair: _pod(topology, pair[0]) == _pod(topology, pair[1]))


def _pod(topology: Topology, accelerator: AcceleratorConfig) -> str | None:
    return topology.switch(accelerator.attached_to[0]).pod


def _ping(hosts: Hosts, source: AcceleratorConfig, target: object, *options: str) -> subprocess.Popen[str]:
    return hosts.start(source.name, ["ping", "-n", "-W", "2", *options, str(target)])


def _answers(said: str) -> tuple[int, int]:
    """Packets sent and answered, from ping's summary."""
    for line in said.splitlines():
        if "packets transmitted" in line:
            words = line.replace(",", "").split()
            return int(words[0]), int(words[3])
    return 0, 0


def _pings(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    """Everybody pings everybody of the same tenant; one of each tenant pings an address that only others have."""
    by_source: dict[str, list[AcceleratorConfig]] = {}
    for source, target in _pairs(topology):
        by_source.setdefault(source.name, []).append(target)
    failed, count = [], 0
    for name, targets in by_source.items():
        source = topology.accelerator(name)
        for target, process in [(one, _ping(hosts, source, one.ip, "-c", "1")) for one in targets]:
            count += 1
            if _answers(_output(process)) != (1, 1):
                failed.append(f"{name} to {target.name}")
    if count:
        yield Finding(
            "ping within tenants", not failed, f"{count - len(failed)} of {count} answered {' '.join(failed)}"
        )
    for source, foreign in _foreign(topology):
        answered = _answers(_output(_ping(hosts, source, foreign.ip, "-c", "2", "-i", "0.1", "-W", "1")))[1]
        what = f"ping to another tenant, {source.name} to {foreign.name}"
        yield Finding(what, answered == 0, f"{answered} of 2 answered")


def _foreign(topology: Topology) -> Iterator[tuple[AcceleratorConfig, AcceleratorConfig]]:
    seen: set[int] = set()
    for source, target in permutations(topology.accelerators, 2):
        if source.iid is None or source.ip is None or source.iid in seen or target.ip is None:
            continue
        own = [one.ip for one in topology.accelerators if one.iid == source.iid]
        if target.iid != source.iid and target.ip.version == source.ip.version and target.ip not in own:
            seen.add(source.iid)
            yield source, target


def _tcp(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    for source, target in _pairs(topology)[:1]:
        server = hosts.start(target.name, ["iperf3", "--server", "--one-off", "--forceflush"])
        assert server.stdout is not None
        while "listening" not in (line := server.stdout.readline()) and line:
            pass
        said = _output(hosts.start(source.name, ["iperf3", "--client", str(target.ip), "--time", "1", "--json"]))
        server.kill()
        server.communicate()
        try:
            rate = json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e6
        except (ValueError, KeyError):
            rate = 0.0
        yield Finding(f"TCP, {source.name} to {target.name}", rate > 0, f"{rate:.1f} Mbit/s")


def _frames(hosts: Hosts, kind: str, source: str, target: str, *sending: str) -> list[dict[str, Any]]:
    """What arrives of the frames that one accelerator sends another."""
    options = ["--count", str(_FRAMES), "--seconds", "8"]
    listener = hosts.start(target, _python("listen", kind, *hosts.interfaces(target), *options))
    assert listener.stdout is not None
    listener.stdout.readline()
    sender = hosts.start(source, _python("send", kind, hosts.interfaces(source)[0], *sending, "--count", str(_FRAMES)))
    _output(sender)
    said = _output(listener)
    found: list[dict[str, Any]] = json.loads(said) if said else []
    return found


def _router(plans: Mapping[str, SwitchPlan], source: AcceleratorConfig) -> str:
    return plans[source.attached_to[0]].port_to(source.name).mac


def _roce(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    for source, target in _pairs(topology)[:1]:
        ends = str(source.ip), str(target.ip)
        found = _frames(hosts, "roce", source.name, target.name, _router(plans, source), *ends)
        numbers = [one["number"] for one in found if (one["from"], one["to"]) == ends]
        yield Finding(f"RoCEv2-like, {source.name} to {target.name}", *_in_order(numbers))


def _scale_up(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    for source in topology.accelerators:
        neighbour = topology.neighbour(source.name) if source.scale_up_iid is not None else None
        if neighbour is not None:
            ends = source.acc_id, topology.accelerator(neighbour).acc_id
            found = _frames(hosts, "scale-up", source.name, neighbour, _router(plans, source), *map(str, ends))
            numbers = [one["number"] for one in found if (one["from"], one["to"]) == ends]
            yield Finding(f"Scale-Up, {source.name} to {neighbour}", *_in_order(numbers))
            return


def _in_order(numbers: list[int]) -> tuple[bool, str]:
    """All of them, each once; packets that waited for a resolution may be overtaken."""
    return sorted(numbers) == list(range(1, _FRAMES + 1)), f"{len(numbers)} of {_FRAMES} arrived"


def _link_failure(topology: Topology, plans: Mapping[str, SwitchPlan], hosts: Hosts) -> Iterator[Finding]:
    """Links whose traffic has another way: those of a multihomed accelerator, and of a border with two uplinks."""
    pairs = _pairs(topology)
    multihomed = next((pair for pair in pairs if len(pair[1].attached_to) > 1), None)
    if multihomed is not None:
        yield from _fail_and_heal(hosts, *multihomed, multihomed[1].attached_to[0], multihomed[1].name)
    for source, target in pairs[:1]:
        borders = topology.xtrs(_pod(topology, source) or "", "border")
        uplinks = [
            (border.name, port.peer)
            for border in borders
            for port in plans[border.name].ports
            if not port.access and topology.switch(port.peer).role == "fabric-switch"
        ]
        apart = _pod(topology, source) != _pod(topology, target)
        if apart and len(uplinks) > 1:
            yield from _fail_and_heal(hosts, source, target, *uplinks[0])


def _fail_and_heal(
    hosts: Hosts, source: AcceleratorConfig, target: AcceleratorConfig, one: str, other: str
) -> Iterator[Finding]:
    for up in (False, True):
        stream = _ping(hosts, source, target.ip, "-c", "100", "-i", str(_PING_GAP))
        time.sleep(0.5)
        try:
            hosts.set_link(one, other, up=up)
            sent, answered = _answers(_output(stream))
        except BaseException:
            stream.kill()
            raise
        what = f"link {one} - {other} {'heals' if up else 'fails'}, {source.name} pings {target.name}"
        yield Finding(what, sent == 100 and sent - answered <= _MAY_BE_LOST, f"{answered} of {sent} answered")
