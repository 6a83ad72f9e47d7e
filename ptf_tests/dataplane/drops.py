"""Every reason to drop: each packet is counted exactly once, under the reason that fits, and nothing leaves."""

from __future__ import annotations

from dataclasses import dataclass

from ptf.testutils import group
from scapy.layers.inet import IP
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import Domain, DropReason, Encapsulation
from controller.dataplane.entries import (
    access_port,
    core_port,
    eid_negative,
    eid_rloc_set,
    instance,
    switch_context,
)
from controller.dataplane.replication import home_eid
from controller.p4rt.entities import CounterData
from ptf_tests.support.base import FabricTest
from ptf_tests.support.headers import Lisp, LispGpe, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_THERE,
    BLUE,
    BLUE_PORT,
    BLUE_UP,
    CORE,
    CORE_2,
    FOREIGN,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    SITE,
    SPARE,
    THERE,
    TO_PEER,
    access_xtr,
    host,
    prefix,
    rlocs,
)


class DropTest(FabricTest):
    """An access xTR with the drop policy."""

    configured = access_xtr(Encapsulation.VXLAN_GPE)


# What takes more than one packet, or time, or a group: observed in limits.py and collectives.py.
ELSEWHERE = {DropReason.NONE, DropReason.INSTANCE_LIMITED, DropReason.PUNT_LIMITED, DropReason.PUNT_SUPPRESSED} | {
    reason for reason in DropReason if reason >= DropReason.NOT_A_MEMBER
}


@dataclass(frozen=True)
class Case:
    """A frame that arrives on a port, and why it is dropped."""

    reason: DropReason
    port: int
    frame: Packet


def _to_router(header: TunnelHeader, inner: Packet, *, ttl: int = 64, tos: int = 0) -> Packet:
    return arriving(CORE, tunnel(header, inner, src=PEER, dst=OWN, ttl=ttl, tos=tos))


def _bad_checksum() -> Packet:
    packet = IP(bytes(udp(HERE, THERE)))
    packet.chksum ^= 1
    return packet


