"""Which of two Map-Notifies is the newer one, whatever the order in which they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Action
from controller.mapping.machine.nonces import NonceUse
from controller.xtr import MemoryNonceStore
from controller.xtr.ledger import Ledger, Verdict
from controller.xtr.nonces import NonceKeeper
from tests.mapping.harness import drop_reason, eid, nonce_source
from tests.xtr.support import (
    EVERYTHING,
    HOST,
    MEMBER,
    OTHER,
    SO,
    SUBNET,
    XtrBench,
    acks,
    changes,
    names,
    record,
    registers,
    requests,
)


@pytest.mark.requirement("PR-PUB-6")
def test_an_old_publication_is_dropped_and_the_last_one_is_acknowledged_again() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.notify(nonce + 5, record(HOST, "192.0.40.3"))
    before = bench.state()
    again = bench.notify(nonce + 5, record(HOST, "192.0.40.4"))
    assert (acks(again), changes(again)) == ([nonce + 5], [])
    for old in (nonce + 4, nonce, nonce - 1):
        assert drop_reason(bench.notify(old, record(HOST, "192.0.40.4"))) == "replay"
    assert bench.state() == before


def test_a_repeated_confirmation_is_acknowledged_again() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    bench.notify(nonce + 1, record(HOST, ttl=0))
    repeated = bench.notify(nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert (acks(repeated), changes(repeated)) == ([nonce], [])
    assert list(bench.entries()) == ["40.0.0.0/16"], "what was withdrawn meanwhile stays withdrawn"


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8), max_size=6))
def test_publications_in_any_order_end_in_the_last_state_of_each_eid(order: list[int], repeats: list[int]) -> None:
    """Two EIDs change in turn; messages overtake each other and come twice."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    publication = {
        step: record(HOST if step % 2 else OTHER, f"192.0.40.{10 + step}", ttl=1440 if step < 7 else step - 7)
        for step in range(1, 9)
    }
    publication[8] = record(OTHER, "192.0.40.99")
    for step in [*order, *repeats]:
        heard = bench.notify(nonce + step, publication[step])
        assert (acks(heard) == [nonce + step]) != (names(heard)[-1:] == ["message-dropped"])
    assert bench.entries() == {
        "40.0.0.0/16": ("forward", ["192.0.40.3"]),
        "40.0.0.8/32": ("forward", ["192.0.40.99"]),
    }, "nonce 7 withdrew the one, nonce 8 is the last word on the other"


