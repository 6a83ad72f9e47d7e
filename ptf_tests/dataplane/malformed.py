"""Frames that are not what they claim to be: cut short, damaged, or not IPv4. None is delivered, each is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import ptf.ptfutils
from ptf.testutils import group
from scapy.layers.inet import IP, IPOption_Router_Alert, IPOption_RR
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import DropReason, Encapsulation, PuntReason
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.checksums import correct
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, leaving, neighbour_mac, routed, switch_mac, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    CORE,
    CORE_2,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    THERE,
    access_xtr,
)

ETHERNET = 14
IPV4_END = ETHERNET + 20  # octets of a frame up to the end of its first IPv4 header
INNER_END = IPV4_END + 8 + 8 + 20  # ... to the end of the IPv4 header in a tunnel


class MalformedTest(FabricTest):
    """An access xTR with the drop policy."""

    configured = access_xtr(Encapsulation.VXLAN_GPE)

    def fate(self, inject: Callable[[], None]) -> DropReason | PuntReason:
        """Why the frame that `inject` puts into the switch was dropped or punted; fails for neither, and for both."""
        before = self.switch.drops()
        inject()
        deadline = time.monotonic() + ptf.ptfutils.default_timeout
        while time.monotonic() < deadline:
            reasons: list[DropReason | PuntReason] = list(self.dropped_since(before).elements())
            punted = self.switch.packet_in(0)
            if punted is not None:
                reasons.append(PuntReason(int(punted.metadata["reason"])))
            if reasons:
                self.assertEqual(len(reasons), 1)
                return reasons[0]
        raise self.failureException("the frame was neither dropped nor punted")

    def fate_of(self, port: int, frame: Packet | bytes) -> DropReason | PuntReason:
        """As `fate`, of a frame that arrives on a port."""
        return self.fate(lambda: self.send(port, frame))


@group("robustness")
class TruncatedOnAnAccessPort(MalformedTest):
    """An accelerator's frame that ends before its IPv4 header does is malformed, wherever it ends."""

    def runTest(self) -> None:
        frame = bytes(arriving(RED_PORT, udp(HERE, THERE)))
        for octets in range(ETHERNET, IPV4_END):
            with self.subTest(octets=octets):
                self.assertEqual(self.fate_of(RED_PORT, frame[:octets]), DropReason.MALFORMED)


@group("robustness")
class TruncatedBeforeIpv4(MalformedTest):
    """Frames without even an Ethernet header, which no link carries but the controller can submit."""

    def runTest(self) -> None:
        frame = bytes(arriving(RED_PORT, udp(HERE, THERE)))
        for octets in range(IPV4_END):
            with self.subTest(octets=octets):
                self.assertEqual(self.fate(partial(self.submit, RED, frame[:octets])), DropReason.MALFORMED)


@group("robustness")
class TruncatedTunnel(MalformedTest):
    """A tunnel packet that ends before its inner IPv4 header does delivers nothing, wherever it ends."""

    def runTest(self) -> None:
        for header in (VxlanGpe(iid=RED), Lisp(iid=RED)):
            frame = bytes(arriving(CORE, tunnel(header, udp(THERE, HERE), src=PEER, dst=OWN)))
            for octets in range(ETHERNET, INNER_END):
                with self.subTest(header=header.name, octets=octets):
                    reason = self.fate_of(CORE, frame[:octets])
                    if octets < IPV4_END:
                        self.assertEqual(reason, DropReason.MALFORMED)


@group("robustness")
class TruncatedTransit(MalformedTest):
    """An underlay packet that ends before its IPv4 header does is malformed; what follows that is not looked at."""

    def runTest(self) -> None:
        packet = tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=OTHER, dst=PEER)
        frame = bytes(arriving(CORE_2, packet))
        for octets in range(ETHERNET, IPV4_END):
            with self.subTest(octets=octets):
                self.assertEqual(self.fate_of(CORE_2, frame[:octets]), DropReason.MALFORMED)
        whole = bytes(leaving(CORE, routed(packet)))
        for octets in range(IPV4_END, len(frame)):
            with self.subTest(octets=octets):
                self.send(CORE_2, frame[:octets])
                self.expect(CORE, Ether(whole[:octets]))