def one_of_each() -> list[Case]:
    """A packet for each reason but NONE and the limits, in the order of the reasons."""
    inner = udp(THERE, HERE)
    return [
        Case(DropReason.MALFORMED, RED_PORT, arriving(RED_PORT, Raw(bytes(19)))),
        Case(DropReason.BAD_CHECKSUM, RED_PORT, arriving(RED_PORT, _bad_checksum())),
        Case(DropReason.UNKNOWN_PORT, SPARE, arriving(SPARE, udp(HERE, THERE))),
        Case(DropReason.UNSUPPORTED_PAYLOAD, CORE, _to_router(VxlanGpe(iid=RED, next_protocol=4), inner)),
        Case(DropReason.NO_INSTANCE_ID, CORE, _to_router(VxlanGpe(iid=RED, i=0), inner)),
        Case(DropReason.FOREIGN_INSTANCE_ID, CORE, _to_router(VxlanGpe(iid=FOREIGN), inner)),
        Case(DropReason.ECN_NOT_CAPABLE, CORE, _to_router(VxlanGpe(iid=RED), inner, tos=3)),
        Case(DropReason.TTL_EXPIRED, RED_PORT, arriving(RED_PORT, udp(HERE, THERE, ttl=1))),
        Case(DropReason.UNKNOWN_DESTINATION, RED_PORT, arriving(RED_PORT, udp(HERE, "50.0.0.1"))),
        Case(DropReason.NEGATIVE_NO_REASON, RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.3"))),
        Case(DropReason.NEGATIVE_POLICY, RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.4"))),
        Case(DropReason.NEGATIVE_AUTH, RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.5"))),
        Case(DropReason.NO_RLOC, RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.13"))),
        Case(DropReason.NO_UNDERLAY_ROUTE, RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.14"))),
        Case(DropReason.SPOOFED_SOURCE, BLUE_PORT, arriving(BLUE_PORT, scale_up(ACC_THERE, ACC_HERE))),
        Case(DropReason.TOO_BIG, BLUE_PORT, arriving(BLUE_PORT, scale_up(ACC_HERE, ACC_THERE, data=bytes(8937)))),
        Case(DropReason.SPLIT_HORIZON, CORE, _to_router(VxlanGpe(iid=RED), udp(HERE, "239.1.1.1"))),
    ]


@requirement("DP-9")
class EachReasonOnce(DropTest):
    """One packet for each reason there is: its counter says one packet and the octets of its frame, no other moves."""

    def runTest(self) -> None:
        cases = one_of_each()
        self.assertEqual([case.reason for case in cases], [reason for reason in DropReason if reason not in ELSEWHERE])
        self.write(
            access_port(BLUE_PORT, SITE, BLUE, scale_up_iid=BLUE_UP, acc_id=ACC_HERE),
            instance(BLUE_UP, Encapsulation.VXLAN_GPE, False, domain=Domain.SCALE_UP),
            eid_rloc_set(BLUE_UP, ACC_THERE, TO_PEER),
            switch_context(0, SITE),
            home_eid(RED, prefix("10.0.0.0/16")),
            eid_negative(RED, host("40.0.0.3"), DropReason.NEGATIVE_NO_REASON),
            eid_negative(RED, host("40.0.0.4"), DropReason.NEGATIVE_POLICY),
            eid_negative(RED, host("40.0.0.5"), DropReason.NEGATIVE_AUTH),
            eid_rloc_set(RED, host("40.0.0.13"), 13),
            eid_rloc_set(RED, host("40.0.0.14"), 14),
            rlocs(14, ("203.0.113.1", 1)),
        )
        for case in cases:
            with self.subTest(reason=case.reason.name):
                before = self.switch.drops()[case.reason]
                with self.drops(case.reason):
                    self.send(case.port, case.frame)
                after = self.switch.drops()[case.reason]
                self.assertEqual(after, CounterData(before.packets + 1, before.octets + len(case.frame)))


class ForwardingCountsNoDrop(DropTest):
    """Packets that are delivered, tunnelled or passed on move no drop counter."""

    def runTest(self) -> None:
        with self.no_drops():
            for port, frame in (
                (RED_PORT, arriving(RED_PORT, udp(HERE, THERE))),
                (CORE, _to_router(VxlanGpe(iid=RED), udp(THERE, HERE))),
                (CORE, arriving(CORE, udp(PEER, OTHER))),
            ):
                self.send(port, frame)
                self.receive()


@group("robustness")
class TwoFaultsOneCount(DropTest):
    """A packet with several faults is still one packet: one counter moves, by one."""

    def runTest(self) -> None:
        dead_and_foreign = _to_router(VxlanGpe(iid=FOREIGN), udp(THERE, HERE, ttl=0), tos=3, ttl=1)
        not_tenant = _to_router(VxlanGpe(iid=FOREIGN, i=0, version=1, next_protocol=9), udp(THERE, HERE, ttl=1))
        damaged = _bad_checksum()
        damaged.ttl = 0
        for port, frame in ((CORE, dead_and_foreign), (CORE, not_tenant), (SPARE, arriving(SPARE, damaged))):
            with self.subTest(frame=frame.summary()):
                before = self.switch.drops()
                self.send(port, frame)
                self.expect_nothing()
                self.assertEqual(self.dropped_since(before).total(), 1)


@requirement("DP-9")
@group("robustness")
class VxlanGpeOfAnotherKind(DropTest):
    """Without P the Next Protocol means nothing, another version may mean anything, and OAM is not for tenants."""

    def runTest(self) -> None:
        for header in (
            VxlanGpe(iid=RED, p=0),
            VxlanGpe(iid=RED, p=0, next_protocol=0),
            *(VxlanGpe(iid=RED, version=version) for version in (1, 2, 3)),
            VxlanGpe(iid=RED, o=1),
        ):
            with self.subTest(header=bytes(header).hex()), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                self.send(CORE, _to_router(header, udp(THERE, HERE)))


@requirement("DP-9")
@group("robustness")
class LispPayloadOfAnotherKind(DropTest):
    """A payload of which the first four bits are neither 4 nor 6 is not taken for IP."""

    def runTest(self) -> None:
        for first_octet in (0x00, 0x35, 0x55, 0x75, 0xF5):
            with self.subTest(first_octet=first_octet), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                self.send(CORE, _to_router(Lisp(iid=RED), Raw(bytes([first_octet]) + bytes(47))))


@requirement("DP-9")
@group("robustness")
class EncryptedPayloadIsNotRead(DropTest):
    """KK says that the payload is encrypted (RFC 8061): what then looks like an IPv4 header is none."""

    def runTest(self) -> None:
        for key in (1, 2, 3):
            for header in (Lisp(iid=RED, kk=key), LispGpe(iid=RED, kk=key)):
                with self.subTest(header=header.name, key=key), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                    self.send(CORE, _to_router(header, udp(THERE, HERE)))


@requirement("DP-9", "DP-6")
@group("robustness")
class NoInstanceId(DropTest):
    """Without the I bit the Instance-ID octets mean nothing: no tenant is guessed."""

    def runTest(self) -> None:
        for header in (
            *(kind(iid=RED, i=0) for kind in (VxlanGpe, Vxlan, LispGpe, Lisp)),
            Lisp(iid=RED, i=0, l=1),
            Lisp(iid=0, i=0),
        ):
            with self.subTest(header=bytes(header).hex()), self.drops(DropReason.NO_INSTANCE_ID):
                self.send(CORE, _to_router(header, udp(THERE, HERE)))


class TtlExpires(DropTest):
    """TTL 0 and 1 end at a router: from an accelerator, and in transit."""

    def runTest(self) -> None:
        for ttl in (0, 1):
            with self.subTest("access", ttl=ttl), self.drops(DropReason.TTL_EXPIRED):
                self.send(RED_PORT, arriving(RED_PORT, udp(HERE, THERE, ttl=ttl)))
            with self.subTest("local delivery", ttl=ttl), self.drops(DropReason.TTL_EXPIRED):
                self.send(CORE, _to_router(VxlanGpe(iid=RED), udp(THERE, HERE, ttl=ttl)))
            with self.subTest("transit", ttl=ttl), self.drops(DropReason.TTL_EXPIRED):
                self.send(CORE_2, arriving(CORE_2, udp(OTHER, PEER, ttl=ttl)))


class UnknownPort(DropTest):
    """Nothing enters through a port that nothing is said about, tunnels and control messages included."""

    def runTest(self) -> None:
        for packet in (
            udp(HERE, THERE),
            tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN),
            udp(PEER, OWN, sport=4342, dport=4342),
            udp(OWN, PEER),
        ):
            with self.subTest(packet=packet.summary()), self.drops(DropReason.UNKNOWN_PORT):
                self.send(SPARE, arriving(SPARE, packet))


class RemovedPort(DropTest):
    """A port that is taken out of service lets nothing in any more."""

    def runTest(self) -> None:
        frame = arriving(CORE_2, udp(OTHER, PEER))
        with self.no_drops():
            self.send(CORE_2, frame)
            self.receive(CORE)
        self.remove(core_port(CORE_2))
        with self.drops(DropReason.UNKNOWN_PORT):
            self.send(CORE_2, frame)
