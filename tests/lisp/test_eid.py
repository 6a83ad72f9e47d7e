"""The extended EID: what is a key, how keys compare, contain, sort and print."""

from __future__ import annotations

import itertools
import pickle
import random
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lisp import (
    NO_ADDRESS,
    Address,
    AfiList,
    AsNumber,
    DecodeError,
    DistinguishedName,
    Eid,
    EidTarget,
    EncodeError,
    InstanceId,
    IPAddress,
    MacAddress,
    MulticastInfo,
    UnknownLcaf,
    VendorSpecific,
)
from tests.lisp import strategies as make

SOURCE, GROUP = IPv4Address("40.0.0.7"), IPv4Address("239.1.1.1")
ENTRY = MulticastInfo(5, SOURCE, 32, GROUP, 32)
ANY_SOURCE = MulticastInfo(5, IPv4Address("0.0.0.0"), 0, GROUP, 32)


@pytest.mark.parametrize(
    ("target", "text", "mask_len", "host"),
    [
        ("40.0.0.7", "[5] 40.0.0.7/32", 32, True),
        ("40.0.0.0/16", "[5] 40.0.0.0/16", 16, False),
        (IPv4Address("40.0.0.7"), "[5] 40.0.0.7/32", 32, True),
        (IPv4Network("0.0.0.0/0"), "[5] 0.0.0.0/0", 0, False),
        ("2001:db8::7", "[5] 2001:db8::7/128", 128, True),
        (IPv6Network("2001:db8::/32"), "[5] 2001:db8::/32", 32, False),
        (DistinguishedName("POD-D-AccID-7"), "[5] POD-D-AccID-7", 112, True),
        (MacAddress(b"\2\xaa\xbb\xcc\xdd\xee"), "[5] 02:aa:bb:cc:dd:ee", 48, True),
        (ENTRY, "[5] (40.0.0.7/32, 239.1.1.1/32)", 32, True),
        (ANY_SOURCE, "[5] (0.0.0.0/0, 239.1.1.1/32)", 0, False),
        (NO_ADDRESS, "[5] *", 0, False),
    ],
)
def test_of(target: EidTarget | IPAddress | str, text: str, mask_len: int, host: bool) -> None:
    eid = Eid.of(5, target)
    assert (str(eid), eid.mask_len, eid.is_host) == (text, mask_len, host)
    assert Eid.from_wire(*eid.to_wire()) == eid