def test_a_publication_that_overtakes_the_confirmation() -> None:
    """Choice C19: it counts, and what the confirmation says about the same EID is older."""
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    bench.notify(request.nonce + 1, record(HOST, "192.0.40.2"))
    bench.notify(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.4"))
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    bench.run(800.0)
    assert "40.0.0.7/32" in bench.entries(), "its lifetime is that of a publication, not of an unsolicited one"


def test_registrations_and_subscriptions_do_not_get_in_each_others_way() -> None:
    bench = XtrBench()
    attached = bench.attach(HOST)
    (message,) = registers(attached)
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.acknowledge(attached, record(HOST, "192.0.40.1"))
    assert message.nonce < MEMBER < nonce
    assert bench.database()["40.0.0.7/32"] == ("registered", []), "the subscription has the say about it"
    bench.notify(nonce + 1, record(HOST, "192.0.40.1"))
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1"])


@pytest.mark.requirement("PR-PUB-6")
def test_what_was_published_before_the_confirmation_is_old_for_every_eid() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    for old in (nonce - 1, nonce - 2**30):
        assert drop_reason(bench.notify(old, record(HOST, "203.0.113.1"))) == "replay"
    assert list(bench.entries()) == ["40.0.0.0/16"]


def test_a_publication_with_the_nonce_of_a_renewal_is_not_its_confirmation() -> None:
    """Choice C19: both sides used the next nonce; the EID tells which of the two it is."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.run(900.0)
    heard = bench.notify(nonce + 1, record(HOST, "192.0.40.2"))
    assert acks(heard) == [nonce + 1]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    assert [pending.eid for pending in bench.xtr.pending()] == [SUBNET], "the renewal still waits"


def test_what_comes_beside_an_answer_does_not_replace_publications() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST), record(HOST, "192.0.40.2"))
    (request,) = requests(bench.miss(OTHER))
    bench.reply(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "203.0.113.1"))
    assert bench.entries() == {"40.0.0.0/16": ("forward", ["192.0.40.3"]), "40.0.0.7/32": ("forward", ["192.0.40.2"])}
    assert request.nonce > nonce


def test_settled_nonces_are_forgotten_and_others_kept() -> None:
    ledger = Ledger(NonceKeeper(("su", "so"), MemoryNonceStore(), nonce_source(1), 0.0))
    low = NonceUse.SUBSCRIPTION.lowest
    ledger.see("su", HOST, low + 5)
    ledger.see("su", OTHER, low + 9)
    ledger.see("su", HOST, MEMBER)
    ledger.settle("su", SUBNET, low + 8)
    assert ledger.highest("su", HOST) == -1
    assert ledger.highest("su", SUBNET) == low + 9
    assert ledger.verdict("su", HOST, MEMBER) is Verdict.REPEATED
    assert ledger.verdict("su", HOST, MEMBER - 1) is Verdict.OLD
    assert ledger.verdict("so", HOST, MEMBER - 1) is Verdict.NEW


def test_an_acknowledgement_is_newer_than_what_was_heard_before_the_registration() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    bench.now = 5.0
    bench.notify(MEMBER, record(HOST, "192.0.40.1", "192.0.40.2"))
    bench.now = 10.0
    changed = bench.attach(HOST, locators=(replace(record(HOST, "192.0.40.1").locators[0], priority=7),))
    bench.acknowledge(changed, record(HOST, "192.0.40.1", "192.0.40.2", "192.0.40.4"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2", "192.0.40.4"]


def test_a_confirmation_counts_although_the_question_was_answered_otherwise_meanwhile() -> None:
    """The Map-Server has taken the subscription: it follows the prefix, and its nonces are the ones to compare."""
    bench = XtrBench("D3")
    outputs = bench.xtr.start(0.0)
    far, pod = eid("10.0.0.1"), eid("10.0.0.0/16")
    (question,) = requests(bench.miss(far))
    everything = next(request for request in requests(outputs) if request.records[0].key == EVERYTHING)
    table = record(EVERYTHING, ttl=15, action=Action.SEND_MAP_REQUEST)
    bench.notify(everything.nonce, table, record(pod, "192.0.10.3"), source=SO)
    assert [pending.eid for pending in bench.xtr.pending() if pending.eid == far] == []
    assert acks(bench.notify(question.nonce, record(pod, "192.0.10.3", "192.0.10.4"), source=SO)) == [question.nonce]
    assert pod in [found.eid for found in bench.xtr.subscriptions()]
    assert bench.entries()["10.0.0.0/16"] == ("forward", ["192.0.10.3", "192.0.10.4"])
    again = bench.notify(question.nonce, record(pod, "192.0.10.3"), source=SO)
    assert (acks(again), changes(again)) == ([question.nonce], [])


def test_so_it_does_after_a_negative_answer_and_after_the_last_try() -> None:
    bench = XtrBench()
    (question,) = requests(bench.miss(HOST))
    bench.reply(question.nonce, record(HOST, ttl=1, action=Action.DROP))
    bench.notify(question.nonce, record(HOST, "192.0.40.2"))
    (last, *_) = requests(bench.miss(OTHER))
    bench.run(15.0)
    bench.notify(last.nonce, record(OTHER, "192.0.40.2"))
    assert [found.eid for found in bench.xtr.subscriptions()] == [HOST, OTHER]
    (lost, *_) = requests(bench.miss(eid("40.0.0.9")))
    bench.run(100.0)
    bench.notify(lost.nonce, record(eid("40.0.0.9"), "192.0.40.2"))
    assert len(bench.xtr.subscriptions()) == 2, "but not for ever"


def test_a_repeated_farewell_is_acknowledged_and_nothing_more() -> None:
    bench = XtrBench()
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.now = 5.0
    (request,) = requests(bench.xtr.unsubscribe(HOST, 5.0))
    for _ in range(2):
        heard = bench.notify(request.nonce, record(HOST, "192.0.40.2"))
        assert acks(heard) == [request.nonce]
        assert bench.entries() == {}


def test_a_member_notification_after_a_publication_is_from_before_it() -> None:
    """The publication overtook both it and the confirmation of the subscription."""
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    bench.notify(request.nonce + 1, record(HOST, "192.0.40.2", "192.0.40.3"))
    late = bench.notify(MEMBER, record(HOST, "192.0.40.2"))
    assert (acks(late), changes(late), requests(late)) == ([MEMBER], [], [])
    bench.notify(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2", "192.0.40.3"])


def test_a_member_notification_after_the_end_of_a_subscription_is_news() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    bench.notify(nonce, record(SUBNET, ttl=15, action=Action.DROP_AUTH))
    assert changes(bench.notify(MEMBER, record(HOST, "192.0.40.4"))) == [("40.0.0.7/32", "forward")]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.4"])


@pytest.mark.requirement("MH-MRG-9")
def test_a_member_notification_from_before_the_own_registration_does_not_hide_its_acknowledgement() -> None:
    """D2 had registered first; D1 hears of that while its own registration is on its way."""
    bench = XtrBench("D1")
    outputs = bench.attach(HOST)
    bench.notify(NonceUse.MEMBER.lowest + 1, record(HOST, "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.2"]
    bench.acknowledge(outputs, record(HOST, "192.0.40.1", "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2"]
