"""What a member does when things go wrong: re-forming, mismatch, deaths, time-outs, foreign packets, round wrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelerator.incc.core import Core, Settings
from accelerator.incc.errors import CollectiveTimeoutError, GroupError, MemberLostError, MismatchError
from accelerator.incc.header import EVERYBODY, Flags, InccPacket, Kind, Operation
from accelerator.incc.timing import RoundTrip, Window
from tests.accelerator.incc.members import Member, everybody, members, outcome
from tests.accelerator.incc.oracle import Faults, World


def arrays_of(world: World, count: int = 2000) -> list[Any]:
    return [np.arange(count, dtype=np.int32) * (rank + 1) for rank in range(world.size)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("leaves", [[3], [2, 2]], ids=str)
def test_a_group_that_is_formed_anew_goes_on(leaves: list[int], seed: int) -> None:
    """At any time, several times, with members that have come differently far, and told at different times."""
    world = World(leaves, faults=Faults(0.2, 0.1, 0.2), seed=seed)
    arrays = arrays_of(world)
    floats = [array.astype(np.float32) for array in arrays]
    works = []
    for member in members(world):
        works.append([member.all_reduce(arrays[member.rank]), member.all_reduce(floats[member.rank])])
        works[-1].append(member.all_reduce(arrays[member.rank].astype(np.int64), "max"))
    total = np.sum(arrays, axis=0)
    for generation in range(2, 7):
        limit = world.now + world.random.random() * 0.02
        world.run(until=lambda limit=limit: world.now >= limit)  # type: ignore[misc]
        order = list(range(world.size))
        world.random.shuffle(order)
        world.form(generation, ranks=[])
        for rank in order:
            world.form_member(rank)
            world.run(seconds=world.random.random() * 0.002, until=lambda: False)
    world.run()
    for one, two, three in works:
        np.testing.assert_array_equal(outcome(one), total)
        np.testing.assert_allclose(outcome(two), total, rtol=1e-6, atol=1)
        np.testing.assert_array_equal(outcome(three), arrays[-1])


def test_what_stands_behind_a_packet_is_padding_of_the_link() -> None:
    """A switch may leave the values of a result behind it that has none for this member."""
    world = World([3])
    give = world.deliver
    world.deliver = lambda rank, packet: give(rank, packet + bytes(256))  # type: ignore[method-assign]
    arrays = arrays_of(world)
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(result, np.sum(arrays, axis=0))
    everybody(world, lambda member: member.barrier())


def test_a_group_of_other_members_begins_anew() -> None:
    world = World([3])
    works = [member.all_reduce(np.ones(5000, np.int32)) for member in members(world)]
    world.run(until=lambda: world.now > 0.001)
    world.form(2, resume=False)
    for work in works:
        with pytest.raises(MemberLostError, match="formed anew with other members"):
            outcome(work)
    assert [int(result[0]) for result in everybody(world, lambda m: m.all_reduce(np.ones(5, np.int32)))] == [3, 3, 3]


def test_a_member_that_lost_what_it_knew_is_noticed() -> None:
    world = World([3])
    everybody(world, lambda member: member.all_reduce(np.ones(5000, np.int32)))
    world.cores[1] = Core()
    world.form(2)
    works = [member.barrier() for member in members(world)]
    world.run(seconds=1)
    with pytest.raises(MemberLostError, match="a member has completed 0 chunks, this one 79: it has begun anew"):
        outcome(works[0])


def test_a_member_that_is_further_behind_than_can_be_is_noticed() -> None:
    """By more than its slots, though what it lacks is still known."""
    world = World([3], slots=8)
    everybody(world, lambda member: member.all_reduce(np.ones(5000, np.int32)))
    world.cores[1]._low -= 10
    world.form(2)
    for member in members(world):
        member.barrier()
    world.run(seconds=1)
    assert isinstance(world.cores[0].error, MemberLostError)
    assert "completed 69 chunks, this one 79" in str(world.cores[0].error)


@pytest.mark.parametrize("first_round", [65520, 65534, 32760])
def test_rounds_wrap(first_round: int) -> None:
    world = World([2, 2], first_round=first_round, slots=4, faults=Faults(0.1, 0.1, 0.1))
    arrays = arrays_of(world, 8000)  # 125 chunks: more than 30 rounds
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(result, np.sum(arrays, axis=0))


@pytest.mark.parametrize("completed", [2**31 - 4, 2**31 + 1, 2**30 - 3, 2**32 - 2])
def test_the_count_of_chunks_wraps(completed: int) -> None:
    """As if the group had lived that long; members differ by some chunks."""
    world = World([3])
    for core in world.cores:
        core._low = core._sent = core._end = completed
    world.form(2)
    world.run(until=lambda: all(core._base is not None for core in world.cores))
    arrays = arrays_of(world, 1500)
    works = [member.all_reduce(arrays[member.rank]) for member in members(world)]
    world.run(until=lambda: world.cores[0]._low > completed + 5)
    world.form(3)
    world.run()
    for work in works:
        np.testing.assert_array_equal(outcome(work), np.sum(arrays, axis=0))


def test_the_count_of_chunks_wraps_between_members() -> None:
    """One has counted beyond 2^31, the other not yet."""
    world, completed = World([2], slots=8), 2**31 - 3
    for core in world.cores:
        core._low = core._sent = core._end = completed
    world.form(2)
    world.run(until=lambda: all(core._base is not None for core in world.cores))
    arrays = arrays_of(world, 1500)
    works = [member.all_reduce(arrays[member.rank]) for member in members(world)]
    give = world.deliver
    world.deliver = lambda rank, packet: give(rank, packet) if rank == 0 else None  # type: ignore[method-assign]
    world.run(until=lambda: world.cores[0]._low > completed + 5)
    assert world.cores[1]._low == completed
    world.deliver = give  # type: ignore[method-assign]
    world.form(3)
    world.run()
    for work in works:
        np.testing.assert_array_equal(outcome(work), np.sum(arrays, axis=0))


@pytest.mark.parametrize("other", ["length", "type", "operation", "collective"])
def test_members_that_disagree_are_told(other: str) -> None:
    world = World([2, 2])
    for member in members(world):
        if member.rank != 2:
            member.all_reduce(np.ones(100, np.int32))
        elif other == "length":
            member.all_reduce(np.ones(101, np.int32))
        elif other == "type":
            member.all_reduce(np.ones(100, np.uint32))
        elif other == "operation":
            member.all_reduce(np.ones(100, np.int32), "max")
        else:
            member.barrier()
    world.run(seconds=5)
    for core in world.cores:
        assert isinstance(core.error, MismatchError)
        assert "chunk 0 of" in str(core.error)
    with pytest.raises(MismatchError):
        Member(world, 0).barrier()


def test_a_silent_member_is_a_time_out_that_names_the_chunk() -> None:
    world = World([3], settings=Settings(timeout=2.0))
    everybody(world, lambda member: member.barrier())
    world.silent.add(1)
    works = [member.all_reduce(np.ones(1000, np.int32)) for member in members(world)]
    world.run(seconds=5)
    with pytest.raises(
        CollectiveTimeoutError, match=r"all_reduce\(sum, int32\[1000\]\) #1: no progress for 2\.0 s; 0 of 16"
    ):
        outcome(works[0])
    assert world.cores[0].snapshot().repeated < 16 * 10  # it backs off


def test_few_packets_are_repeated_however_long_nothing_answers() -> None:
    world = World([2], slots=64, settings=Settings(longest_timeout=0.05))
    everybody(world, lambda member: member.barrier())
    Member(world, 0).all_reduce(np.ones(64 * 64, np.int32))
    world.run(seconds=1.0, until=lambda: False)
    statistics = world.cores[0].snapshot()
    assert 100 < statistics.repeated <= 1 + 2 + 4 + 20 * 8  # not the window each time
    assert statistics.window == 64


def test_death_fails_everything_under_way_and_names_who() -> None:
    world = World([2])
    works = [member.all_reduce(np.ones(1000, np.int32)) for member in members(world)]
    world.cores[0].fail(MemberLostError("acc2 died", ["acc2"]), world.now)
    with pytest.raises(MemberLostError, match="acc2 died") as caught:
        outcome(works[0])
    assert caught.value.lost == ("acc2",)
    assert world.cores[0].poll_transmit(world.now) == []
    assert world.cores[0].next_deadline() is None


def test_a_cancelled_collective_goes_on_for_the_others() -> None:
    world, count = World([2]), 64 * 600  # more chunks than are built ahead
    mine = np.ones(count, np.int32)
    first = Member(world, 0).all_reduce(mine, out=mine)
    second = Member(world, 1).all_reduce(np.ones(count, np.int32))
    world.run(until=lambda: world.now > 0.0005)
    first.abandon()
    mine[:] = 7
    world.run()
    assert first.result is None
    assert (mine == 7).all()
    assert (outcome(second) == 2).all()


def test_without_a_group_nothing_is_accepted() -> None:
    core = Core()
    assert core.poll_transmit(0.0) == []
    core.receive([b"x" * 300], 0.0)
    world = World([2])
    world.cores[0] = core
    with pytest.raises(GroupError, match="has not been formed"):
        Member(world, 0).barrier()


def result(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "kind": Kind.RESULT,
        "operation": Operation.SUM,
        "generation": 1,
        "group": 7,
        "rank": 0,
        "slot": 2,
        "round": 1,
        "target": EVERYBODY,
        "values": bytes(256),
    }
    return InccPacket(**fields | changes).encode()


@pytest.mark.parametrize(
    ("packet", "counter"),
    [
        (result(generation=2), "old"),
        (result(group=8), "foreign"),
        (result(rank=1), "foreign"),
        (result(round=9), "duplicates"),
        (result(slot=7, round=1), "duplicates"),
        (result(kind=Kind.CONTRIBUTION), "refused"),
        (result(flags=Flags.EMPTY, values=b""), "refused"),
        (result()[:-4], "refused"),
        (b"\x21" + result()[1:], "refused"),
        (b"", "refused"),
    ],
)
def test_packets_that_nobody_waits_for_are_counted(packet: bytes, counter: str) -> None:
    world = World([2])
    world.run(until=lambda: world.now > 0.01)
    work = Member(world, 0).all_reduce(np.ones(64, np.int32))
    world.run(until=lambda: world.now > 0.02)
    core = world.cores[0]
    before = core.snapshot()
    core.receive([packet], world.now)
    after = core.snapshot()
    assert getattr(after, counter) == getattr(before, counter) + 1
    assert after.results == before.results
    assert not work.finished
    Member(world, 1).all_reduce(np.ones(64, np.int32))
    world.run()
    assert (outcome(work) == 2).all()


def test_the_window_is_kept() -> None:
    world = World([2], slots=64, settings=Settings(queue=5))
    for member in members(world):
        member.all_reduce(np.ones(6400, np.int32))
    world.run(until=lambda: world.now > 0.001)
    largest = 0
    while not world.cores[0].idle:
        world.run(until=lambda: True)
        largest = max(largest, len(world.cores[0]._flights.under_way))
        limit = world.now + 1e-4
        world.run(until=lambda limit=limit: world.now >= limit)  # type: ignore[misc]
    assert 0 < largest <= 5


def test_time_outs_follow_rfc_6298() -> None:
    trip = RoundTrip(0.001, 10.0)
    trip.sample(0.1)
    assert trip.timeout == pytest.approx(0.1 + 4 * 0.05)
    trip.sample(0.2)
    assert trip.smoothed == pytest.approx(0.1125)
    assert trip.variation == pytest.approx(0.05 * 0.75 + 0.1 * 0.25)
    before = trip.timeout
    trip.back_off()
    assert trip.timeout == pytest.approx(2 * before)
    for _ in range(20):
        trip.back_off()
    assert trip.timeout == 10.0
    trip.sample(0.1)
    assert trip.timeout < 1


def test_many_samples_of_one_round_trip_count_as_one() -> None:
    """RFC 7323, appendix G: the estimate remembers round trips, not packets."""
    trip = RoundTrip(0.001, 10.0)
    trip.sample(0.1)
    for _ in range(64):
        trip.sample(0.02, 64)
    assert trip.smoothed == pytest.approx(0.1 - 0.08 / 8, rel=0.01)
    assert trip.variation > 0.04


def test_one_slow_window_does_not_make_the_round_trip_forgotten() -> None:
    world = World([2], slots=64)
    everybody(world, lambda member: member.all_reduce(np.ones(640, np.int32)))
    world.delay = 0.004
    everybody(world, lambda member: member.all_reduce(np.ones(64 * 64, np.int32)))
    found = world.cores[0].snapshot()
    assert found.repeated == 0
    assert found.round_trip is not None
    assert 0.001 < found.round_trip < 0.006  # it was 0.0002, and these 64 took 0.008


def test_the_bounds_of_a_time_out_are_kept() -> None:
    trip = RoundTrip(0.05, 0.2)
    for _ in range(50):
        trip.sample(0.001)
    assert trip.timeout == 0.05
    trip.sample(5.0)
    assert trip.timeout == 0.2


@pytest.mark.parametrize("leaves", [[2], [8], [4, 4, 4, 4]], ids=str)
def test_nothing_is_repeated_where_nothing_is_lost(leaves: list[int]) -> None:
    """Also when the round trip grows with the window, as where a link is slow, and members begin at various times."""
    world = World(leaves, slots=256, per_packet=2e-5)
    arrays = arrays_of(world, 20_000)
    for turn in range(3):
        works = []
        for member in members(world):
            works.append(member.all_reduce(arrays[member.rank].astype(np.float32)))
            world.run(seconds=world.random.random() * 1e-3, until=lambda: False)
        world.run()
        assert all(work.finished for work in works), turn
    for core in world.cores:
        statistics = core.snapshot()
        assert (statistics.repeated, statistics.duplicates, statistics.window) == (0, 0, 64)


def test_a_packet_that_later_ones_overtake_is_repeated_before_its_time_is_up() -> None:
    world = World([2], slots=64, settings=Settings(shortest_timeout=5.0, longest_timeout=5.0))
    everybody(world, lambda member: member.barrier())
    begun = world.now
    lost: list[bytes] = []

    def lose(packet: bytes) -> None:
        if len(packet) > 100 and len(lost) < 3 and packet not in lost:
            lost.append(packet)
        else:
            keep(packet)

    keep, world.up[0] = world.up[0], lose
    works = [member.all_reduce(np.ones(64 * 40, np.int32)) for member in members(world)]
    world.run()
    assert all((outcome(work) == 2).all() for work in works)
    assert world.now - begun < 0.01
    assert world.cores[0].snapshot().early == 3
    assert world.cores[0].snapshot().window < 64  # it was more than the way could take
    assert world.cores[1].snapshot().early in (0, 3)  # whose own came, but no results


def test_a_late_answer_to_what_was_sent_first_is_none_to_the_repeat() -> None:
    """Or everything sent before the repeat would be taken for lost as well."""
    world = World([2], slots=64, settings=Settings(shortest_timeout=0.01))
    everybody(world, lambda member: member.all_reduce(np.ones(640, np.int32)))
    works = [Member(world, 0).all_reduce(np.ones(64 * 32, np.int32))]
    world.run(seconds=0.035, until=lambda: False)
    assert 0 < world.cores[0].snapshot().timeouts < 5  # few are enough to find out
    world.delay = 1e-6
    works.append(Member(world, 1).all_reduce(np.ones(64 * 32, np.int32)))
    world.run()
    assert all(work.finished for work in works)
    assert world.cores[0].snapshot().early == 0
    assert world.cores[0].snapshot().window == 64


def test_an_answer_restarts_the_time_of_the_others() -> None:
    """RFC 6298 section 5.3: what comes one by one, late, is not repeated one by one."""
    world = World([2], slots=64, per_packet=5e-4)
    everybody(world, lambda member: member.all_reduce(np.ones(64, np.int32)))
    works = [Member(world, 0).all_reduce(np.ones(64 * 32, np.int32))]
    world.run(seconds=0.015, until=lambda: False)
    works.append(Member(world, 1).all_reduce(np.ones(64 * 32, np.int32)))
    for _ in range(30):
        world.run(seconds=5e-4, until=lambda: False)
        deadline = world.cores[0].next_deadline()
        assert deadline is None or deadline > world.now
    world.run()
    assert all((outcome(work) == 2).all() for work in works)
    assert world.cores[0].snapshot().repeated == 0


def test_exponents_are_agreed_no_further_ahead_than_there_are_chunks() -> None:
    """A member that sent more than others would have to wait for them."""
    world = World([2], slots=8)
    assert [member.all_reduce(np.ones(64 * 3, np.float32)).chunks for member in members(world)] == [6, 6]
    assert [member.all_reduce(np.ones(64 * 30, np.float32)).chunks for member in members(world)] == [38, 38]


def test_the_answer_to_one_repeat_tells_that_the_others_were_lost() -> None:
    """All results of a window are lost on the way to one member."""
    world = World([2, 2], slots=64)
    everybody(world, lambda member: member.all_reduce(np.ones(640, np.int32)))
    world.silent.add(0)
    world.run(seconds=0.001, until=lambda: False)
    world.silent.clear()
    works = [member.all_reduce(np.ones(64 * 32, np.int32)) for member in members(world)]
    world.pump()
    world.silent.add(0)
    world.run(seconds=0.01, until=lambda: False)
    world.silent.clear()
    begun = world.now
    world.run()
    assert all((outcome(work) == 2 * 2).all() for work in works)
    statistics = world.cores[0].snapshot()
    assert (statistics.timeouts, statistics.early, statistics.duplicates) == (1, 31, 0)
    assert world.now - begun < 0.02  # one time-out, and a round trip
    assert [core.snapshot().repeated for core in world.cores[1:]] == [0, 0, 0]


def test_reordering_is_learnt_from_answers_that_come_twice() -> None:
    trip = RoundTrip()
    for _ in range(100):
        trip.sample(0.1)
    before = trip.reordering()
    for turn in range(10):
        trip.needless(now=float(turn))
        trip.needless(now=turn + 0.05)  # of the same round trip
        assert trip.reordering() == pytest.approx(min(0.025 * (turn + 2), 0.1))
    assert before == pytest.approx(0.025)


def test_repeated_chunks_are_no_samples() -> None:
    world = World([2])
    world.run(until=lambda: world.now > 0.01)
    core = world.cores[0]
    before = core.snapshot().round_trip
    world.cut = True
    works = [member.barrier() for member in members(world)]
    world.run(seconds=0.5)
    world.cut = False
    world.run()
    assert all(work.finished for work in works)
    assert core.snapshot().repeated > 0
    assert core.snapshot().round_trip == before


def test_the_window_halves_and_grows() -> None:
    window = Window(64)
    window.lost()
    assert window.size == 32
    for _ in range(32):
        window.result()
    assert window.size == 33
    for _ in range(20):
        window.lost()
    assert window.size == 4


@pytest.mark.parametrize("changes", [{"window": 0}, {"timeout": -1.0}, {"shortest_timeout": 5.0}])
def test_settings_are_checked(changes: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(changes)) if "shortest_timeout" not in changes else "longest_timeout"
    ):
        Settings(**changes)
