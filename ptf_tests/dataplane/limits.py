"""What one tenant or port can do to others: rate limits, what protects the controller, and samples for it to see."""

from __future__ import annotations

import time
from math import sqrt

import ptf.ptfutils
from ptf.testutils import group
from scapy.layers.inet import IP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import Domain, DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import (
    access_port,
    eid_local,
    eid_rloc_set,
    instance,
    punt_limit,
    sample_session,
    switch_context,
)
from controller.p4rt.entities import MeterConfig
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, hop, leaving, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_NOWHERE,
    BLUE,
    BLUE_PORT,
    CORE,
    CORE_2,
    HERE,
    OWN,
    PEER,
    RED,
    RED_PORT,
    RED_UP,
    SITE,
    THERE,
    TO_PEER,
    access_xtr,
    host,
    route,
)

NOWHERE, NOWHERE_ELSE = "50.0.0.1", "50.0.0.2"

# So slow that nothing is added while a test runs.
SLOW = 1
LONG_MS = 30_000.0


class LimitTest(FabricTest):
    """An access xTR that hands packets to unknown destinations to its controller."""

    configured = access_xtr(Encapsulation.VXLAN_GPE, punt_unknown=True)

    def expect_punts(self, count: int, port: int, packets: list[Packet]) -> None:
        """So many of an accelerator's packets go to the controller, and no more."""
        for packet in packets:
            self.send(port, arriving(port, packet))
        found = 0
        while self.switch.packet_in(ptf.ptfutils.default_timeout if found < count else 0.1) is not None:
            found += 1
        self.assertEqual(found, count)


class InstanceLimit(LimitTest):
    """What a tenant sends above its rate is dropped, wherever it comes from; another's packets are not."""

    def runTest(self) -> None:
        frame = arriving(RED_PORT, udp(HERE, THERE, data=bytes(200)))
        burst = 3 * len(frame)
        limit = MeterConfig(cir=SLOW, cburst=burst, pir=SLOW, pburst=burst)
        self.write(instance(RED, Encapsulation.VXLAN_GPE, True, limit=limit))
        self.forward(RED_PORT, [frame] * 3)
        with self.drops(DropReason.INSTANCE_LIMITED, 5):
            for _ in range(4):
                self.send(RED_PORT, frame)
            self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN)))
        blue = arriving(BLUE_PORT, udp(HERE, THERE, data=bytes(200)))
        self.assertEqual({port for port, _ in self.forward(BLUE_PORT, [blue] * 8)}, {CORE_2})
        with self.subTest("lifted"):
            self.write(instance(RED, Encapsulation.VXLAN_GPE, True))
            self.assertEqual({port for port, _ in self.forward(RED_PORT, [frame] * 8)}, {CORE})


@group("punt")
class PuntLimit(LimitTest):
    """One port's flood of unknown destinations takes nothing from what other ports have to tell the controller."""

    def runTest(self) -> None:
        self.write(punt_limit(RED_PORT, SLOW, 3), punt_limit(BLUE_PORT, SLOW, 5))
        unknown = [udp(HERE, f"50.0.1.{n}") for n in range(8)]
        before = self.switch.drops()
        self.expect_punts(3, RED_PORT, unknown)
        self.assertEqual(dict(self.dropped_since(before)), {DropReason.PUNT_LIMITED: 5})
        self.expect_punts(5, BLUE_PORT, unknown)
        # What is known is not the controller's business.
        frame = arriving(RED_PORT, udp(HERE, THERE))
        self.assertEqual({port for port, _ in self.forward(RED_PORT, [frame] * 8)}, {CORE})


@group("punt")
@requirement("SO-UNK-3", partial=True)
class RepeatsAreSuppressed(LimitTest):
    """The controller is told once of a destination. No other one waits for it, and nothing once it is known."""

    def runTest(self) -> None:
        self.write(switch_context(0, punt_window_ms=LONG_MS))
        before = self.switch.drops()
        self.expect_punts(1, RED_PORT, [udp(HERE, NOWHERE, sport=n) for n in range(6)])
        self.assertEqual(dict(self.dropped_since(before)), {DropReason.PUNT_SUPPRESSED: 5})
        self.expect_punts(1, RED_PORT, [udp(HERE, NOWHERE_ELSE)] * 3)
        self.expect_punts(1, BLUE_PORT, [udp(HERE, NOWHERE)] * 3)
        # The same number as an IPv4 address is another destination as an AccID.
        number = int.from_bytes(bytes(map(int, NOWHERE.split("."))), "big")
        self.write(
            access_port(BLUE_PORT, SITE, BLUE, scale_up_iid=RED_UP, acc_id=ACC_HERE),
            instance(RED_UP, Encapsulation.VXLAN_GPE, True, domain=Domain.SCALE_UP),
        )
        self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED_UP), udp(THERE, NOWHERE), src=PEER, dst=OWN)))
        self.expect_punts(2, BLUE_PORT, [scale_up(ACC_HERE, number)] * 2)
        self.expect_punts(1, BLUE_PORT, [scale_up(ACC_HERE, ACC_NOWHERE)] * 2)
        with self.subTest("resolved"), self.no_drops():
            self.write(eid_rloc_set(RED, host(NOWHERE), TO_PEER))
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, NOWHERE)))
            sent = encapsulated(VxlanGpe(iid=RED), udp(HERE, NOWHERE), src=OWN, dst=PEER)
            self.expect(CORE, any_entropy(leaving(CORE, sent)))


