"""The router between protocol core and switch: which locators are used, and what a map-cache entry becomes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.router import usable
from controller.dataplane.entries import Rloc
from controller.xtr import Locator

ONE, TWO, THREE = (IPv4Address(f"192.0.2.{number}") for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("locators", "expected"),
    [
        ([], []),
        ([(ONE, 1, 100), (TWO, 1, 100)], [[(ONE, 100), (TWO, 100)]]),
        ([(ONE, 2, 100), (TWO, 1, 50)], [[(TWO, 50)], [(ONE, 100)]]),
        ([(ONE, 255, 100)], []),
        ([(ONE, 255, 100), (TWO, 3, 1)], [[(TWO, 1)]]),
        ([(ONE, 1, 0), (TWO, 1, 10)], [[(TWO, 10)], [(ONE, 1)]]),
        ([(ONE, 1, 0), (TWO, 1, 0), (THREE, 2, 9)], [[(ONE, 1), (TWO, 1)], [(THREE, 9)]]),
    ],
)
@pytest.mark.requirement("MH-1")
def test_the_best_priority_by_weight(
    locators: list[tuple[IPv4Address, int, int]], expected: list[list[tuple[IPv4Address, int]]]
) -> None:
    assert usable(tuple(Locator(*locator) for locator in locators)) == [
        [Rloc(*rloc) for rloc in tier] for tier in expected
    ]


def test_a_locator_that_the_underlay_cannot_reach_is_left_out() -> None:
    other = IPv6Address("2001:db8::1")
    locators = (Locator(other, 1, 100), Locator(ONE, 2, 100))
    assert usable(locators) == [[Rloc(ONE, 100)]]
    assert usable(locators, frozenset({4, 6})) == [[Rloc(other, 100)], [Rloc(ONE, 100)]]


@given(
    st.lists(
        st.builds(Locator, st.sampled_from([ONE, TWO, THREE]), st.integers(0, 255), st.integers(0, 255)), max_size=5
    )
)
def test_every_chosen_locator_is_of_the_best_usable_priority(locators: list[Locator]) -> None:
    tiers = usable(tuple(locators))
    priorities = [locator.priority for locator in locators if locator.priority != 255]
    assert bool(tiers) == bool(priorities)
    best = {locator.rloc for locator in locators if priorities and locator.priority == min(priorities)}
    assert {rloc.address for tier in tiers[:1] for rloc in tier} <= best
    assert sum(map(len, tiers)) == len(priorities)
    assert all(rloc.weight >= 1 for tier in tiers for rloc in tier)
