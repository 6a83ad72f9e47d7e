"""The scheduler of link effects: nothing is lost without a counter, and every effect keeps within its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.ports import Channel, Effects, PortError, parse_effects

MS = 1_000_000


@dataclass(frozen=True)
class Offer:
    """A packet of a length, so many nanoseconds after the one before it."""

    gap: int
    length: int


offers = st.lists(st.builds(Offer, st.integers(0, 3 * MS), st.integers(1, 1500)), max_size=60)
delays = st.integers(0, 5 * MS)
shares = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@st.composite
def effects_of_any_kind(draw: st.DrawFn) -> Effects:
    delay = draw(delays)
    return Effects(
        delay=delay,
        jitter=draw(st.integers(0, delay)),
        loss=draw(shares),
        duplicate=draw(shares),
        reorder=draw(shares) if delay else 0.0,
        rate=draw(st.sampled_from([0, 9_999, 1_000_003, 10**7, 3 * 10**9, 10**13])),
        queue=draw(st.integers(1, 20)),
        seed=draw(st.integers(0, 3)),
    )


def numbered(index: int, length: int) -> bytes:
    """A packet that tells its number."""
    return index.to_bytes(2, "big") + bytes(max(length - 2, 0))


@dataclass
class Run:
    """A channel and what came out: arrival time and packet."""

    channel: Channel
    sent: list[tuple[int, bytes]]
    arrived: list[tuple[int, bytes]]

    def numbers(self) -> list[int]:
        """The numbers of the packets that arrived, in their order."""
        return [int.from_bytes(packet[:2], "big") for _, packet in self.arrived]


def run(effects: Effects, packets: Sequence[Offer], name: str = "x") -> Run:
    """Offers the packets and takes each out at the very time it is due."""
    result = Run(Channel(effects, name), [], [])
    now = 0
    for index, offer in enumerate(packets):
        now += offer.gap
        take(result, now)
        result.sent.append((now, numbered(index, offer.length)))
        result.channel.offer(result.sent[-1][1], now)
    take(result, None)
    return result


def take(result: Run, until: int | None) -> None:
    """What is due up to a time, each packet at its deadline."""
    while (deadline := result.channel.deadline) is not None and (until is None or deadline <= until):
        assert not result.channel.due(deadline - 1)
        result.arrived += [(deadline, packet) for packet in result.channel.due(deadline)]


@given(effects_of_any_kind(), offers, st.integers(0, 60))
def test_every_packet_is_accounted_for_at_every_moment(effects: Effects, packets: list[Offer], cut_at: int) -> None:
    channel = Channel(effects)
    now = arrived = 0
    for index, offer in enumerate(packets):
        now += offer.gap
        channel.offer(bytes(offer.length), now)
        if index % 3 == 0:
            arrived += len(channel.due(now))
        if index == cut_at:
            channel.cut()
            assert len(channel) == 0
        count = channel.counters
        assert count.delivered == arrived
        gone = count.delivered + count.lost + count.overflowed + count.cut
        assert count.offered + count.duplicated == gone + len(channel)
    assert channel.counters.offered == len(packets)


@given(effects_of_any_kind(), offers)
def test_the_same_seed_gives_the_same_fate(effects: Effects, packets: list[Offer]) -> None:
    first, second = run(effects, packets), run(effects, packets)
    assert first.arrived == second.arrived
    assert first.channel.counters == second.channel.counters


def test_another_seed_or_direction_gives_another_fate() -> None:
    packets = [Offer(0, 60)] * 200
    effects = Effects(loss=0.5, seed=1)
    fates = {tuple(run(e, packets, n).numbers()) for e, n in ((effects, "a"), (effects, "b"))}
    fates.add(tuple(run(replace(effects, seed=2), packets, "a").numbers()))
    assert len(fates) == 3


@given(effects_of_any_kind(), offers)
def test_only_reordering_changes_the_order(effects: Effects, packets: list[Offer]) -> None:
    in_order = run(replace(effects, reorder=0.0), packets)
    assert in_order.numbers() == sorted(in_order.numbers())
    assert in_order.channel.counters.reordered == 0
    shuffled = run(effects, packets)
    numbers = shuffled.numbers()
    overtaken = sum(numbers[i] < max(numbers[:i]) for i in range(1, len(numbers)))
    assert (shuffled.channel.counters.reordered > 0) == (overtaken > 0)


@given(effects_of_any_kind(), offers)
def test_the_delay_stays_between_its_bounds(effects: Effects, packets: list[Offer]) -> None:
    """What waits at the transmitter is in the bound: at most the queue and the packet itself."""
    result = run(effects, packets)
    sent = {int.from_bytes(packet[:2], "big"): time for time, packet in result.sent}
    low = 0 if effects.reorder else effects.delay - effects.jitter
    for (time, packet), number in zip(result.arrived, result.numbers(), strict=True):
        airtime = -(-len(packet) * 8 * 10**9 // effects.rate) if effects.rate else 0
        queued = -(-effects.queue * 1500 * 8 * 10**9 // effects.rate) if effects.rate else 0
        least = airtime + low
        assert sent[number] + least <= time <= sent[number] + queued + effects.delay + effects.jitter


@given(effects_of_any_kind(), offers)
def test_the_rate_is_never_exceeded(effects: Effects, packets: list[Offer]) -> None:
    """Between any two arrivals lie at least the bits of all but the first."""
    result = run(replace(effects, rate=effects.rate or 10**6, reorder=0.0), packets)
    rate = result.channel.effects.rate
    for start in range(len(result.arrived)):
        octets = 0
        for time, packet in result.arrived[start + 1 :]:
            octets += len(packet)
            assert octets * 8 * 10**9 <= (time - result.arrived[start][0] + 1) * rate


def test_a_rate_is_used_in_full() -> None:
    """A burst at 3 Gbit/s takes as long as its bits, to the nanosecond, however short its packets are."""
    result = run(Effects(rate=3 * 10**9, queue=1000), [Offer(0, 64)] * 1000)
    assert result.arrived[-1][0] == -(-1000 * 64 * 8 // 3)


def test_the_queue_holds_as_many_packets_as_it_says() -> None:
    channel = Channel(Effects(rate=8000, queue=3))  # an octet takes a millisecond
    for _ in range(5):
        channel.offer(bytes(10), 0)
    assert (channel.counters.overflowed, len(channel)) == (2, 3)
    channel.offer(bytes(10), 10 * MS - 1)
    assert channel.counters.overflowed == 3
    channel.offer(bytes(10), 10 * MS)  # the first one has gone
    assert channel.counters.overflowed == 3


def test_a_cut_frees_the_transmitter() -> None:
    channel = Channel(Effects(rate=8000, queue=1, delay=MS))
    channel.offer(bytes(1000), 0)
    channel.cut()
    channel.offer(bytes(1), MS)
    assert (channel.deadline, channel.counters.overflowed) == (3 * MS, 0)


@given(offers)
def test_a_higher_loss_loses_the_same_packets_and_more(packets: list[Offer]) -> None:
    kept = [set(run(Effects(loss=share), packets).numbers()) for share in (0.0, 0.2, 0.6, 1.0)]
    assert kept[0] == set(range(len(packets)))
    assert kept[0] >= kept[1] >= kept[2] >= kept[3] == set()


@pytest.mark.parametrize(("effect", "share"), [("loss", 0.3), ("duplicate", 0.3), ("reorder", 0.3)])
def test_probabilities_are_met(effect: str, share: float) -> None:
    """The generator is seeded: these numbers are the same every time."""
    packets = [Offer(MS, 60)] * 4000
    count = run(parse_effects([f"{effect}={share}", "delay=10ms"]), packets).channel.counters
    seen = {"loss": count.lost, "duplicate": count.duplicated, "reorder": count.reordered}
    assert seen.pop(effect) == pytest.approx(4000 * share, rel=0.1)
    assert set(seen.values()) == {0}


def test_jitter_spreads_over_its_whole_width() -> None:
    arrived = run(Effects(delay=10 * MS, jitter=4 * MS), [Offer(20 * MS, 60)] * 500).arrived
    delays = [time - 20 * MS * (index + 1) for index, (time, _) in enumerate(arrived)]
    assert 6 * MS <= min(delays) < 6.2 * MS
    assert 13.8 * MS < max(delays) <= 14 * MS


def test_a_copy_arrives_behind_its_original() -> None:
    assert run(Effects(duplicate=1.0, delay=MS), [Offer(0, 60)] * 3).numbers() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("delay=2ms", Effects(delay=2 * MS)),
        ("delay=1.5us,jitter=100ns", Effects(delay=1500, jitter=100)),
        ("loss=1%,duplicate=0.5,seed=7", Effects(loss=0.01, duplicate=0.5, seed=7)),
        ("delay=1s,reorder=25%", Effects(delay=10**9, reorder=0.25)),
        ("rate=2.5Gbit,queue=64", Effects(rate=2_500_000_000, queue=64)),
    ],
)
def test_effects_in_words(text: str, effects: Effects) -> None:
    assert parse_effects(text.split(",")) == effects


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("delay=2", "delay=2: '2' is not a number with one of the units ns, us, ms, s"),
        ("delay=-2ms", "delay=-2ms: '-2ms' is not a number"),
        ("delay=0.5ns", "delay=0.5ns: less than the smallest unit, ns, is lost"),
        ("delay=2min", "'2min' is not a number with one of the units"),
        ("delay=61s", "delay 61000000000 is not in 0..60000000000"),
        ("delay=1ms,jitter=2ms", "jitter 2000000 is not in 0..the delay"),
        ("loss=101%", "loss 1.01 is not in 0..1"),
        ("loss=x", "'x' is not a percentage with %, or a fraction of 1"),
        ("rate=10", "'10' is not a number with one of the units bit, kbit, Mbit, Gbit, Tbit"),
        ("queue=0", "queue 0 is not positive"),
        ("queue=1.5", "queue=1.5: less than the smallest unit, 1, is lost"),
        ("reorder=1%", "reorder 0.01 needs a delay"),
        ("speed=1", "'speed=1' is not one of delay, jitter, loss"),
        ("delay", "'delay' is not one of"),
        ("loss=1%,loss=2%", "loss is given twice"),
    ],
)
def test_effects_that_make_no_sense_name_option_and_value(text: str, complaint: str) -> None:
    with pytest.raises(PortError) as caught:
        parse_effects(text.split(","))
    assert complaint in str(caught.value)


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(PortError, match="loss nan"):
        Effects(loss=float("nan"))
