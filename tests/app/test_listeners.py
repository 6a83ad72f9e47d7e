"""Memberships by report: how they begin, are renewed and end."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.listeners import MEMBERSHIP_INTERVAL, Listeners, Membership
from controller.app.membership import Change
from controller.lisp import Eid, IPAddress, group_eid

IID = 4097
HOST = Eid.of(IID, ip_address("10.0.0.1"))
GROUP, OTHER = ip_address("239.1.1.1"), ip_address("239.2.2.2")
ONE, TWO = ip_address("10.0.0.8"), ip_address("10.0.0.9")
JOIN, LEAVE = Change(True, GROUP), Change(False, GROUP)


def reported(listeners: Listeners, *changes: Change, now: float = 0.0) -> list[tuple[Eid, bool]]:
    return [(one.group, joins) for one, joins in listeners.report(IID, changes, lambda _: HOST, now)]


def of(source: IPAddress | None = None, group: IPAddress = GROUP) -> Eid:
    return group_eid(IID, group, source)


def test_a_membership_lasts_as_long_as_it_is_renewed() -> None:
    listeners = Listeners()
    assert reported(listeners, JOIN) == [(of(), True)]
    assert reported(listeners, JOIN, now=200.0) == []
    assert listeners.next_deadline() == 200.0 + MEMBERSHIP_INTERVAL
    assert list(listeners.expired(459.9)) == []
    assert list(listeners.expired(460.0)) == [(Membership(HOST, of()), False)]
    assert listeners.next_deadline() is None
    assert reported(listeners, LEAVE) == []


def test_leaving_a_group_leaves_its_sources() -> None:
    listeners = Listeners()
    reported(listeners, Change(True, GROUP, ONE), Change(True, GROUP, TWO), Change(True, OTHER))
    assert reported(listeners, Change(False, GROUP, ONE)) == [(of(ONE), False)]
    assert reported(listeners, Change(False, GROUP, ONE)) == []
    assert reported(listeners, LEAVE, Change(True, GROUP, ONE)) == [(of(TWO), False), (of(ONE), True)]
    assert reported(listeners, JOIN) == [(of(ONE), False), (of(), True)]
    assert reported(listeners, LEAVE) == [(of(), False)]
    assert [one.group for one, _ in listeners.forget(HOST)] == [of(group=OTHER)]


def test_what_is_configured_stays() -> None:
    listeners, static = Listeners(), Membership(HOST, of())
    listeners.configure(static)
    assert reported(listeners, JOIN) == []
    assert reported(listeners, LEAVE) == []
    reported(listeners, JOIN)
    assert list(listeners.expired(MEMBERSHIP_INTERVAL)) == []
    reported(listeners, JOIN)
    assert not listeners.release(static)  # it is reported still
    assert reported(listeners, LEAVE) == [(of(), False)]
    assert listeners.release(static)


def test_an_accelerator_cannot_have_any_number() -> None:
    listeners = Listeners(most=1)
    assert reported(listeners, JOIN) == [(of(), True)]
    with pytest.raises(ValueError, match=r"10.0.0.1.*one more than 1"):
        reported(listeners, Change(True, OTHER))
    assert reported(listeners, JOIN, LEAVE, Change(True, OTHER)) == [(of(), False), (of(group=OTHER), True)]


STEPS = st.lists(
    st.tuples(
        st.builds(Change, st.booleans(), st.sampled_from([GROUP, OTHER]), st.sampled_from([None, ONE, TWO])),
        st.floats(0, 200),
    ),
    max_size=30,
)


@given(STEPS, st.sets(st.sampled_from([of(), of(ONE)])))
def test_begin_and_end_take_turns(steps: list[tuple[Change, float]], configured: set[Eid]) -> None:
    """Each membership begins before it ends, none twice, and all have ended when nobody has reported for long."""
    listeners, now, held = Listeners(), 0.0, set[Eid]()
    for group in configured:
        listeners.configure(Membership(HOST, group))
    for change, wait in [*steps, (LEAVE, 2 * MEMBERSHIP_INTERVAL)]:
        now += wait
        ended = [(one.group, joins) for one, joins in listeners.expired(now)]
        for group, joins in ended + reported(listeners, change, now=now):
            assert group not in configured
            assert (group in held) != joins
            (held.add if joins else held.discard)(group)
    assert not held
    assert listeners.next_deadline() is None
