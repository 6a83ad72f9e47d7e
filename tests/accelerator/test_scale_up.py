"""Scale-Up frames octet by octet, and what an endpoint takes and refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelerator.ethernet import PacketError, decode_ethernet, ethernet
from accelerator.interface import Interface
from accelerator.scale_up import (
    BROADCAST,
    ETHERTYPE_SCALE_UP,
    Operation,
    ScaleUpEndpoint,
    ScaleUpPacket,
    decode_scale_up,
)

MAC, ROUTER = bytes.fromhex("020000000007"), bytes.fromhex("020100010002")
EXAMPLE = ScaleUpPacket(
    7,
    8,
    b"data",
    Operation.STORE,
    channel=5,
    tolerates_reordering=True,
    entropy=0x1234,
    sequence=9,
    tag=0xCAFE,
    hop_limit=63,
    next_header=1,
    ecn=2,
)

packets = st.builds(
    ScaleUpPacket,
    source=st.integers(0, 2**32 - 1),
    destination=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=64),
    operation=st.integers(0, 15),
    channel=st.integers(0, 7),
    tolerates_reordering=st.booleans(),
    entropy=st.integers(0, 2**16 - 1),
    sequence=st.integers(0, 2**32 - 1),
    tag=st.integers(0, 2**32 - 1),
    hop_limit=st.integers(0, 255),
    next_header=st.integers(0, 255),
    ecn=st.integers(0, 3),
)


@pytest.mark.requirement("SU-FLOW-6")
def test_the_header_octet_by_octet() -> None:
    assert EXAMPLE.encode() == bytes.fromhex("12 b2 3f 01 00000008 00000007 1234 0004 00000009 0000cafe") + b"data"


@given(packet=packets, padding=st.binary(max_size=40))
def test_round_trip(packet: ScaleUpPacket, padding: bytes) -> None:
    assert decode_scale_up(packet.encode() + padding) == packet


@given(octets=st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    try:
        packet = decode_scale_up(octets)
    except PacketError:
        return
    assert decode_scale_up(packet.encode()) == packet


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"\x10" * 23, "23 octets are no header"),
        (b"\x20" + bytes(23), r"scale-up\.version = 2: must be 1"),
        (b"\x10" + bytes(14) + b"\x05" + bytes(8), r"scale-up\.length = 5: only 0 octets follow the header"),
    ],
)
def test_a_bad_frame_is_named(octets: bytes, message: str) -> None:
    with pytest.raises(PacketError, match=message):
        decode_scale_up(octets)


@pytest.mark.parametrize(
    "changes", [{"source": 2**32}, {"operation": 16}, {"channel": 8}, {"ecn": 4}, {"payload": bytes(65536)}]
)
def test_a_field_that_does_not_fit_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(PacketError, match="scale-up"):
        replace(EXAMPLE, **changes).encode()  # type: ignore[arg-type]


def test_an_endpoint_takes_what_is_for_it() -> None:
    sent: list[bytes] = []
    interface = Interface(MAC)
    interface.attach(sent.append, ROUTER)
    endpoint = ScaleUpEndpoint(7, interface)
    endpoint.send_message(8, b"hello", entropy=3)
    destination, source, ether_type, payload = decode_ethernet(sent[0])
    assert (destination, source, ether_type) == (ROUTER, MAC, ETHERTYPE_SCALE_UP)
    assert decode_scale_up(payload) == ScaleUpPacket(7, 8, b"hello", entropy=3)

    def arrive(to: int) -> None:
        interface.receive(ethernet(MAC, ROUTER, ETHERTYPE_SCALE_UP, ScaleUpPacket(8, to, b"x").encode()))

    arrive(7)
    arrive(BROADCAST)
    arrive(9)
    assert [packet.destination for packet in endpoint.received] == [7, BROADCAST]
    assert interface.refused == 1
