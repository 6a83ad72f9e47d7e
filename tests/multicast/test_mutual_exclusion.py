"""Xtrs join, leave, fail, are cut off and come back while messages are lost, doubled and late.

Two things are checked against a plain model:

* at every moment no two xTRs are designated for the same receiver, and no two borders for the same Site and
  direction: the bound is 0 seconds, since `hold` is as long as a lease, and every xTR knows the cables;
* when things have calmed down, every receiver has exactly one, the lists of all mapping systems are what the
  model says, and a packet of every accelerator to every group reaches each receiver once.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.lisp import Eid
from controller.lisp.constants import REGISTER_TIMEOUT
from tests.mapping.harness import Fabric, Seen, Weather, eid
from tests.multicast.support import CABLES, GROUP, OTHER_GROUP, GroupFabric

GROUPS = (GROUP, OTHER_GROUP)
EIDS = {host: eid(host) for host in CABLES}
ACCESS = [(name, host) for host, names in CABLES.items() for name in names]
XTRS = ("A1", "A2", "A3", "A4", "D1", "D2", "D3", "D4")
CALM = 420.0
"""Seconds until leases of the past are over and every timer of a designation has run."""


class Model:
    """What is true of the world: which ports are up, who wants what, and which xTRs live."""

    def __init__(self, fabric: GroupFabric) -> None:
        self.fabric = fabric
        self.ports: set[tuple[str, str]] = set()
        self.members: set[tuple[str, Eid]] = set()
        self.dead: set[str] = set()
        self.cut: set[str] = set()

    def homes(self, host: str) -> list[str]:
        """The live xTRs that serve an accelerator."""
        return [name for name in CABLES[host] if (name, host) in self.ports and name not in self.dead]

    def forwarder(self, host: str, group: Eid) -> str | None:
        """Who is to forward a group to an accelerator."""
        homes = self.homes(host) if (host, group) in self.members else []
        return self.fabric.best(group, " ".join(homes)) if homes else None

    def lists(self) -> dict[str, dict[Eid, set[str]]]:
        """Which xTR is to be in which list."""
        found: dict[str, dict[Eid, set[str]]] = {"SU-A": {}, "SU-D": {}, "SO": {}}
        for group in GROUPS:
            serving = {self.forwarder(host, group) for host in CABLES} - {None}
            pods = {str(name)[0] for name in serving}
            borders = {
                letter: self.fabric.best(group, " ".join(live))
                for letter in "AD"
                if (live := [name for name in (f"{letter}3", f"{letter}4") if name not in self.dead])
            }
            fabric = {borders[letter] for letter in pods if letter in borders}
            for letter in "AD":
                inside = {str(name) for name in serving if str(name)[0] == letter}
                if letter in borders and fabric - {borders[letter]}:
                    inside.add(borders[letter])
                if inside:
                    found[f"SU-{letter}"][group] = inside
            if fabric:
                found["SO"][group] = fabric
        return found


class World:
    """A fabric, its model, and what can happen to both."""

    def __init__(self, seed: int) -> None:
        self.fabric = GroupFabric("AD", seed, hold=REGISTER_TIMEOUT)
        self.model = Model(self.fabric)
        self.fabric.net.watch = self.check_exclusion
        self.fabric.net.filter = self.passes
        self.fabric.start()

    def passes(self, seen: Seen) -> bool:
        ends = {str(self.fabric.rloc(name)) for name in self.model.cut}
        return seen.source not in ends and seen.destination not in ends

    def check_exclusion(self) -> None:
        held: Counter[tuple[object, ...]] = Counter()
        for name, xtr in self.fabric.xtrs():
            if name not in self.model.dead:
                for one in xtr.designations():
                    if one.granted:
                        held[name[0], one.link, one.group, one.receiver] += 1
        for what, number in held.items():
            assert number == 1, f"at {self.fabric.net.now} two forward: {what}"

    def alive(self, name: str) -> bool:
        return name not in self.model.dead

    def port_up(self, name: str, host: str) -> None:
        if self.alive(name) and (name, host) not in self.model.ports:
            self.model.ports.add((name, host))
            self.fabric.up(name, EIDS[host])

    def port_down(self, name: str, host: str) -> None:
        if self.alive(name) and (name, host) in self.model.ports:
            self.model.ports.discard((name, host))
            self.fabric.down(name, EIDS[host])

    def join(self, host: str, group: Eid) -> None:
        self.model.members.add((host, group))
        for name in CABLES[host]:
            if self.alive(name):
                self.fabric.join(name, EIDS[host], group)

    def leave(self, host: str, group: Eid) -> None:
        self.model.members.discard((host, group))
        for name in CABLES[host]:
            if self.alive(name):
                self.fabric.leave(name, EIDS[host], group)

    def kill(self, name: str) -> None:
        self.model.dead.add(name)
        self.fabric.node(name).up = False

    def revive(self, name: str) -> None:
        """It comes back with nothing but its configuration; its ports come up, its accelerators join again."""
        if self.alive(name):
            return
        self.model.dead.discard(name)
        self.fabric.node(name).up = True
        self.fabric.restart_xtr(name)
        for at, host in sorted(self.model.ports):
            if at == name:
                self.fabric.up(name, EIDS[host])
        for host, group in sorted(self.model.members):
            if name in CABLES[host]:
                self.fabric.join(name, EIDS[host], group)

    def cut(self, name: str) -> None:
        self.model.cut.add(name)

    def heal(self, name: str) -> None:
        self.model.cut.discard(name)

    def restart_server(self, name: str) -> None:
        self.fabric.restart_server(name)

    def calm_down(self) -> None:
        self.model.cut.clear()
        self.fabric.net.weather = Weather()
        self.fabric.net.run(CALM)

    def check_peace(self) -> None:
        self.calm_down()
        wanted = self.model.lists()
        for server in ("SU-A", "SU-D", "SO"):
            said = {group: set(names) for group, names in self.fabric.lists(server).items()}
            assert said == wanted[server], server
        for group in GROUPS:
            receivers = {host for host in CABLES if self.model.forwarder(host, group)}
            for host in receivers:
                granted = self.fabric.designated(group, " ".join(CABLES[host]))
                serving = [name for name, found in granted.items() if EIDS[host] in {one.receiver for one in found}]
                assert serving == [self.model.forwarder(host, group)]
            across = all(any(self.alive(f"{letter}{number}") for number in (3, 4)) for letter in "AD")
            for host in CABLES:
                for name in self.model.homes(host):
                    expected = {one for one in receivers - {host} if across or CABLES[one][0][0] == name[0]}
                    got = self.fabric.send(name, EIDS[host], group)
                    assert got == Counter({EIDS[one]: 1 for one in expected}), f"{host} at {name} to {group}"


class Designation(RuleBasedStateMachine):
    """Anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(1)

    @rule(where=st.sampled_from(ACCESS))
    def port_up(self, where: tuple[str, str]) -> None:
        self.world.port_up(*where)

    @rule(where=st.sampled_from(ACCESS))
    def port_down(self, where: tuple[str, str]) -> None:
        self.world.port_down(*where)

    @rule(host=st.sampled_from(sorted(CABLES)), group=st.sampled_from(GROUPS))
    def join(self, host: str, group: Eid) -> None:
        self.world.join(host, group)

    @rule(host=st.sampled_from(sorted(CABLES)), group=st.sampled_from(GROUPS))
    def leave(self, host: str, group: Eid) -> None:
        self.world.leave(host, group)

    @rule(name=st.sampled_from(XTRS))
    def kill(self, name: str) -> None:
        self.world.kill(name)

    @rule(name=st.sampled_from(XTRS))
    def revive(self, name: str) -> None:
        self.world.revive(name)

    @rule(name=st.sampled_from(XTRS))
    def cut(self, name: str) -> None:
        self.world.cut(name)

    @precondition(lambda self: self.world.model.cut)
    @rule(name=st.sampled_from(XTRS))
    def heal(self, name: str) -> None:
        self.world.heal(name)

    @rule(name=st.sampled_from(["SU-A", "SU-D", "SO"]))
    def restart_server(self, name: str) -> None:
        self.world.restart_server(name)

    @rule(loss=st.sampled_from([0.0, 0.2, 0.5]), repeat=st.sampled_from([0.0, 0.3]), slow=st.sampled_from([0.002, 2.0]))
    def weather(self, loss: float, repeat: float, slow: float) -> None:
        self.world.fabric.net.weather = Weather(loss, repeat, (0.001, slow))

    @rule(seconds=st.sampled_from([0.0, 0.01, 1.0, 20.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.world.fabric.net.run(seconds)

    @invariant()
    def one_at_a_time(self) -> None:
        self.world.check_exclusion()

    def teardown(self) -> None:
        self.world.check_peace()


TestDesignation = pytest.mark.requirement("MH-FWD-3", "MH-FWD-8", "MH-FWD-9")(Designation.TestCase)
TestDesignation.settings = settings(
    max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-8", "MH-FWD-9")
@pytest.mark.parametrize("seed", range(4))
def test_one_at_a_time_in_a_storm(seed: int) -> None:
    """Long stories in bad weather, from full membership: handovers all the time."""
    random = Random(seed)
    world = World(seed)
    for name, host in ACCESS:
        world.port_up(name, host)
    for host in CABLES:
        world.join(host, random.choice(GROUPS))
    world.fabric.net.run(20)
    world.fabric.net.weather = Weather(random.choice([0.0, 0.1, 0.3]), 0.2, (0.001, random.choice([0.01, 3.0])))
    for _ in range(60):
        name, host = random.choice(ACCESS)
        action = random.choice(
            ["up", "down", "up", "join", "join", "leave", "kill", "revive", "revive", "cut", "heal", "heal"]
        )
        match action:
            case "up":
                world.port_up(name, host)
            case "down":
                world.port_down(name, host)
            case "join":
                world.join(host, random.choice(GROUPS))
            case "leave":
                world.leave(host, random.choice(GROUPS))
            case "kill" | "revive" | "cut" | "heal":
                getattr(world, action)(random.choice(XTRS))
        world.fabric.net.run(random.choice([0.0, 0.1, 2.0, 15.0, 100.0]))
    for name in XTRS:
        world.revive(name)
    world.check_peace()


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-8", "MH-FWD-9")
def test_a_list_that_overtakes_the_confirmation_of_its_subscription_lasts() -> None:
    """A border that was cut off while it subscribed hears of a group before its subscription is confirmed."""
    world = World(1)
    world.cut("D1")
    world.cut("A4")
    world.port_up("A1", "10.0.0.1")
    world.fabric.net.run(20)
    world.join("10.0.0.1", OTHER_GROUP)
    world.port_up("D1", "40.0.0.7")
    world.check_peace()


def test_the_check_itself_can_fail() -> None:
    """Two that forward at once are noticed."""
    fabric: Fabric = GroupFabric("D")
    assert isinstance(fabric, GroupFabric)
    world = World(1)
    for name, host in ACCESS:
        world.port_up(name, host)
    world.join("40.0.0.7", GROUP)
    world.fabric.net.run(20)
    for name in ("D1", "D2"):
        for unit in world.fabric.xtr(name)._multicast._units.values():
            unit.wanted, unit.granted = 0.0, True
    with pytest.raises(AssertionError, match="two forward"):
        world.check_exclusion()
