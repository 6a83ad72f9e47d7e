"""What reports of membership ask for; scapy, and octets by hand where it has no layer, make the reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.igmp import IGMP, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from controller.app.membership import Change, changes_in
from controller.lisp import IPAddress

GROUPS = {4: ip_address("239.1.1.1"), 6: ip_address("ff0e::1:1")}
SOURCES = {4: [ip_address("10.0.0.1"), ip_address("10.0.0.2")], 6: [ip_address("fd00::1"), ip_address("fd00::2")]}
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def igmp(message: Packet, frag: int = 0) -> bytes:
    options = [IPOption_Router_Alert()]
    header = IP(src="10.0.0.7", dst="224.0.0.22", ttl=1, proto=2, frag=frag, options=options)
    return bytes(Ether() / header / message)


def mld(message: Packet, src: str = "fe80::7", hlim: int = 1) -> bytes:
    header = IPv6(src=src, dst="ff02::16", hlim=hlim) / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    return bytes(Ether() / header / message)


def reporting(version: int, *records: tuple[int, IPAddress, Sequence[IPAddress]], auxiliary: bytes = b"") -> bytes:
    """A frame with an IGMPv3 or MLDv2 report. Each record: type, group, sources."""
    if version == 4:
        four = [
            IGMPv3_MR_Group(rtype=kind, maddr=str(group), srcaddrs=list(map(str, sources)))
            for kind, group, sources in records
        ]
        return igmp(IGMPv3_MR(type=0x22, records=four))
    made = [
        ICMPv6MLDMultAddrRec(
            rtype=kind,
            dst=str(group),
            sources=list(map(str, sources)),
            auxdata=auxiliary,
            auxdata_len=len(auxiliary) // 4,
        )
        for kind, group, sources in records
    ]
    return mld(ICMPv6MLReport2(records=made))


@VERSIONS
@pytest.mark.parametrize(
    ("kind", "sources", "expected"),
    [
        (IS_EX, 0, [(True, None)]),
        (TO_EX, 0, [(True, None)]),
        (TO_EX, 1, [(True, None)]),
        (TO_IN, 0, [(False, None)]),
        (IS_IN, 0, [(False, None)]),
        (IS_IN, 2, [(True, 0), (True, 1)]),
        (TO_IN, 1, [(False, None), (True, 0)]),
        (ALLOW, 2, [(True, 0), (True, 1)]),
        (BLOCK, 1, [(False, 0)]),
        (77, 1, []),
    ],
)
def test_a_group_record(version: int, kind: int, sources: int, expected: list[tuple[bool, int | None]]) -> None:
    group, known = GROUPS[version], SOURCES[version]
    wanted = [Change(joins, group, None if source is None else known[source]) for joins, source in expected]
    assert changes_in(reporting(version, (kind, group, known[:sources]))) == wanted


@VERSIONS
def test_several_records_in_their_order(version: int) -> None:
    """What stays on the link is left out, wherever it stands."""
    group, local = GROUPS[version], ip_address("224.0.0.251" if version == 4 else "ff02::fb")
    records: list[tuple[int, IPAddress, Sequence[IPAddress]]] = [
        (IS_EX, local, []),
        (ALLOW, group, SOURCES[version]),
        (TO_IN, local, []),
        (TO_EX, group, []),
    ]
    joined = [Change(True, group, source) for source in SOURCES[version]]
    assert changes_in(reporting(version, *records)) == [*joined, Change(True, group)]


def test_auxiliary_data_is_skipped() -> None:
    frame = reporting(6, (TO_EX, GROUPS[6], []), (TO_IN, GROUPS[6], []), auxiliary=bytes(8))
    assert changes_in(frame) == [Change(True, GROUPS[6]), Change(False, GROUPS[6])]


def test_the_reports_of_one_group() -> None:
    """IGMPv1, IGMPv2 and MLDv1; frames are padded."""
    for kind, joins in ((0x12, True), (0x16, True), (0x17, False)):
        frame = igmp(IGMP(type=kind, gaddr="239.1.1.1")).ljust(60, b"\0")
        assert changes_in(frame) == [Change(joins, GROUPS[4])]
    assert changes_in(mld(ICMPv6MLReport(mladdr="ff0e::1:1"))) == [Change(True, GROUPS[6])]
    assert changes_in(mld(ICMPv6MLDone(mladdr="ff0e::1:1"))) == [Change(False, GROUPS[6])]
    assert changes_in(mld(ICMPv6MLReport(mladdr="ff02::1:ff00:7"))) == []


def changed(frame: bytes, at: int, octet: int) -> bytes:
    return frame[:at] + bytes((octet,)) + frame[at + 1 :]


V4, V6 = reporting(4, (TO_EX, GROUPS[4], [])), reporting(6, (TO_EX, GROUPS[6], []))


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "ethernet.ether-type = 0x"),
        (V4[:30], "ipv4.length = 16"),
        (changed(V4, 14, 0x41), "ipv4.version-and-ihl = 0x41"),
        (V4[:-1], "ipv4.total-length = 40"),
        (changed(V4, 22, 9), "ipv4.checksum = "),
        (changed(V4, len(V4) - 1, 9), "igmp.checksum = "),
        (igmp(IGMP(type=0x11)), "igmp.type = 17"),
        (igmp(Raw(bytes(8)), frag=1), "ipv4.fragment = 0x0001"),
        (bytes(Ether() / IP() / Raw(bytes(8))), "ipv4.protocol = 0"),
        (igmp(Raw(b"\x16")), "igmp.length = 1"),
        (igmp(IGMP(type=0x16, gaddr="10.0.0.1")), "igmp.group = 10.0.0.1: no multicast"),
        (reporting(4, (TO_EX, ip_address("10.0.0.1"), [])), "igmp.record[0].group = 10.0.0.1"),
        (reporting(4, (ALLOW, GROUPS[4], [GROUPS[4]])), "igmp.record[0].source[0] = 239.1.1.1"),
        (
            igmp(IGMPv3_MR(type=0x22, numgrp=2, records=[IGMPv3_MR_Group(maddr="239.1.1.1")])),
            "igmp.records = 2",
        ),
        (
            igmp(IGMPv3_MR(type=0x22, records=[IGMPv3_MR_Group(maddr="239.1.1.1", numsrc=9)])),
            "igmp.record[0].sources = 9",
        ),
        (V6[:40], "ipv6.length = 26"),
        (V6[:-1], "ipv6.payload-length = 36"),
        (mld(ICMPv6MLReport2(), hlim=64), "ipv6.hop-limit = 64"),
        (mld(ICMPv6MLReport2(), src="fd00::1"), "ipv6.source = fd00::1"),
        (mld(Raw(bytes(8))), "hop-by-hop.next-header = 59"),
        (changed(V6, 55, 9), "hop-by-hop.length = 80"),
        (changed(V6, 56, 1), "hop-by-hop.options = 0x01"),
        (changed(V6, len(V6) - 1, 9), "mld.checksum = "),
    ],
)
def test_what_is_no_report_names_field_and_value(frame: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        changes_in(frame)


def understood(frame: bytes) -> bool:
    """Whether a frame is understood; if it is not, the error says which field has which value."""
    try:
        changes = changes_in(frame)
    except ValueError as error:
        if re.match(r"[\w.\[\]-]+ = \S+: ", str(error)) is None:
            raise
        return False
    assert all(change.group.is_multicast for change in changes)
    return True


@given(st.sampled_from([V4, V6]), st.data())
def test_octets_that_change_or_lack_are_refused_or_understood(frame: bytes, data: st.DataObject) -> None:
    assert understood(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        frame = changed(frame, data.draw(st.integers(12, len(frame) - 1)), data.draw(st.integers(0, 255)))
    understood(frame[: data.draw(st.integers(0, len(frame)))])


@given(st.binary(max_size=120), st.integers(0, 5))
def test_any_message_with_a_right_checksum(octets: bytes, records: int) -> None:
    """Behind headers that are in order, whatever the message holds."""
    for frame in (
        igmp(IGMPv3_MR(type=0x22, numgrp=records) / Raw(octets)),
        mld(ICMPv6MLReport2(records_number=records) / Raw(octets)),
    ):
        assert understood(frame) or records