@group("robustness")
class TruncatedPayloadIsNotLookedAt(MalformedTest):
    """A packet that ends in its transport header or its data is tunnelled and delivered as it is."""

    def runTest(self) -> None:
        out = udp(HERE, THERE)
        tunnelled = bytes(leaving(CORE, encapsulated(VxlanGpe(iid=RED), out, src=OWN, dst=PEER)))
        for octets in range(20, len(out)):
            with self.subTest("encapsulated", octets=octets):
                self.send(RED_PORT, bytes(arriving(RED_PORT, out))[: ETHERNET + octets])
                self.expect(CORE, any_entropy(Ether(tunnelled[: INNER_END - 20 + octets])))
        back = udp(THERE, HERE)
        for octets in range(20, len(back)):
            with self.subTest("delivered", octets=octets):
                frame = bytes(arriving(CORE, tunnel(Lisp(iid=RED), back, src=PEER, dst=OWN)))
                self.send(CORE, frame[: INNER_END - 20 + octets])
                self.expect(RED_PORT, Ether(bytes(leaving(RED_PORT, routed(back)))[: ETHERNET + octets]))


@group("robustness")
class NotIp(MalformedTest):
    """Frames of other EtherTypes, of none, and with VLAN tags go nowhere, on access and core ports."""

    def runTest(self) -> None:
        for port in (RED_PORT, CORE):
            ethernet = Ether(dst=switch_mac(port), src=neighbour_mac(port))
            for frame in (
                ethernet / ARP(hwsrc=neighbour_mac(port), psrc=THERE, pdst=HERE),
                ethernet / Dot1Q(vlan=5) / udp(HERE, THERE),
                Ether(dst="01:80:c2:00:00:0e", src=neighbour_mac(port), type=0x88CC) / Raw(bytes(46)),
                arriving(port, Raw(b"Scale-Up"), ether_type=0x8888),
                arriving(port, udp(HERE, THERE), ether_type=0x0000),
                arriving(port, udp(HERE, THERE), ether_type=46),
                arriving(port, udp(HERE, THERE), ether_type=0xFFFF),
            ):
                with self.subTest(port=port, frame=bytes(frame).hex()):
                    self.assertEqual(self.fate_of(port, frame), DropReason.UNSUPPORTED_PAYLOAD)


@group("robustness")
class NotReallyIpv6(MalformedTest):
    """EtherType IPv6 and something else behind it: another version, or an end before that of the header."""

    def runTest(self) -> None:
        packet = bytes(udp("fd00:10::1", "fd00:40::7"))
        for port in (RED_PORT, CORE):
            for frame in (*(packet[:octets] for octets in (0, 1, 39)), b"\x40" + packet[1:], b"\x70" + packet[1:]):
                with self.subTest(port=port, frame=frame.hex()):
                    reason = self.fate_of(port, arriving(port, frame, 0x86DD))
                    self.assertEqual(reason, DropReason.MALFORMED)


@group("robustness")
class NotReallyIpv4(MalformedTest):
    """EtherType IPv4 and something else behind it: another version, or a header shorter than a header."""

    def runTest(self) -> None:
        for version, ihl in ((0, 5), (5, 5), (6, 5), (15, 5), (4, 0), (4, 4), (6, 0), (0, 0)):
            packet = udp(HERE, THERE)
            packet.version, packet.ihl = version, ihl
            header = bytes(packet)
            fixed = header[:10] + _checksum(header[:10] + b"\0\0" + header[12:20]).to_bytes(2, "big") + header[12:]
            with self.subTest(version=version, ihl=ihl):
                self.assertEqual(self.fate_of(RED_PORT, arriving(RED_PORT, fixed)), DropReason.MALFORMED)


