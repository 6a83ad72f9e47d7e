"""Accelerators by name and by AccID: the two say the same, and nothing else is taken for an accelerator."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.accelerator_names import AcceleratorNames
from controller.app.attachments import AccessPort, Attachments
from controller.app.punted import destination_of
from controller.dataplane.entries import NextHop
from controller.lisp import Action, DistinguishedName, Eid, Metadata
from controller.xtr import Kind, Locator, MapCacheEntry
from controller.xtr.entries import Source

NAMES = AcceleratorNames("POD-D-AccID-")
HOP = NextHop(3, "02:01:00:00:00:01", "02:00:00:00:00:07")


def named(name: str) -> Eid:
    return Eid(8193, DistinguishedName(name))


@given(st.integers(0, 0xEFFFFFFF))
def test_a_name_says_its_acc_id(acc_id: int) -> None:
    assert NAMES.acc_id(NAMES.eid(8193, acc_id)) == acc_id


@pytest.mark.parametrize("name", ["POD-D-AccID-", "POD-D-AccID-07", "POD-D-AccID-x", "POD-C-AccID-7", "7"])
def test_other_names_are_of_no_accelerator(name: str) -> None:
    assert NAMES.acc_id(named(name)) is None


@pytest.mark.parametrize("number", [2**32, 0xF0000000])
def test_acc_ids_end_where_groups_begin(number: int) -> None:
    assert NAMES.acc_id(named(f"POD-D-AccID-{number}")) is None
    with pytest.raises(ValueError, match=f"AccID {number}: must be below 0xf0000000"):
        NAMES.eid(8193, number)


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        ("POD-D-AccID-7", [None], 7),
        ("POD-D-AccID-7", [Metadata(acc_id=9)], 9),
        ("gpu-left", [Metadata(acc_id=9), Metadata(acc_id=9)], 9),
        ("gpu-left", [Metadata(model="x")], None),
        ("POD-D-AccID-7", [Metadata(acc_id=9), Metadata(acc_id=8)], None),
    ],
)
def test_metadata_counts_before_the_name(name: str, told: list[Metadata | None], expected: int | None) -> None:
    locators = tuple(Locator(IPv4Address(f"192.0.2.{n}"), 1, 100, found) for n, found in enumerate(told))
    entry = MapCacheEntry(named(name), Kind.FORWARD, locators, Action.NO_ACTION, 1, 0.0, Source.PUBLICATION, "su")
    assert NAMES.acc_id_of(entry) == expected


def test_a_port_stands_for_one_accelerator_in_each_domain() -> None:
    attached = Attachments(NAMES, frozenset({8193}))
    assert attached.add(Eid.of(4097, "40.0.0.7"), HOP) == AccessPort(4097)
    assert attached.add(NAMES.eid(8193, 7), HOP) == AccessPort(4097, 8193, 7)
    assert attached.on_port(3) == [Eid.of(4097, "40.0.0.7"), NAMES.eid(8193, 7)]
    for eid, why in (
        (Eid.of(4098, "40.0.0.9"), "port 3 is of Instance-ID 4097"),
        (NAMES.eid(8193, 8), "port 3 has the accelerator of AccID 7"),
        (Eid.of(4097, "40.0.0.0/24"), "by the address of a host"),
        (named("POD-A-AccID-7"), r"no name of an accelerator of this PoD \(POD-D-AccID-"),
    ):
        with pytest.raises(ValueError, match=why):
            attached.add(eid, HOP)
    attached.remove(NAMES.eid(8193, 7))
    attached.remove(Eid.of(4097, "40.0.0.7"))
    assert attached.add(Eid.of(4098, "40.0.0.9"), HOP) == AccessPort(4098)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (bytes(12) + b"\x08\x00" + bytes(16) + bytes([40, 0, 0, 7]), Eid.of(5, "40.0.0.7")),
        (bytes(12) + b"\x86\xdd" + bytes(24) + bytes(15) + b"\x07", Eid.of(5, IPv6Address("::7"))),
        (bytes(12) + b"\x88\xb5" + bytes(4) + bytes([0, 0, 0, 8]), NAMES.eid(5, 8)),
    ],
)
def test_what_a_punted_frame_asks_for(frame: bytes, expected: Eid) -> None:
    assert destination_of(frame, 5, NAMES) == expected
    with pytest.raises(ValueError, match="names no destination"):
        destination_of(frame[:-1], 5, NAMES)


@given(st.binary(max_size=80))
def test_any_frame_is_read_or_refused(frame: bytes) -> None:
    with suppress(ValueError):
        assert destination_of(frame, 5, NAMES).iid == 5
