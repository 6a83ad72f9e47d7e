"""Headers, carriers and packets built many at a time: octet by octet, round trips, and one error for each fault."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import UDP as SCAPY_UDP
from scapy.layers.inet6 import IPv6  # noqa: F401 - scapy reads IPv6 once it is loaded
from scapy.layers.l2 import Ether

from accelerator.ethernet import PacketError, ethernet
from accelerator.incc.carriers import MEMBER_PORT, Carrier, DatagramCarrier, ScaleUpCarrier, UdpCarrier
from accelerator.incc.header import UDP_PORT, Flags, InccError, InccPacket, Kind, Operation, decode_incc
from accelerator.incc.packets import PacketBuilder, Place
from accelerator.incc.work import Prepared
from accelerator.ip import ETHERTYPES, UDP, IpPacket, udp
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket

MAC, ROUTER = bytes.fromhex("020000000001"), bytes.fromhex("020100010002")
PAIRS = {"ipv4": ("10.0.0.1", "20.0.255.1"), "ipv6": ("2001:db8::1", "2001:db8::ff")}
PACKET = InccPacket(Kind.RESULT, Operation.MAXIMUM, 3, 7, 1, 5, 9, 0xFFFF, 0x1234, -2, 0xCAFE, Flags(2), bytes(8))


def carriers() -> dict[str, Carrier]:
    made: dict[str, Carrier] = {"scale-up": ScaleUpCarrier(MAC, ROUTER, 1, 1000), "datagram": DatagramCarrier()}
    for name, (member, group) in PAIRS.items():
        made[name] = UdpCarrier(MAC, ROUTER, ip_address(member), ip_address(group))
    return made


def result(carrier: str, body: bytes, *, checksum: bool = False, **changes: Any) -> bytes:
    """A result as a switch sends it."""
    if carrier == "datagram":
        return body
    if carrier == "scale-up":
        fields: dict[str, Any] = {"source": 1000, "destination": 1, "operation": 5, "next_header": 1} | changes
        return ethernet(MAC, ROUTER, ETHERTYPE_SCALE_UP, ScaleUpPacket(payload=body, **fields).encode())
    member, group = map(ip_address, PAIRS[carrier])
    data = udp(group, member, changes.get("source_port", UDP_PORT), changes.get("port", MEMBER_PORT), body)
    if not checksum:
        data = data[:6] + b"\0\0" + data[8:]
    packet = IpPacket(changes.get("source", group), changes.get("destination", member), UDP, data)
    return ethernet(MAC, ROUTER, ETHERTYPES[member.version], packet.encode())


packets = st.builds(
    InccPacket,
    kind=st.sampled_from(Kind),
    operation=st.sampled_from(Operation),
    generation=st.integers(0, 255),
    group=st.integers(0, 65535),
    rank=st.integers(0, 65535),
    slot=st.integers(0, 65535),
    round=st.integers(0, 65535),
    target=st.integers(0, 65535),
    signature=st.integers(0, 65535),
    scale=st.integers(-(2**31), 2**31 - 1),
    cookie=st.integers(0, 2**32 - 1),
    flags=st.sampled_from([Flags(0), Flags(2), Flags(4), Flags(6)]),
    values=st.binary(min_size=8, max_size=8),
)


def test_the_header_octet_by_octet() -> None:
    expected = "11 02 02 03 0007 0001 0005 0009 ffff 1234 fffffffe 0000cafe"
    assert PACKET.encode() == bytes.fromhex(expected) + bytes(8)


@given(packets)
def test_round_trip(packet: InccPacket) -> None:
    assert decode_incc(packet.encode(), 2) == packet


@given(st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    try:
        packet = decode_incc(octets, 4)
    except InccError as error:
        assert str(error).startswith("incc")  # noqa: PT017
    else:
        assert packet.encode() == octets


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, 0x21, r"incc\.version = 2: must be 1"),
        (0, 0x13, r"incc\.kind = 3: must be at most 2"),
        (1, 6, r"incc\.operation = 6: must be at most 5"),
        (2, 0x08, r"incc\.flags = 0x08"),
        (2, 0x01, "8 octets of values follow, must be 0"),
    ],
)
def test_a_bad_field_is_named(at: int, value: int, message: str) -> None:
    octets = bytearray(PACKET.encode())
    octets[at] = value
    with pytest.raises(InccError, match=message):
        decode_incc(bytes(octets), 2)


@pytest.mark.parametrize("changes", [{"rank": 65536}, {"scale": 2**31}, {"values": b""}, {"values": b"abc"}])
def test_what_does_not_fit_is_not_encoded(changes: dict[str, Any]) -> None:
    fields = {name: getattr(PACKET, name) for name in InccPacket.__slots__} | changes
    with pytest.raises(InccError, match="incc"):
        InccPacket(**fields).encode()


@pytest.mark.parametrize("name", carriers())
@pytest.mark.parametrize("empty", [False, True])
def test_results_are_taken_out_of_every_carrier(name: str, empty: bool) -> None:
    body = PACKET.encode()[:24] if empty else PACKET.encode()
    frame, carrier = result(name, body), carriers()[name]
    assert carrier.open(frame) == body
    assert carrier.is_plain(frame) == (len(frame) == carrier.length(len(body)))
    assert frame[carrier.offset :][: len(body)] == body


@pytest.mark.parametrize("name", PAIRS)
def test_a_checksum_of_a_result_has_to_be_right(name: str) -> None:
    carrier, good = carriers()[name], result(name, PACKET.encode(), checksum=True)
    assert carrier.open(good) == PACKET.encode()
    assert not carrier.is_plain(good)
    with pytest.raises(InccError, match=r"udp\.checksum = 0x[0-9a-f]{4}: wrong"):
        carrier.open(good[:-1] + b"\1")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("scale-up", {"operation": 0}, r"scale-up\.operation = 0: must be 5"),
        ("scale-up", {"next_header": 0}, r"scale-up\.next_header = 0: must be 1"),
        ("scale-up", {"source": 7}, r"scale-up\.source = 7: must be 1000"),
        ("scale-up", {"destination": 2}, r"scale-up\.destination = 2: must be 1"),
        ("ipv4", {"source": ip_address("10.0.0.9")}, r"ip\.source = 10\.0\.0\.9: must be 20\.0\.255\.1"),
        ("ipv6", {"destination": ip_address("::9")}, r"ip\.destination = ::9: must be 2001:db8::1"),
        ("ipv4", {"port": 9}, r"udp\.destination = 9: must be 49169"),
        ("ipv6", {"source_port": 9}, r"udp\.source = 9: must be 49169"),
    ],
)
def test_what_is_not_the_groups_is_named(name: str, changes: dict[str, Any], message: str) -> None:
    frame, carrier = result(name, PACKET.encode(), **changes), carriers()[name]
    assert not carrier.is_plain(frame)
    with pytest.raises(PacketError, match=message):
        carrier.open(frame)


@pytest.mark.parametrize("name", ["scale-up", "ipv4", "ipv6"])
def test_plain_means_that_it_opens(name: str) -> None:
    """A damaged octet, any of them, is never taken for a plain result unless reading it whole takes it too."""
    whole, carrier, taken = result(name, bytes(64)), carriers()[name], 0
    for at in range(carrier.offset):
        for value in range(256):
            frame = whole[:at] + bytes([value]) + whole[at + 1 :]
            if carrier.is_plain(frame):
                assert len(carrier.open(frame)) == len(frame) - carrier.offset
                taken += 1
    assert taken > carrier.offset  # at least what it was before


@pytest.mark.parametrize("name", carriers())
def test_packets_built_together_are_those_built_singly(name: str) -> None:
    carrier = carriers()[name]
    place = Place(7, 3, 9, 4, 64, first_round=65535)
    values = np.arange(-64, 64, dtype=np.int32).reshape(2, 64)
    targets, scales = np.array([5, 0xFFFF], np.uint16), np.array([-3, 4], np.int32)
    for contents in (values, None):
        prepared = Prepared(2, contents, scales, targets, np.array([True, False]))
        frames, keys = PacketBuilder(place, carrier).build(7, Operation.SUM, 0xABCD, prepared)
        for row, frame in enumerate(frames):
            data = b"" if contents is None else contents[row].astype(">i4").tobytes()
            slot, turn, flags = (3, 0, Flags(0)) if row == 0 else (0, 1, Flags(0))
            if contents is None:
                flags = Flags.EMPTY
            expected = InccPacket(
                Kind.CONTRIBUTION, Operation.SUM, 9, 7, 3, slot, turn, int(targets[row]), 0xABCD, int(scales[row]),
                7 + row, flags, data,
            )  # fmt: skip
            assert frame[carrier.offset :] == expected.encode()
            assert frame[: carrier.offset - 2] == carrier.prefix(24 + len(data))[:-2] or name == "datagram"
            answer = bytes([0x11]) + expected.encode()[1:2] + bytes([0 if row == 0 else 1]) + expected.encode()[3:12]
            assert keys[row] == answer


@pytest.mark.parametrize("name", carriers())
def test_a_repeat_differs_by_its_cookie_and_the_checksum(name: str) -> None:
    carrier = carriers()[name]
    builder = PacketBuilder(Place(7, 65535, 9, 4, 64), carrier)
    prepared = Prepared(1, None, np.zeros(1, np.int32), np.zeros(1, np.uint16), np.ones(1, bool))
    (packet,), _ = builder.build(2**31 + 5, Operation.SUM, 1, prepared)
    assert packet[carrier.offset + 20 : carrier.offset + 24] == b"\0\0\0\x05"
    cookie = builder.cookie(2**15 + 3)
    assert cookie == 0x80000000 | 65535 << 15 | 3
    assert builder.is_own(cookie)
    assert not builder.is_own(5)
    assert not PacketBuilder(Place(7, 65534, 9, 4, 64), carrier).is_own(cookie)
    again = builder.again(packet, cookie)
    assert again[carrier.offset + 20 : carrier.offset + 24] == cookie.to_bytes(4, "big")
    differing = {at - carrier.offset for at in range(len(packet)) if again[at] != packet[at]}
    assert differing == {20, 21, 22, 23} | ({-2, -1} if name in PAIRS else set())
    if name in PAIRS:
        frame = Ether(again)
        found = frame[SCAPY_UDP].chksum
        del frame[SCAPY_UDP].chksum
        assert struct.unpack_from("!H", bytes(frame), carrier.offset - 2)[0] == found


@pytest.mark.parametrize("name", PAIRS)
@given(seed=st.integers(0, 2**32 - 1))
def test_checksums_of_contributions_are_those_of_scapy(name: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-(2**31), 2**31, (2, 64)).astype(np.int32)
    prepared = Prepared(2, values, np.zeros(2, np.int32), np.zeros(2, np.uint16), np.ones(2, bool))
    frames, _ = PacketBuilder(Place(7, 3, 9, 4, 64), carriers()[name]).build(0, Operation.SUM, 1, prepared)
    for octets in frames:
        frame = Ether(octets)
        found = frame[SCAPY_UDP].chksum
        del frame[SCAPY_UDP].chksum
        assert struct.unpack_from("!H", bytes(frame), carriers()[name].offset - 2)[0] == found
