"""A Map-Request that is recognized by its octets gets exactly the answer of one that is read (RFC 9301 §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Datagram, MapReply
from controller.mapping.inquiries import ReplyLimiter
from controller.mapping.limits import Limits
from tests.mapping.harness import Bench, Peer, eid, ip, messages

EIDS = [eid(text) for text in ("40.0.0.1", "40.0.0.2", "40.0.0.0/24", "40.0.0.0/16", "41.0.0.1")]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens: who does what to which EID, and how a Map-Request is sent."""

    act: str
    peer: int
    eid: int
    ecm: bool
    port: int
    damage: int | None
    seconds: int


acts = st.sampled_from(["ask"] * 6 + ["register", "withdraw", "change", "subscribe"])
steps = st.builds(
    Step,
    acts,
    st.integers(0, 1),
    st.integers(0, len(EIDS) - 1),
    st.sampled_from([True, True, False]),
    st.sampled_from([61000, 61000, 61001]),
    st.none() | st.none() | st.integers(0, 8 * 60 - 1),
    st.sampled_from([0, 1, 4]),
)


def datagram_of(bench: Bench, peer: Peer, step: Step) -> Datagram:
    one = EIDS[step.eid]
    if step.act == "register":
        return peer.register(bench.endpoint, one, proxy_reply=step.ecm)
    if step.act == "withdraw":
        return peer.withdraw(bench.endpoint, one)
    if step.act == "change":
        return peer.register(bench.endpoint, one, ttl=60 + step.seconds)
    return peer.request(bench.endpoint, one, subscribe=step.act == "subscribe", ecm=step.ecm, port=step.port)


def damaged(datagram: Datagram, bit: int | None) -> Datagram:
    if bit is None or bit // 8 >= len(datagram.payload):
        return datagram
    octets = bytearray(datagram.payload)
    octets[bit // 8] ^= 1 << bit % 8
    return datagram._replace(payload=bytes(octets))


@given(st.lists(steps, max_size=25), st.sampled_from([1, 65536]))
@settings(max_examples=80, deadline=None)
def test_recognized_or_read_the_answer_is_the_same(history: list[Step], reply_table: int) -> None:
    limits = Limits(subscriptions_per_xtr=1)
    fast, slow = (Bench(inquiry_table=size, reply_table=reply_table, limits=limits) for size in (3, 0))
    peers = [fast.d1, fast.d2]
    now = 0.0
    for step in history:
        now += step.seconds
        datagram = damaged(datagram_of(fast, peers[step.peer], step), step.damage)
        assert fast.server.receive(datagram, now) == slow.server.receive(datagram, now)
        assert fast.state() == slow.state()


def test_repetitions_are_recognized_until_something_changes() -> None:
    bench = Bench(reply_interval=1.0)
    bench.register(bench.d1, EIDS[0])
    inquiries = bench.server._inquiries
    recognized: list[bool] = []
    answer = inquiries.answer

    def observed(datagram: Datagram, now: float) -> Any:
        outputs = answer(datagram, now)
        recognized.append(outputs is not None)
        return outputs

    inquiries.answer = observed  # type: ignore[method-assign]
    for number in range(3):
        (reply,) = messages(bench.request(bench.d2, EIDS[0], now=2.0 * number), MapReply)
        assert reply.nonce == bench.d2.nonce
    assert recognized == [False, True, True]
    recognized.clear()
    bench.register(bench.d1, EIDS[0], ttl=5, now=6.0)
    (reply,) = messages(bench.request(bench.d2, EIDS[0], now=7.0), MapReply)
    assert reply.records[0].ttl == 5
    bench.register(bench.d2, EIDS[1], now=8.0)
    bench.request(bench.d2, EIDS[0], now=9.0)
    bench.request(bench.d2, EIDS[0], now=11.0)
    assert recognized == [False, False, False, False, True]  # Map-Registers are none of its business


def test_a_request_with_a_wrong_checksum_is_not_recognized() -> None:
    bench = Bench(reply_interval=1.0)
    bench.register(bench.d1, EIDS[0])
    for number in range(3):
        request = bench.d2.request(bench.endpoint, EIDS[0])
        octets = bytearray(request.payload)
        if number == 2:
            octets[40] ^= 1  # in the nonce
        outputs = bench.server.receive(request._replace(payload=bytes(octets)), 2.0 * number)
        assert bool(messages(outputs, MapReply)) == (number < 2)


def test_the_limiter_forgets_the_oldest_pair() -> None:
    limiter = ReplyLimiter(3.0, 2)
    slots = [limiter.admit(ip(f"192.0.2.{number}"), EIDS[0], 0.0) for number in (1, 2, 3)]
    assert [slot is not None and slot.forgotten for slot in slots] == [True, False, False]
    assert limiter.admit(ip("192.0.2.2"), EIDS[0], 2.9) is None
    assert limiter.admit(ip("192.0.2.2"), EIDS[0], 3.0) is slots[1]
