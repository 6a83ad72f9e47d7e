"""The EID table against a list that is searched entry by entry."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import NO_ADDRESS, DistinguishedName, Eid
from controller.mapping.machine import EidTable, wide_dict
from controller.mapping.machine.wide_dict import WideDict
from tests.mapping.eid_tables import with_its_model

# Few distinct bits, so that prefixes nest, touch and repeat.
octet = st.sampled_from([0, 1, 2, 64, 127, 128, 192, 255])
ipv4 = st.builds(lambda a, b, n: IPv4Network(((a << 24) | b, n), strict=False), octet, octet, st.integers(0, 32))
ipv6 = st.builds(lambda a, b, n: IPv6Network(((a << 120) | b, n), strict=False), octet, octet, st.integers(0, 128))
names = st.builds(DistinguishedName, st.sampled_from(["", "a", "ab", "pETR"]))
eids = st.builds(Eid, st.sampled_from([1, 2]), st.one_of(ipv4, ipv6, names, st.just(NO_ADDRESS)))
prefixes = st.builds(Eid, st.sampled_from([1, 2]), st.one_of(ipv4, ipv6))


@pytest.fixture(scope="module", params=["one dictionary", "many"], autouse=True)
def size(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tables in one dictionary, and in so many as only very large tables have."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many":
            patch.setattr(wide_dict, "_FIRST", 2)
            patch.setattr(wide_dict, "_OTHERS", 3)
        yield


@given(st.lists(st.tuples(st.sampled_from(["set", "pop", "delete"]), st.integers(-3, 9)), max_size=40))
def test_a_wide_dictionary_is_a_dictionary(steps: list[tuple[str, int]]) -> None:
    wide: WideDict[int, int] = WideDict()
    model: dict[int, int] = {}
    for number, (step, key) in enumerate(steps):
        if step == "set":
            wide[key] = model[key] = number
        elif key not in model:
            with pytest.raises(KeyError):
                wide.pop(key)
        elif step == "pop":
            assert wide.pop(key) == model.pop(key)
        else:
            del wide[key], model[key]
        assert len(wide) == len(model)
        for one in range(-3, 10):
            assert (one in wide, wide.get(one)) == (one in model, model.get(one))
        assert sorted(wide.items()) == sorted(model.items())
        assert sorted(wide) == sorted(model)


def test_few_keys_keep_their_order() -> None:
    wide: WideDict[str, int] = WideDict()
    for key in "zbya"[: wide_dict._FIRST]:
        wide[key] = 1
    assert "".join(wide) == "zbya"[: wide_dict._FIRST]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), eids), max_size=30), eids)
def test_matches_a_plain_search(steps: list[tuple[bool, Eid]], asked: Eid) -> None:
    table, model = with_its_model(steps)
    assert dict(table.items()) == model
    assert len(table) == len(model)
    covering = sorted(
        (one for one in model if one.covers(asked)), key=lambda one: (one.target is NO_ADDRESS, -one.mask_len)
    )
    assert [one for one, _ in table.covering(asked)] == covering
    best = (covering[0], model[covering[0]]) if covering else None
    assert table.longest_match(asked) == best
    inside = sorted(one for one in model if asked.covers(one))
    assert [one for one, _ in table.inside(asked)] == inside


def same_bits(one: Eid, other: Eid) -> int:
    """The leading bits that two prefixes of one family share, bit by bit."""
    assert isinstance(one.target, (IPv4Network, IPv6Network))
    assert isinstance(other.target, (IPv4Network, IPv6Network))
    width = one.target.max_prefixlen
    a, b = (format(int(x.network_address), f"0{width}b") for x in (one.target, other.target))
    shared = 0
    while shared < min(one.mask_len, other.mask_len) and a[shared] == b[shared]:
        shared += 1
    return shared


@settings(max_examples=150, deadline=None)
@given(st.lists(prefixes, max_size=20), prefixes)
def test_shared_bits_is_the_nearest_relative(held: list[Eid], asked: Eid) -> None:
    table: EidTable[None] = EidTable()
    for one in held:
        table[one] = None
    kin = [one for one in held if one.iid == asked.iid and type(one.target) is type(asked.target) and one.mask_len > 0]
    assert table.shared_bits(asked) == max((same_bits(one, asked) for one in kin), default=-1)


@settings(max_examples=100, deadline=None)
@given(st.lists(prefixes.filter(lambda one: one.mask_len > 0), min_size=1, max_size=12), ipv4)
def test_room_around_an_address_is_free_and_the_widest(held: list[Eid], near: IPv4Network) -> None:
    """The hole that is answered for an unknown host: no entry overlaps it, one bit less and some entry does."""
    host = Eid(1, ip_network(near.network_address))
    table: EidTable[None] = EidTable()
    for one in held:
        if not one.covers(host):
            table[one] = None
    length = table.shared_bits(host) + 1
    hole = Eid(1, ip_network((near.network_address, length), strict=False))
    assert not [one for one in table if one.covers(hole) or hole.covers(one)]
    if length > 0:
        wider = Eid(1, ip_network((near.network_address, length - 1), strict=False))
        assert [one for one in table if wider.covers(one)]
