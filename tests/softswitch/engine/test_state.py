"""Meters, replication, digests: the state machines behind the tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.state import (
    AlreadyExists,
    CloneSession,
    DigestConfig,
    DigestList,
    InvalidEntry,
    MeterCell,
    NotFound,
    Replica,
    SwitchState,
)
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program

SECOND = 1_000_000_000


class Rfc2698:
    """RFC 2698, color-blind, with fractions of tokens."""

    def __init__(self, cir: int, cbs: int, pir: int, pbs: int) -> None:
        self.cir, self.cbs, self.pir, self.pbs = cir, cbs, pir, pbs
        self.tc, self.tp, self.at = float(cbs), float(pbs), 0

    def color(self, size: int, now_us: int) -> int:
        elapsed = (now_us - self.at) / 1e6
        self.at = now_us
        self.tc = min(self.cbs, self.tc + self.cir * elapsed)
        self.tp = min(self.pbs, self.tp + self.pir * elapsed)
        if self.tp < size:
            return 2
        self.tp -= size
        if self.tc < size:
            return 1
        self.tc -= size
        return 0


@settings(max_examples=100, deadline=None)
@given(
    cir=st.integers(0, 50).map(lambda n: n * 1_000_000),
    extra=st.integers(0, 50).map(lambda n: n * 1_000_000),
    cbs=st.integers(0, 3000),
    pbs=st.integers(0, 3000),
    packets=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 1500)), max_size=30),
)
def test_a_meter_colors_as_rfc_2698_says(
    cir: int, extra: int, cbs: int, pbs: int, packets: list[tuple[int, int]]
) -> None:
    """At whole tokens per microsecond there is nothing to round, so both must agree to the token."""
    meter, reference, now = MeterCell("bytes", 0), Rfc2698(cir, cbs, cir + extra, pbs), 0
    meter.set_config(cir, cbs, cir + extra, pbs)
    for gap, size in packets:
        now += gap
        assert meter.execute(size, now * 1000) == reference.color(size, now)


@settings(max_examples=20, deadline=None)
@given(rate=st.integers(1, 999), burst=st.integers(1, 50))
def test_rounding_never_adds_up(rate: int, burst: int) -> None:
    """Drained every millisecond, a meter lets pass exactly its burst and what its rate gives in two seconds."""
    meter = MeterCell("packets", 0)
    meter.set_config(rate, burst, rate, burst)
    first = [meter.execute(1, 0) for _ in range(burst + 1)]
    assert first == [0] * burst + [2]
    demanded = [meter.execute(1, ms * SECOND // 1000) for ms in range(2001) for _ in range(2)]
    assert demanded.count(0) == 2 * rate


@pytest.mark.parametrize("config", [(-1, 0, 0, 0), (0, -1, 0, 0), (2, 0, 1, 0)])
def test_meter_configurations_are_checked(config: tuple[int, int, int, int]) -> None:
    meter = MeterCell("packets", 0)
    with pytest.raises(InvalidEntry, match="meter"):
        meter.set_config(*config)
    assert meter.config is None


@pytest.fixture
def state() -> SwitchState:
    return SwitchState(program("copies"), Clock())


def test_multicast_groups_live_and_die(state: SwitchState) -> None:
    groups = state.multicast
    groups.create_group(1, [(3, 0), (2, 0)])
    assert groups.get(1).replicas == (Replica(2, 0), Replica(3, 0))
    with pytest.raises(AlreadyExists, match="group 1 exists"):
        groups.create_group(1, [])
    groups.modify_group(1, [Replica(9)])
    assert groups.replicas(1) == (Replica(9, 0),)
    groups.delete_group(1)
    assert groups.replicas(1) == ()
    for act in (groups.get, groups.delete_group):
        with pytest.raises(NotFound, match="no multicast group 1"):
            act(1)


@pytest.mark.parametrize(
    ("id_", "replicas"), [(0, []), (65536, []), (1, [(1, 0), (1, 0)]), (1, [(-1, 0)]), (1, [(1, 65536)])]
)
def test_multicast_groups_are_checked(state: SwitchState, id_: int, replicas: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidEntry):
        state.multicast.create_group(id_, replicas)
    assert list(state.multicast) == []


def test_clone_sessions_live_and_die(state: SwitchState) -> None:
    sessions = state.clone_sessions
    sessions.create(CloneSession(5, (Replica(2), Replica(1)), class_of_service=1, packet_length_bytes=64))
    assert sessions.get(5) == CloneSession(5, (Replica(1), Replica(2)), 1, 64)
    with pytest.raises(AlreadyExists, match="session 5 exists"):
        sessions.create(CloneSession(5, ()))
    with pytest.raises(InvalidEntry, match="session id 32768"):
        sessions.create(CloneSession(32768, ()))
    sessions.modify(CloneSession(5, ()))
    assert sessions.get(5).replicas == ()
    sessions.delete(5)
    with pytest.raises(NotFound, match="no clone session 5"):
        sessions.modify(CloneSession(5, ()))


samples = st.tuples(st.integers(0, 3), st.integers(0, 1))


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(0, 4),
    wait=st.sampled_from([0, 1, 5]),
    hold=st.sampled_from([0, 3]),
    steps=st.lists(st.one_of(samples, st.sampled_from([1, 2]), st.just("ack")), max_size=40),
)
def test_digests_are_neither_lost_nor_repeated_early(
    size: int, wait: int, hold: int, steps: list[tuple[int, int] | int | str]
) -> None:
    clock = Clock(0)
    stream = SwitchState(program("copies"), clock).digests("sample_t")
    sent: list[DigestList] = []
    stream.callback = sent.append
    stream.configure(DigestConfig(size, wait * SECOND, hold * SECOND))
    offered: list[tuple[tuple[int, int], int]] = []
    acked: set[int] = set()
    for step in steps:
        if isinstance(step, tuple):
            offered.append((step, clock.now))
            stream.add(step)
        elif isinstance(step, int):
            for _ in range(step):
                clock.advance(1)
                stream.poll()
        elif sent:
            stream.ack(sent[-1].list_id)
            acked.add(sent[-1].list_id)
    assert all(0 < len(digest.samples) <= (size or len(offered)) for digest in sent)
    assert [digest.list_id for digest in sent] == list(range(1, len(sent) + 1))
    clock.advance(wait)
    stream.poll()
    told = [sample for digest in sent for sample in digest.samples]
    assert set(told) == {sample for sample, _ in offered}  # each at least once
    for digest in sent:  # and while held back, not again
        for later in sent[digest.list_id :]:
            if hold and digest.list_id not in acked and later.timestamp_ns < digest.timestamp_ns + hold * SECOND:
                assert not set(later.samples) & set(digest.samples)


def test_clearing_forgets_everything(state: SwitchState) -> None:
    state.multicast.create_group(1, [])
    state.clone_sessions.create(CloneSession(1, ()))
    state.digests("sample_t").configure(DigestConfig(0, SECOND, 0))
    state.digests("sample_t").add((1, 2))
    state.clear()
    assert (list(state.multicast), list(state.clone_sessions)) == ([], [])
    assert state.digests("sample_t").next_deadline_ns() is None
