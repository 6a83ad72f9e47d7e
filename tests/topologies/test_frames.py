"""Frames in words, and hops out of traces."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from accelerator.ethernet import ETHERTYPE_IPV4, ethernet
from accelerator.ip import UDP, IpPacket, udp
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, ScaleUpPacket
from controller.lisp import Tunnel, TunnelHeader
from softswitch.reference.trace import Dropped, Received, Sent, TableApplied
from topologies.frames import describe_frame
from topologies.walk import TraceRecorder, hops

A1, A3 = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.3")
ACC1, ACC7 = IPv4Address("10.0.0.1"), IPv4Address("40.0.0.7")
MAC = bytes(6)


def test_a_tunnelled_packet() -> None:
    inner = IpPacket(ACC1, ACC7, UDP, udp(ACC1, ACC7, 40000, 4791, b"x")).encode()
    tunnel = TunnelHeader(Tunnel.VXLAN_GPE, iid=4097, next_protocol=1).encode()
    outer = IpPacket(A1, A3, UDP, udp(A1, A3, 50000, 4790, tunnel + inner), ttl=63).encode()
    assert describe_frame(ethernet(MAC, MAC, ETHERTYPE_IPV4, outer))[1:] == [
        "IPv4 192.0.2.1 > 192.0.2.3 ttl 63",
        "UDP 50000 > 4790",
        "VXLAN-GPE iid 4097",
        "IPv4 10.0.0.1 > 40.0.0.7 ttl 64",
        "UDP 40000 > 4791",
    ]


def test_a_scale_up_frame_in_and_out_of_a_tunnel() -> None:
    frame = ethernet(MAC, MAC, ETHERTYPE_SCALE_UP, ScaleUpPacket(1, 2, b"x", Operation.STORE, hop_limit=63).encode())
    assert describe_frame(frame)[1:] == ["Scale-Up AccID 1 > 2 store hops 63"]
    for kind in (Tunnel.VXLAN, Tunnel.VXLAN_GPE, Tunnel.LISP_GPE):
        header = TunnelHeader(kind, iid=8193, next_protocol=None if kind is Tunnel.VXLAN else 3).encode()
        outer = IpPacket(A1, A3, UDP, udp(A1, A3, 50000, kind.udp_port, header + frame)).encode()
        told = describe_frame(ethernet(MAC, MAC, ETHERTYPE_IPV4, outer))
        assert told[-2].endswith("iid 8193")
        assert told[-1] == "Scale-Up AccID 1 > 2 store hops 63"


def test_ipv6() -> None:
    packet = (
        bytes.fromhex("60000000 0008 11 40") + IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::7").packed
    )
    told = describe_frame(MAC + MAC + b"\x86\xdd" + packet + bytes.fromhex("9c40 12b7 0008 0000"))
    assert told[1:] == ["IPv6 2001:db8::1 > 2001:db8::7 hops 64", "UDP 40000 > 4791"]
    assert "no header" in describe_frame(MAC + MAC + b"\x86\xdd" + packet[:39])[-1]


def test_what_cannot_be_read_is_said_at_its_place() -> None:
    assert describe_frame(b"short") == ["ethernet: 5 octets are no header"]
    assert describe_frame(MAC + MAC + b"\x88\xb6")[1] == "EtherType 0x88b6"
    assert "no header" in describe_frame(MAC + MAC + b"\x88\xb5" + b"x")[-1]
    assert "no header" in describe_frame(MAC + MAC + b"\x08\x00" + b"E")[-1]


@given(st.binary(max_size=120))
def test_any_octets_are_described(frame: bytes) -> None:
    assert describe_frame(frame)
    for kind in (b"\x08\x00", b"\x86\xdd", b"\x88\xb5"):
        assert describe_frame(MAC + MAC + kind + frame)


def test_hops_are_told_apart_by_switch_and_packet() -> None:
    events = [
        ("A1", Received(1, 2, b"in")),
        ("A3", Received(1, 1, b"other")),
        ("A1", TableApplied(1, "FabricIngress.underlay.underlay_ipv4", (), None, None, "FabricIngress.x.drop", ())),
        ("A1", Sent(1, 7, b"out")),
        ("A3", Dropped(1, "ingress", "no route")),
        ("A9", Sent(5, 1, b"of a packet received before the recording")),
    ]
    first, second = hops(events)
    assert (first.switch, first.ingress_port, first.sent, first.dropped) == ("A1", 2, [(7, b"out")], None)
    assert [(lookup.table, lookup.hit, lookup.action) for lookup in first.lookups] == [("underlay_ipv4", False, "drop")]
    assert (second.switch, second.sent, second.dropped) == ("A3", [], "no route")


def test_a_recorder_that_is_off_keeps_nothing() -> None:
    recorder = TraceRecorder()
    recorder("A1", Received(1, 2, b"in"))
    assert recorder.take() == []
    recorder.on = True
    recorder("A1", Received(1, 2, b"in"))
    assert len(recorder.take()) == 1
    assert recorder.take() == []
