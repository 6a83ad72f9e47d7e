"""An xTR against a model of a few dictionaries: messages get lost, come twice or late, and it restarts."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.lisp import Action, Eid, EidRecord
from controller.xtr import MemoryNonceStore, Output, Xtr
from tests.mapping.harness import eid, nonce_source
from tests.xtr.support import SUBNET, XtrBench, record, registers, requests

REMOTE = [eid(f"40.0.0.{number}") for number in (7, 8, 9)]
OWN = [eid(f"40.0.1.{number}") for number in (1, 2, 3)]
PLACEHOLDER = record(SUBNET, ttl=1440, action=Action.SEND_MAP_REQUEST)


class XtrMachine(RuleBasedStateMachine):
    """The Map-Server is this machine: `truth` is what it has, `known` what the xTR must have believed of it.

    `life`: what an own EID is ("registering", "registered", "withdrawn"). `asked`: for every Map-Register by its
    nonce, the EIDs in it, each with the number of the change that it told of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryNonceStore()
        self.restarts = 0
        self.truth: dict[Eid, str] = {}
        self.known: dict[Eid, tuple[int, str | None]] = {}
        self.on_the_way: list[tuple[int, Eid, str | None]] = []
        self.life: dict[Eid, str] = {}
        self.change: dict[Eid, int] = {}
        self.asked: dict[int, tuple[tuple[EidRecord, ...], dict[Eid, int]]] = {}
        self.changes = 0
        self.bench = XtrBench()
        self._begin()

    @rule(one=st.sampled_from(REMOTE), rloc=st.sampled_from(["192.0.40.2", "192.0.40.3", None]))
    def something_is_published(self, one: Eid, rloc: str | None) -> None:
        self.nonce += 1
        self.truth.pop(one, None)
        if rloc is not None:
            self.truth[one] = rloc
        self.on_the_way.append((self.nonce, one, rloc))

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), again=st.booleans())
    def a_publication_arrives(self, data: st.DataObject, again: bool) -> None:
        """In any order; `again`: it will come once more, as what is not acknowledged does, or what was captured."""
        at = data.draw(st.integers(0, len(self.on_the_way) - 1))
        nonce, one, rloc = self.on_the_way[at]
        if not again:
            del self.on_the_way[at]
        told = record(one, ttl=0) if rloc is None else record(one, rloc)
        self.bench.notify(nonce, told)
        if nonce > max(self.settled, self.known.get(one, (0, None))[0]):
            self.known[one] = (nonce, rloc)

    @rule(several=st.sets(st.sampled_from(OWN), min_size=1))
    def accelerators_attach(self, several: set[Eid]) -> None:
        for one in sorted(several):
            if self.life.get(one) not in ("registering", "registered"):
                self._change(one, "registering")
            self._note(self.bench.attach(one))

    @rule(several=st.sets(st.sampled_from(OWN), min_size=1))
    def accelerators_leave(self, several: set[Eid]) -> None:
        for one in several:
            if self.life.get(one) in ("registering", "registered"):
                self._change(one, "withdrawn")
        self._note(self.bench.xtr.withdraw(sorted(several), self.bench.now))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), again=st.booleans())
    def a_registration_is_acknowledged(self, data: st.DataObject, again: bool) -> None:
        nonce = data.draw(st.sampled_from(sorted(self.asked)))
        records, told = self.asked[nonce] if again else self.asked.pop(nonce)
        self.bench.notify(nonce, *records)
        for one, change in told.items():
            if self.change.get(one) != change:
                continue
            if self.life.get(one) == "registering":
                self.life[one] = "registered"
            elif self.life.get(one) == "withdrawn":
                del self.life[one]

    @rule(seconds=st.sampled_from([0.5, 2.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self._note([output for _, output in self.bench.run(self.bench.now + seconds)])

    @precondition(lambda self: self.restarts < 3)
    @rule()
    def it_restarts(self) -> None:
        """What it was told and had attached is gone; what was on the way still arrives."""
        self.restarts += 1
        self.life, self.asked = {}, {}
        self._begin()

    @invariant()
    def the_map_cache_is_what_was_published_last(self) -> None:
        entries = self.bench.entries()
        for one in REMOTE:
            _, rloc = self.known.get(one, (0, None))
            expected = None if rloc is None else ("forward", [rloc])
            assert entries.get(str(one.target)) == expected

    @invariant()
    def the_database_is_what_is_attached(self) -> None:
        states = {one: state for one, (state, _) in self.bench.database().items()}
        assert states == {str(one.target): state for one, state in self.life.items()}
        local = {one for one, (kind, _) in self.bench.entries().items() if kind == "local"}
        assert local == {str(one.target) for one, state in self.life.items() if state != "withdrawn"}

    def teardown(self) -> None:
        """In the end everything arrives, and the xTR knows what the Map-Server has."""
        for nonce, one, rloc in self.on_the_way:
            self.bench.notify(nonce, record(one, ttl=0) if rloc is None else record(one, rloc))
        entries = self.bench.entries()
        for one in REMOTE:
            there = entries.get(str(one.target))
            assert there == (("forward", [self.truth[one]]) if one in self.truth else None)

    def _begin(self) -> None:
        """Start a life and confirm its subscription, with all that there is."""
        seed = self.restarts
        now = self.bench.now
        self.bench.xtr = Xtr(self.bench.config, now, nonces=nonce_source(seed, now), store=self.store)
        outputs = self.bench.xtr.start(now)
        (request,) = requests(outputs)
        self.nonce = self.settled = request.nonce
        self.bench.notify(request.nonce, PLACEHOLDER, *(record(one, rloc) for one, rloc in self.truth.items()))
        self.known = {one: (request.nonce, rloc) for one, rloc in self.truth.items()}

    def _change(self, one: Eid, life: str) -> None:
        self.changes += 1
        self.life[one] = life
        self.change[one] = self.changes

    def _note(self, outputs: list[Output]) -> None:
        for message in registers(outputs):
            told = {entry.key: self.change[entry.key] for entry in message.records}
            self.asked[message.nonce] = (message.records, told)


XtrMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestXtrMachine = XtrMachine.TestCase
