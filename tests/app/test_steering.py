"""Which socket of a group the kernel gives a control message to, by its instance-ID."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.app.steering import open_steered_sockets
from controller.lisp import (
    CONTROL_PORT,
    DecodeError,
    DistinguishedName,
    Ecm,
    Eid,
    Endpoint,
    MacAddress,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    RequestRecord,
    decode,
    encode,
)
from tests.app.udp_support import local, plain_socket
from tests.lisp import strategies
from tests.lisp.vectors import GOLDEN, octets_of

COUNT = 5
ADDRESS, SENDER = local(5), local(6)


@pytest.fixture(scope="module")
def group() -> Iterator[tuple[socket.socket, ...]]:
    sockets = open_steered_sockets(Endpoint(ADDRESS, CONTROL_PORT), COUNT, receive_buffer=1 << 20)
    yield sockets
    for sock in sockets:
        sock.close()


def steered(group: tuple[socket.socket, ...], payload: bytes) -> int:
    with plain_socket(SENDER) as sender:
        sender.sendto(payload, (str(ADDRESS), CONTROL_PORT))
    readable = select.select(group, [], [], 5)[0]
    assert len(readable) == 1
    assert readable[0].recv(65536) == payload
    return group.index(readable[0])


def expected(payload: bytes) -> int:
    """The instance-ID of the first record as the decoder reads it, modulo the size of the group."""
    message = decode(payload)
    if isinstance(message, Ecm):
        if message.security is not None:
            return 0
        try:
            message = decode(message.payload)
        except DecodeError:
            return 0
    if isinstance(message, (MapRegister, MapRequest, MapNotify, MapNotifyAck)) and message.records:
        return message.records[0].key.iid % COUNT
    return 0


def test_golden_messages_reach_the_socket_of_their_instance(group: tuple[socket.socket, ...]) -> None:
    found = set()
    for file in sorted(GOLDEN.glob("*.hex")):
        payload = octets_of(file.stem)
        try:
            message, number = decode(payload), expected(payload)
        except DecodeError:  # a packet of the data plane, or half a message
            continue
        assert steered(group, payload) == number, file.stem
        found.add((type(message), number))
    assert {kind for kind, number in found if number} >= {MapRegister, MapRequest, MapNotify, MapNotifyAck, Ecm}


eids = strategies.eids
ADDRESSES = strategies.ip_addresses
requests = st.builds(
    MapRequest,
    st.integers(0, 2**64 - 1),
    st.lists(ADDRESSES, min_size=1, max_size=32).map(tuple),
    st.lists(st.builds(RequestRecord.for_eid, eids, st.booleans()), min_size=1, max_size=3).map(tuple),
    st.one_of(ADDRESSES, eids.map(lambda eid: eid.to_wire()[0]).filter(lambda a: not hasattr(a, "name"))),
)


def _enclosed(request: MapRequest, outer: IPv4Address) -> Ecm:
    return Ecm(outer, local(7), CONTROL_PORT, CONTROL_PORT, encode(request))


messages = st.one_of(
    strategies.map_registers,
    strategies.map_notifies,
    strategies.map_notify_acks,
    requests,
    st.builds(_enclosed, requests, st.just(SENDER)),
    strategies.ecms,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=messages)
def test_messages_reach_the_socket_of_their_instance(group: tuple[socket.socket, ...], message: MapRequest) -> None:
    payload = encode(message)
    assert steered(group, payload) == expected(payload)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=120))
def test_no_datagram_is_lost_by_what_it_contains(group: tuple[socket.socket, ...], payload: bytes) -> None:
    assert 0 <= steered(group, payload) < COUNT


@pytest.mark.parametrize("afi", [6, 16389])
def test_a_mac_address_as_source_eid_is_passed(group: tuple[socket.socket, ...], afi: int) -> None:
    wanted = RequestRecord.for_eid(Eid(COUNT + 1, DistinguishedName("acc1")))
    payload = encode(MapRequest(1, (SENDER,), (wanted,), MacAddress(bytes(range(6)), afi)))
    assert steered(group, payload) == expected(payload) == 1


def test_a_group_does_not_join_another() -> None:
    endpoint = Endpoint(local(8), CONTROL_PORT)
    sockets = open_steered_sockets(endpoint, 2, receive_buffer=1 << 16)
    with pytest.raises(OSError, match="cannot listen at"):
        open_steered_sockets(endpoint, 2, receive_buffer=1 << 16)
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("count", [0, 65])
def test_the_size_of_a_group_has_limits(count: int) -> None:
    with pytest.raises(ValueError, match=f"count = {count}: must be 1 to 64"):
        open_steered_sockets(Endpoint(local(8), CONTROL_PORT), count, receive_buffer=1 << 16)
