"""The group manager against switches that carry out its orders late, while everything else goes on failing."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.incc import InccError
from tests.incc.networks import Fabric
from tests.incc.switches import Switches

GROUPS = st.sampled_from(["g1", "g2", "g3", "g4"])


class Groups(RuleBasedStateMachine):
    """Two PoDs with room for three groups of 64 slots, so that some do not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.fabric = Fabric(pods="AD", each=1, dual=1, slots=200)
        self.manager = self.fabric.manager(first_generation=250)
        self.switches = Switches(self.fabric, self.manager)
        self.down: set[str] = set()

    def members(self, name: str) -> list[str]:
        return [] if name not in [one.name for one in self.manager.groups()] else list(self.manager.group(name).members)

    @rule(name=GROUPS, domain=st.sampled_from(["out", "up"]), data=st.data(), slots=st.sampled_from([64, 100]))
    def create(self, name: str, domain: str, data: st.DataObject, slots: int) -> None:
        pool = self.fabric.names if domain == "out" else [one for one in self.fabric.names if one.startswith("A")]
        chosen = data.draw(st.lists(st.sampled_from(pool), min_size=1, unique=True))
        with suppress(InccError):
            self.manager.create(name, domain, members=chosen, slots=slots)
        for member in chosen:
            with suppress(InccError):
                self.switches.take(self.manager.join(name, member))

    @rule(name=GROUPS, data=st.data())
    def join(self, name: str, data: st.DataObject) -> None:
        with suppress(InccError):
            self.switches.take(self.manager.join(name, data.draw(st.sampled_from(self.fabric.names))))

    @rule(name=GROUPS, dies=st.booleans(), data=st.data())
    def leave(self, name: str, dies: bool, data: st.DataObject) -> None:
        members = self.members(name)
        if members:
            member = data.draw(st.sampled_from(members))
            self.switches.take(self.manager.died(name, member) if dies else self.manager.leave(name, member))
            assert member not in self.members(name)

    @rule(name=GROUPS)
    def destroy(self, name: str) -> None:
        with suppress(InccError):
            self.switches.take(self.manager.destroy(name))

    @rule(data=st.data(), up=st.booleans())
    def port(self, data: st.DataObject, up: bool) -> None:
        switch = data.draw(st.sampled_from(sorted(self.fabric.links)))
        port = data.draw(st.integers(1, len(self.fabric.links[switch])))
        self.switches.take(self.manager.port_status(switch, port, up))

    @rule(data=st.data(), up=st.booleans())
    def switch(self, data: st.DataObject, up: bool) -> None:
        self.switches.take(self.manager.switch_status(data.draw(st.sampled_from(sorted(self.fabric.links))), up))

    @rule(data=st.data(), away=st.booleans())
    def plug(self, data: st.DataObject, away: bool) -> None:
        accelerator, home = data.draw(st.sampled_from(self.fabric.plugged))
        if away:
            self.switches.take(self.manager.detached(accelerator, home.switch))
        else:
            self.switches.take(self.manager.attached(accelerator, home))

    @precondition(lambda self: self.switches.waiting)
    @rule(data=st.data())
    def carry_out(self, data: st.DataObject) -> None:
        self.switches.carry_out(data.draw(st.integers(0, len(self.switches.waiting) - 1)))

    @rule(switch=st.booleans(), data=st.data())
    def restart(self, switch: bool, data: st.DataObject) -> None:
        """The manager is killed and started anew; a switch may have lost everything meanwhile."""
        if switch:
            name = data.draw(st.sampled_from([xtr.name for xtr in self.fabric.xtrs]))
            self.switches.entries[name].clear()
        self.manager = self.fabric.manager(first_generation=250)
        self.switches.restart(self.manager)

    @rule(data=st.data())
    def emptied(self, data: st.DataObject) -> None:
        """A switch loses its entries, and the writer puts back what it knows before anybody is asked."""
        self.switches.take(self.manager.switch_emptied(data.draw(st.sampled_from(sorted(self.fabric.links)))))

    @rule()
    def settle(self) -> None:
        self.switches.settle()
        self.switches.check_idle()

    @invariant()
    def ranges_are_apart(self) -> None:
        for xtr in self.fabric.xtrs:
            taken = sorted(self.manager.slot_ranges(xtr.name).values(), key=lambda one: one.start)
            assert all(one.stop <= other.start for one, other in pairwise(taken))
            assert not taken or taken[-1].stop <= xtr.slots

    def teardown(self) -> None:
        self.switches.settle()
        self.switches.check_idle()


TestGroups = Groups.TestCase
TestGroups.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
