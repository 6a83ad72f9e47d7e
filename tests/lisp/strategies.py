"""Hypothesis strategies: everything the codec can write, field by field over its whole range."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from hypothesis import strategies as st

from controller.lisp import (
    NO_ADDRESS,
    Address,
    AfiList,
    ApplicationData,
    AsNumber,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    EncapsulationFormat,
    ExplicitLocatorPath,
    GeoCoordinates,
    InstanceId,
    IPAddress,
    JsonData,
    KeyValue,
    MacAddress,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    Metadata,
    MulticastInfo,
    NatTraversal,
    NonceLocator,
    NullLcaf,
    OpaqueKey,
    PathHop,
    ReplicationEntry,
    ReplicationList,
    RequestRecord,
    RlocRecord,
    SecurityKey,
    SourceDestKey,
    UnknownLcaf,
    VendorSpecific,
    XtrIdentity,
    encode_metadata,
)
from controller.lisp.constants import DEFAULT_OUI, LcafType
from controller.lisp.lcaf import is_ignorable

T = TypeVar("T")


def bits(width: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**width - 1)


def tuples_of(elements: st.SearchStrategy[T], low: int, high: int) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(elements, min_size=low, max_size=high).map(tuple)


U8, U16, U32, U64 = bits(8), bits(16), bits(32), bits(64)
OPTIONAL_U16 = st.none() | U16
OPTIONAL_U32 = st.none() | U32

ipv4 = st.integers(0, 2**32 - 1).map(IPv4Address)
ipv6 = st.integers(0, 2**128 - 1).map(IPv6Address)
ip_addresses: st.SearchStrategy[IPAddress] = ipv4 | ipv6
macs = st.builds(MacAddress, st.binary(min_size=6, max_size=6), st.sampled_from([6, 16389]))
ascii_text = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=30)
names = ascii_text.map(DistinguishedName)
plain_addresses: st.SearchStrategy[Address] = ipv4 | ipv6 | macs | names | st.just(NO_ADDRESS)

metadata = st.builds(
    Metadata,
    model=st.none() | ascii_text,
    pod_id=OPTIONAL_U32,
    rail=OPTIONAL_U16,
    link_speed=OPTIONAL_U16,
    job_id=OPTIONAL_U32,
    congestion=st.none() | U8,
    acc_id=OPTIONAL_U32,
    other=tuples_of(st.tuples(st.just(0) | st.integers(8, 255), st.binary(max_size=9)), 0, 2),
)


def lcafs_of(inner: st.SearchStrategy[Address]) -> st.SearchStrategy[Address]:
    """Every LCAF type, around addresses of `inner`."""
    return st.one_of(
        st.just(NullLcaf()),
        st.builds(AfiList, tuples_of(inner, 0, 3)),
        st.builds(InstanceId, U32, inner, U8),
        st.builds(AsNumber, U32, inner),
        st.builds(ApplicationData, bits(24), U8, U16, U16, U16, U16, inner),
        st.builds(
            GeoCoordinates,
            st.booleans(),
            bits(15),
            U8,
            U8,
            st.booleans(),
            bits(15),
            U8,
            U8,
            st.none() | st.integers(-(2**31), 2**31 - 2),
            inner,
        ),
        st.builds(OpaqueKey, st.binary(max_size=8), st.integers(1, 16), U16),
        st.builds(NatTraversal, U16, U16, inner, inner, inner, tuples_of(inner, 0, 2)),
        st.builds(NonceLocator, bits(24), inner),
        st.builds(MulticastInfo, U32, inner, U8, inner, U8),
        st.builds(
            ExplicitLocatorPath,
            tuples_of(st.builds(PathHop, inner, st.booleans(), st.booleans(), st.booleans()), 0, 3),
        ),
        st.builds(SecurityKey, U8, tuples_of(st.binary(max_size=8), 0, 3), inner, st.booleans()),
        st.builds(SourceDestKey, inner, U8, inner, U8),
        st.builds(ReplicationList, tuples_of(st.builds(ReplicationEntry, U8, inner), 0, 3)),
        st.builds(JsonData, st.binary(max_size=8), inner, st.booleans()),
        st.builds(KeyValue, inner, inner),
        st.builds(EncapsulationFormat, U32, inner),
        st.builds(VendorSpecific, st.just(DEFAULT_OUI), metadata.map(encode_metadata)),
        st.builds(UnknownLcaf, st.sampled_from(sorted(set(range(256)) - set(LcafType))), st.binary(max_size=8), U8, U8),
    )


nested_once = lcafs_of(plain_addresses)
addresses: st.SearchStrategy[Address] = plain_addresses | nested_once | lcafs_of(plain_addresses | nested_once)


def _network(address: IPAddress, mask_len: int) -> IPv4Network | IPv6Network:
    if isinstance(address, IPv4Address):
        return IPv4Network((address, mask_len % 33), strict=False)
    return IPv6Network((address, mask_len % 129), strict=False)


networks = st.builds(_network, ip_addresses, st.integers(0, 128))


@st.composite
def _eids(draw: st.DrawFn) -> Eid:
    iid = draw(bits(24))
    if draw(st.integers(0, 4)) == 0:
        source, group = draw(networks), draw(networks)
        return Eid(
            iid,
            MulticastInfo(iid, source.network_address, source.prefixlen, group.network_address, group.prefixlen),
        )
    return Eid(iid, draw(st.one_of(networks, names, macs)))


eids = _eids()

rloc_records = st.builds(
    RlocRecord,
    addresses.filter(lambda address: address != NO_ADDRESS and not is_ignorable(address)),
    U8,
    U8,
    U8,
    U8,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@st.composite
def _eid_records(draw: st.DrawFn) -> EidRecord:
    address, mask_len = draw(eids).to_wire()
    locators = draw(tuples_of(rloc_records, 0, 3))
    return EidRecord(address, mask_len, draw(U32), locators, draw(bits(3)), draw(st.booleans()), draw(bits(12)))


eid_records = _eid_records()
request_records = st.builds(RequestRecord.for_eid, eids, st.booleans())
identities = st.builds(XtrIdentity, st.binary(min_size=16, max_size=16), U64)

map_requests = st.builds(
    MapRequest,
    U64,
    tuples_of(addresses.filter(lambda address: not is_ignorable(address)), 1, 4),
    tuples_of(request_records, 1, 3),
    addresses,
    *[st.booleans()] * 7,
    st.none() | eid_records,
    st.none() | identities,
)
record_tuples = tuples_of(eid_records, 0, 3)
map_replies = st.builds(MapReply, U64, record_tuples, st.booleans(), st.booleans(), st.none() | st.binary(max_size=40))
auth_data = st.binary(max_size=40)
map_registers = st.builds(
    MapRegister, U64, record_tuples, U8, U8, auth_data, *[st.booleans()] * 6, st.none() | identities
)
map_notifies = st.builds(MapNotify, U64, record_tuples, U8, U8, auth_data)
map_notify_acks = st.builds(MapNotifyAck, U64, record_tuples, U8, U8, auth_data)


@st.composite
def _ecms(draw: st.DrawFn) -> Ecm:
    family: st.SearchStrategy[IPAddress] = draw(st.sampled_from([ipv4, ipv6]))
    return Ecm(
        draw(family),
        draw(family),
        draw(U16),
        draw(U16),
        draw(st.binary(max_size=60)),
        draw(st.none() | st.binary(max_size=60)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(U8),
    )


ecms = _ecms()
messages: st.SearchStrategy[Message] = st.one_of(
    map_requests, map_replies, map_registers, map_notifies, map_notify_acks, ecms
)