@pytest.mark.parametrize(
    ("iid", "target", "why"),
    [
        (1 << 24, "40.0.0.7", "24 bits"),
        (-1, "40.0.0.7", "24 bits"),
        (5, "40.0.0.7/16", "host bits"),
        (5, "40.0.0.300", "40.0.0.300"),
        (5, "POD-D-AccID-7", "POD-D-AccID-7"),
        (6, ENTRY, "differs from the instance-ID 6"),
        (5, MulticastInfo(5, SOURCE, 33, GROUP, 32), "0 to 32"),
        (5, MulticastInfo(5, DistinguishedName("x"), 0, GROUP, 32), "must be an IP address"),
        (5, UnknownLcaf(99, b""), "is no prefix"),
    ],
)
def test_what_cannot_be_an_eid(iid: int, target: str, why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        Eid.of(iid, target)


@pytest.mark.parametrize(
    ("address", "mask_len", "field"),
    [
        (SOURCE, 33, "mask-len"),
        (IPv6Address("::1"), 129, "mask-len"),
        (MacAddress(bytes(6)), 47, "mask-len"),
        (InstanceId(1 << 24, SOURCE), 32, "iid"),
        (MulticastInfo(1 << 24, SOURCE, 32, GROUP, 32), 32, "iid"),
        (MulticastInfo(1, SOURCE, 33, GROUP, 32), 32, "eid"),
        (InstanceId(1, ENTRY), 32, "eid"),
        (InstanceId(1, NO_ADDRESS), 0, "eid"),
        (InstanceId(1, NO_ADDRESS, 24), 0, "eid"),
        (InstanceId(1, InstanceId(2, SOURCE)), 32, "eid"),
        (AsNumber(1, SOURCE), 32, "eid"),
        (AfiList((VendorSpecific(1, b""), UnknownLcaf(99, b""))), 32, "eid"),
        (NO_ADDRESS, 0, "eid"),
    ],
)
def test_what_cannot_be_looked_up(address: Address, mask_len: int, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        Eid.from_wire(address, mask_len)
    assert (caught.value.field, caught.value.offset) == (field, None)


def test_everything_in_an_instance_is_a_range_of_one_instance_id() -> None:
    """RFC 8060 §4.1: with no inner address, the IID mask-len gives the range."""
    assert Eid.whole(5).to_wire() == (InstanceId(5, NO_ADDRESS, 32), 0)
    assert Eid.whole(0).to_wire() == (InstanceId(0, NO_ADDRESS, 32), 0)


def test_no_lcaf_is_the_default_instance() -> None:
    assert Eid.from_wire(SOURCE, 32) == Eid.of(0, "40.0.0.7") == Eid.from_wire(InstanceId(0, SOURCE), 32)
    assert Eid.of(0, "40.0.0.7").to_wire() == (SOURCE, 32)


def test_host_bits_do_not_make_another_key() -> None:
    assert Eid.from_wire(InstanceId(5, SOURCE), 16) == Eid.of(5, "40.0.0.0/16")
    loose = MulticastInfo(5, SOURCE, 16, GROUP, 32)
    assert Eid.of(5, loose) == Eid.from_wire(MulticastInfo(5, IPv4Address("40.0.0.0"), 16, GROUP, 32), 0)


def test_afi_of_a_mac_address_does_not_make_another_key() -> None:
    assert len({Eid.of(5, MacAddress(bytes(6), afi)) for afi in (6, 16389)}) == 1


def test_first_usable_element_of_a_list_is_the_eid() -> None:
    address = AfiList((VendorSpecific(1, b""), DistinguishedName("a"), SOURCE))
    assert Eid.from_wire(InstanceId(5, address), 16) == Eid.of(5, DistinguishedName("a"))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (Eid.of(5, "40.0.0.0/16"), Eid.of(5, "40.0.0.7"), True),
        (Eid.of(5, "40.0.0.0/16"), Eid.of(5, "40.0.0.0/16"), True),
        (Eid.of(5, "0.0.0.0/0"), Eid.of(5, "40.0.0.7"), True),
        (Eid.of(5, "40.0.0.7"), Eid.of(5, "40.0.0.0/16"), False),
        (Eid.of(5, "40.0.0.0/16"), Eid.of(5, "40.1.0.7"), False),
        (Eid.of(5, "40.0.0.0/16"), Eid.of(6, "40.0.0.7"), False),
        (Eid.of(5, "0.0.0.0/0"), Eid.of(5, "::1"), False),
        (Eid.of(5, "::/0"), Eid.of(5, "::1"), True),
        (Eid.of(5, DistinguishedName("AccID-7")), Eid.of(5, DistinguishedName("AccID-7")), True),
        (Eid.of(5, DistinguishedName("AccID-7")), Eid.of(5, DistinguishedName("AccID-70")), False),
        (Eid.of(5, "0.0.0.0/0"), Eid.of(5, DistinguishedName("AccID-7")), False),
        (Eid.of(5, ANY_SOURCE), Eid.of(5, ENTRY), True),
        (Eid.of(5, ENTRY), Eid.of(5, ANY_SOURCE), False),
        (Eid.of(5, MacAddress(bytes(6))), Eid.of(5, MacAddress(bytes(6))), True),
        (Eid.whole(5), Eid.of(5, DistinguishedName("AccID-7")), True),
        (Eid.whole(5), Eid.of(5, "40.0.0.0/16"), True),
        (Eid.whole(5), Eid.whole(5), True),
        (Eid.whole(5), Eid.of(6, "40.0.0.7"), False),
        (Eid.of(5, "0.0.0.0/0"), Eid.whole(5), False),
    ],
)
def test_covers(outer: Eid, inner: Eid, expected: bool) -> None:
    assert outer.covers(inner) is expected


@given(make.networks, st.integers(0, 128), st.integers(0, 2**128 - 1))
def test_covers_agrees_with_the_library(inner: IPv4Network | IPv6Network, length: int, flip: int) -> None:
    bits = inner.max_prefixlen
    base = int(inner.network_address) ^ (1 << (flip % bits) if flip % 3 == 0 else 0)
    outer = ip_network((base.to_bytes(bits // 8, "big"), length % (bits + 1)), strict=False)
    assert type(outer) is type(inner)
    assert Eid.of(1, outer).covers(Eid.of(1, inner)) == inner.subnet_of(outer)  # type: ignore[arg-type]


@given(st.lists(make.eids, max_size=12), st.randoms(use_true_random=False))
def test_order_is_total(eids: list[Eid], shuffler: random.Random) -> None:
    expected = sorted(eids)
    shuffler.shuffle(eids)
    assert sorted(eids) == expected
    for low, high in itertools.pairwise(expected):
        assert low <= high
        assert (low < high) == (low != high)
        assert low.iid <= high.iid


def test_order_with_other_things_is_undefined() -> None:
    with pytest.raises(TypeError):
        sorted([Eid.of(1, "10.0.0.1"), 3])  # type: ignore[type-var]


@given(make.eids)
def test_keys_that_compare_equal_hash_equal(eid: Eid) -> None:
    twin = Eid(eid.iid, eid.target)
    assert twin is not eid
    assert {twin: "found"}[eid] == "found"
    assert eid != Eid(eid.iid ^ 1, make_movable(eid, eid.iid ^ 1))


PROGRAM = """
import pickle, sys
from controller.lisp import DistinguishedName, Eid
assert pickle.loads(sys.stdin.buffer.read()) in {Eid.of(5, DistinguishedName("POD-D-AccID-7"))}
"""


def test_keys_stay_keys_in_another_process() -> None:
    """Strings hash differently in every process, so the remembered hash must not travel."""
    name = pickle.dumps(Eid.of(5, DistinguishedName("POD-D-AccID-7")))
    subprocess.run([sys.executable, "-c", PROGRAM], input=name, check=True, timeout=60)


def make_movable(eid: Eid, iid: int) -> EidTarget:
    target = eid.target
    if isinstance(target, MulticastInfo):
        return MulticastInfo(iid, target.source, target.source_mask_len, target.group, target.group_mask_len)
    return target