@group("punt")
class WindowEnds(LimitTest):
    """When the window is over the destination is told again: a lost request delays nothing for good."""

    def runTest(self) -> None:
        self.write(switch_context(0, punt_window_ms=400))
        packet = udp(HERE, "50.0.0.3")
        self.expect_punts(1, RED_PORT, [packet] * 2)
        time.sleep(0.5)
        self.expect_punts(1, RED_PORT, [packet] * 2)


@group("punt")
class ManyDestinationsAreAllTold(LimitTest):
    """However full the filter is, no destination is taken for another."""

    def runTest(self) -> None:
        self.write(switch_context(0, punt_window_ms=LONG_MS))
        self.expect_punts(1000, RED_PORT, [udp(HERE, f"51.0.{n // 256}.{n % 256}") for n in range(1000)])


class SampleTest(LimitTest):
    """An access xTR whose samples go to the controller."""

    def setUp(self) -> None:
        """Makes the switch an access xTR, with a clone session."""
        super().setUp()
        self.write(sample_session())

    def sample(self, share: int) -> None:
        """Of 65 536 packets of RED so many are sampled."""
        self.write(instance(RED, Encapsulation.VXLAN_GPE, False, sample_share=share))


@group("punt")
class SamplesAreTheOriginals(SampleTest):
    """The controller gets the packet as it came in, also one that was dropped, and the packet itself goes its way."""

    def runTest(self) -> None:
        self.sample(0xFFFF)
        packet = udp(HERE, THERE)
        frame = arriving(RED_PORT, packet)
        with self.subTest("tunnelled"):
            self.send(RED_PORT, frame)
            sent = encapsulated(VxlanGpe(iid=RED), packet, src=OWN, dst=PEER)
            self.expect(CORE, any_entropy(leaving(CORE, sent)))
            self.expect_punt(PuntReason.SAMPLE, frame, port=RED_PORT, iid=RED)
        with self.subTest("decapsulated"):
            frame = arriving(CORE, tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN))
            self.send(CORE, frame)
            self.receive(RED_PORT)
            self.expect_punt(PuntReason.SAMPLE, frame, port=CORE, iid=RED)
        with self.subTest("dropped"):
            frame = arriving(RED_PORT, udp(HERE, NOWHERE))
            self.send(RED_PORT, frame)
            self.expect_punt(PuntReason.SAMPLE, frame, port=RED_PORT, iid=RED)
        with self.subTest("another tenant"):
            self.send(BLUE_PORT, arriving(BLUE_PORT, packet))
            self.receive(CORE_2)
            self.expect_no_punt()


@group("punt")
class ShareOfTheSamples(SampleTest):
    """About the share of the packets that was asked for is sampled; none at 0."""

    def runTest(self) -> None:
        frames = [arriving(RED_PORT, udp(HERE, THERE))] * 400
        for share in (0x4000, 0):
            with self.subTest(share=share):
                self.sample(share)
                self.forward(RED_PORT, frames)
                samples = 0
                while self.switch.packet_in(0.5) is not None:
                    samples += 1
                expected = len(frames) * share / 65536
                self.assertLessEqual(abs(samples - expected), 5 * sqrt(expected * (1 - share / 65536)))


@group("punt")
class MembershipReports(LimitTest):
    """IGMP and MLD of an accelerator go to the controller as they are, TTL 1 and options included; others' do not."""

    def runTest(self) -> None:
        reports = [
            IP(src=HERE, dst="224.0.0.22", ttl=1, proto=2) / Raw(bytes(16)),
            IP(src=HERE, dst="224.0.0.22", ttl=1, proto=2, options=[IPOption(b"\x94\x04\0\0")]) / Raw(bytes(16)),
            IPv6(src="fe80::1", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(nh=58) / Raw(bytes(28)),
        ]
        for report in reports:
            with self.subTest(report=report.summary()), self.no_drops():
                frame = arriving(RED_PORT, report)
                self.send(RED_PORT, frame)
                self.expect_punt(PuntReason.MEMBERSHIP, frame, port=RED_PORT, iid=RED)
            before = self.switch.drops()
            self.send(CORE, arriving(CORE, report))
            self.expect_nothing()
            self.expect_no_punt()
            self.assertEqual(self.dropped_since(before).total(), 1)


class PerRlocCounters(LimitTest):
    """The route to an RLOC counts the packets that are sent there."""

    def runTest(self) -> None:
        entry = route(PEER, CORE)
        before = self.switch.counted(entry)
        frames = self.forward(RED_PORT, [arriving(RED_PORT, udp(HERE, THERE))] * 3)
        after = self.switch.counted(entry)
        self.assertEqual(after.packets - before.packets, len(frames))
        self.write(eid_local(RED, host("40.0.0.9"), hop(RED_PORT)))
        self.send(RED_PORT, arriving(RED_PORT, udp(HERE, "40.0.0.9")))
        self.receive(RED_PORT)
        self.assertEqual(self.switch.counted(entry).packets, after.packets)
