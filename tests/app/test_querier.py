"""What a router asks accelerators, read by scapy and answered by the accelerator's own library."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from scapy.layers.igmp import IGMPv3_MQ
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6MLQuery2, IPv6, IPv6ExtHdrHopByHop, in6_chksum
from scapy.layers.l2 import Ether
from scapy.utils import checksum

from accelerator.host import Host
from accelerator.interface import Interface
from controller.app.membership import Change, changes_in
from controller.app.querier import QUERY_INTERVAL, Querier, query
from controller.dataplane.entries import NextHop

HOP = NextHop(3, "02:01:00:01:00:03", "02:00:00:00:00:01")
ROUTER = IPv4Address("192.0.2.1")


def test_igmp() -> None:
    frame = query(4, HOP, ROUTER)
    packet = Ether(frame)
    assert (packet.src, packet.dst) == (HOP.port_mac, HOP.next_hop_mac)
    header, message = packet[IP], packet[IGMPv3_MQ]
    assert (header.src, header.dst, header.ttl) == (str(ROUTER), "224.0.0.1", 1)
    assert isinstance(header.options[0], IPOption_Router_Alert)
    assert (message.mrcode, message.gaddr, message.qrv, message.qqic, message.numsrc) == (100, "0.0.0.0", 2, 125, 0)
    assert (checksum(frame[14:38]), checksum(frame[38:50])) == (0, 0)


def test_mld() -> None:
    frame = query(6, HOP, ROUTER)
    packet = Ether(frame)
    header, message = packet[IPv6], packet[ICMPv6MLQuery2]
    assert (header.src, header.dst, header.hlim) == ("fe80::1:ff:fe01:3", "ff02::1", 1)
    assert packet[IPv6ExtHdrHopByHop].options[0].otype == 5
    assert (message.mrd, message.mladdr, message.QRV, message.QQIC) == (10000, "::", 2, 125)
    assert in6_chksum(58, header, frame[62:]) == 0  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("address", "groups"), [("10.0.0.1", ["239.1.1.1", "239.1.1.2"]), ("fd00::1", ["ff0e::1"])])
def test_a_host_answers_with_what_it_has_joined(address: str, groups: list[str]) -> None:
    sent: list[bytes] = []
    host = Host(ip_address(address), Interface(bytes.fromhex("020000000001")))
    host.interface.attach(sent.append, bytes(6))
    for group in [*groups, left := groups[0][:-1] + "9"]:
        host.join(ip_address(group))
    host.leave(ip_address(left))
    sent.clear()
    frame = query(host.address.version, HOP, ROUTER)
    host.interface.receive(frame)
    assert [changes_in(report) for report in sent] == [[Change(True, ip_address(group))] for group in groups]
    assert not host.received

    sent.clear()
    last = 49 if host.address.version == 4 else 89
    host.interface.receive(frame[:last] + b"\x01" + frame[last + 1 :])
    assert (sent, host.interface.refused) == ([], 1)


def test_when_to_ask() -> None:
    querier = Querier()
    assert not querier.due(1000.0)
    assert querier.next_deadline() is None
    querier.start(1000.0)
    assert not querier.due(1000.0 + QUERY_INTERVAL - 1)
    assert querier.due(1000.0 + QUERY_INTERVAL)
    assert not querier.due(1000.0 + QUERY_INTERVAL)
    assert querier.next_deadline() == 1000.0 + 2 * QUERY_INTERVAL