@group("robustness")
class Ipv4Options(MalformedTest):
    """Packets with IPv4 options are not forwarded: from an accelerator, in transit, to the router, in a tunnel."""

    def runTest(self) -> None:
        for option in ([IPOption_Router_Alert()], [IPOption_RR(routers=["0.0.0.0"] * 9)]):
            out = IP(src=HERE, dst=THERE, options=option) / Raw(b"data")
            back = IP(src=THERE, dst=HERE, options=option) / Raw(b"data")
            for name, port, packet in (
                ("access", RED_PORT, out),
                ("transit", CORE_2, IP(src=OTHER, dst=PEER, options=option) / Raw(b"data")),
                ("to the router", CORE, IP(src=PEER, dst=OWN, options=option) / Raw(b"data")),
                ("tunnelled", CORE, tunnel(VxlanGpe(iid=RED), back, src=PEER, dst=OWN)),
                ("tunnelled", CORE, tunnel(Lisp(iid=RED), back, src=PEER, dst=OWN)),
            ):
                with self.subTest(name, octets=len(packet)):
                    self.assertEqual(self.fate_of(port, arriving(port, packet)), DropReason.MALFORMED)


@requirement("DP-9")
@group("robustness")
class InnerIsNotReallyIpv4(MalformedTest):
    """VXLAN-GPE says IPv4 and the payload says otherwise."""

    def runTest(self) -> None:
        for first_octet in (0x00, 0x44, 0x46, 0x55, 0x65):
            inner = bytes([first_octet]) + bytes(udp(THERE, HERE))[1:] + bytes(40)
            with self.subTest(first_octet=first_octet):
                frame = arriving(CORE, tunnel(VxlanGpe(iid=RED), Raw(inner), src=PEER, dst=OWN))
                self.assertEqual(self.fate_of(CORE, frame), DropReason.MALFORMED)


@group("robustness")
class BadChecksum(MalformedTest):
    """Any single bit wrong in the checksum or in what it covers is noticed: access, transit, tunnel and control."""

    def runTest(self) -> None:
        for port, packet in (
            (RED_PORT, udp(HERE, THERE)),
            (CORE_2, udp(OTHER, PEER)),
            (CORE, tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN)),
            (CORE, udp(PEER, OWN, sport=4342, dport=4342)),
        ):
            good = bytes(packet)
            for octet in range(1, 20):  # octet 0 says whether there is a checksum to verify
                damaged = good[:octet] + bytes([good[octet] ^ 1 << octet % 8]) + good[octet + 1 :]
                with self.subTest(packet=packet.summary(), octet=octet):
                    frame = bytes(arriving(port, damaged))
                    self.assertEqual(self.fate_of(port, frame), DropReason.BAD_CHECKSUM)


@group("robustness")
class TotalLengthBelowTheHeader(MalformedTest):
    """A Total Length that does not even cover the header (RFC 1812 section 5.2.2), outside or inside a tunnel."""

    def runTest(self) -> None:
        for length in (0, 1, 19):
            for name, port, packet in (
                ("access", RED_PORT, _with_length(udp(HERE, THERE), length)),
                ("transit", CORE_2, _with_length(udp(OTHER, PEER), length)),
                ("tunnel", CORE, tunnel(Lisp(iid=RED), _with_length(udp(THERE, HERE), length), src=PEER, dst=OWN)),
            ):
                with self.subTest(name, length=length):
                    self.assertEqual(self.fate_of(port, arriving(port, packet)), DropReason.MALFORMED)


@group("robustness")
class FragmentedTunnelDeliversNothing(MalformedTest):
    """Fragments of a tunnel packet are not taken for the whole: no accelerator gets the part that is in the first."""

    def runTest(self) -> None:
        for header in (VxlanGpe(iid=RED), Lisp(iid=RED)):
            whole = tunnel(header, udp(THERE, HERE, data=bytes(200)), src=PEER, dst=OWN)
            payload = bytes(whole.payload)
            for offset, flags in ((0, "MF"), (10, "MF"), (20, 0)):
                with self.subTest(header=header.name, offset=offset):
                    outer = IP(src=PEER, dst=OWN, proto=17, id=3, frag=offset, flags=flags)
                    fragment = outer / Raw(payload[8 * offset : 8 * offset + 80])
                    self.fate_of(CORE, arriving(CORE, fragment))
                    self.expect_nothing()


def _with_length(packet: Packet, length: int) -> Packet:
    """`packet` with another Total Length and the checksum that goes with it."""
    changed = packet.copy()
    changed.len = length
    changed.chksum = correct(changed)
    return changed


def _checksum(header: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of octets."""
    total = sum(int.from_bytes(header[index : index + 2], "big") for index in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
