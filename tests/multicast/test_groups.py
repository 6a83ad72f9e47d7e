"""How groups are named, and which registered groups answer for one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    DistinguishedName,
    Eid,
    EidRecord,
    EncodeError,
    MulticastInfo,
    ReplicationEntry,
    ReplicationList,
    RlocRecord,
    group_eid,
    is_group,
    replicas,
    replication_locator,
    scale_up_group_eid,
)
from controller.lisp.replication import BROADCAST_GROUP, any_source, is_broadcast, scale_up_group_number, source_of
from tests.mapping.eid_tables import with_its_model

G = ip_address("239.1.1.1")


def test_the_eid_of_a_group_is_a_multicast_info_lcaf() -> None:
    assert group_eid(7, G).target == MulticastInfo(7, ip_address("0.0.0.0"), 0, G, 32)
    assert group_eid(7, G, ip_address("40.0.0.7")).target == MulticastInfo(7, ip_address("40.0.0.7"), 32, G, 32)
    assert group_eid(7, ip_address("ff05::9")).target == MulticastInfo(
        7, ip_address("::"), 0, ip_address("ff05::9"), 128
    )


@pytest.mark.parametrize(
    ("group", "source", "reason"),
    [
        ("40.0.0.7", None, "group"),
        ("255.255.255.254", None, "group"),
        ("239.1.1.1", "2001:db8::1", "source"),
    ],
)
def test_what_is_no_group(group: str, source: str | None, reason: str) -> None:
    with pytest.raises(EncodeError, match=reason):
        group_eid(7, ip_address(group), ip_address(source) if source else None)


def test_scale_up_groups_have_names() -> None:
    assert scale_up_group_eid(7, 0xAB) == Eid(7, DistinguishedName("group-000000ab"))
    assert scale_up_group_number(scale_up_group_eid(7, 0xAB)) == 0xAB
    for name in ("group-AB", "group-000000AB", "group-000000ab1", "POD-D-AccID-7"):
        assert not is_group(Eid(7, DistinguishedName(name)))
    with pytest.raises(EncodeError, match="32 bits"):
        scale_up_group_eid(7, 1 << 32)


def test_everybody_is_a_group() -> None:
    assert is_broadcast(scale_up_group_eid(7, BROADCAST_GROUP))
    assert is_broadcast(group_eid(7, ip_address("255.255.255.255")))
    assert is_broadcast(group_eid(7, ip_address("ff02::1")))
    assert not is_broadcast(group_eid(7, G))
    assert not is_broadcast(Eid.of(7, "255.255.255.255"))


def test_source_and_any_source() -> None:
    one = group_eid(7, G, ip_address("40.0.0.7"))
    assert source_of(one) == Eid.of(7, "40.0.0.7")
    assert any_source(one) == group_eid(7, G)
    assert source_of(group_eid(7, G)) is None
    assert any_source(scale_up_group_eid(7, 1)) == scale_up_group_eid(7, 1)


def test_replicas_of_a_record() -> None:
    locator = replication_locator([ip_address("2001:db8::1"), ip_address("192.0.2.9"), ip_address("192.0.2.1")])
    assert locator.address == ReplicationList(
        tuple(ReplicationEntry(128, ip_address(rloc)) for rloc in ("192.0.2.1", "192.0.2.9", "2001:db8::1"))
    )
    record = EidRecord.for_eid(group_eid(7, G), 1440, [locator, RlocRecord(ip_address("192.0.2.3"))])
    assert [str(rloc) for rloc in replicas(record)] == ["192.0.2.1", "192.0.2.9", "2001:db8::1"]


sources = st.sampled_from(["0.0.0.0/0", "40.0.0.0/16", "40.0.0.7/32", "40.0.0.8/32", "41.0.0.0/8"])
groups = st.sampled_from(["239.0.0.0/8", "239.1.0.0/16", "239.1.1.1/32", "239.1.1.2/32", "232.0.0.0/8"])
entries = st.builds(
    lambda iid, source, group: group_eid(iid, ip_network(group), ip_network(source)),
    st.sampled_from([1, 2]),
    sources,
    groups,
)


def specificity(one: Eid) -> tuple[int, int]:
    assert isinstance(one.target, MulticastInfo)
    return one.target.group_mask_len, one.target.source_mask_len


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), entries), max_size=30), entries)
def test_a_table_of_groups_matches_a_plain_search(steps: list[tuple[bool, Eid]], asked: Eid) -> None:
    table, model = with_its_model(steps)
    covering = sorted((one for one in model if one.covers(asked)), key=specificity, reverse=True)
    assert [one for one, _ in table.covering(asked)] == covering
    assert [one for one, _ in table.inside(asked)] == sorted(one for one in model if asked.covers(one))
