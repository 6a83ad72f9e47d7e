"""Which packets share a path: RoCEv2 by queue pair, Scale-Up by entropy, and packet by packet where that is allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from scapy.contrib.roce import BTH
from scapy.layers.inet import UDP
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import Domain, Encapsulation, Spray
from controller.dataplane.entries import instance
from ptf_tests.support.base import FabricTest
from ptf_tests.support.flows import misfit
from ptf_tests.support.headers import VxlanGpe
from ptf_tests.support.packets import arriving, ip, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_THERE,
    CORE,
    CORE_2,
    CORE_3,
    HERE,
    HERE6,
    OTHER,
    OWN,
    OWN6,
    PEER,
    RED,
    RED_PORT,
    RED_UP,
    THERE,
    THERE6,
    TO_PEER,
    TO_PEER6,
    border_pxtr,
    dual_stack_xtr,
    rlocs,
    route,
)


def roce(queue_pair: int, *, src: str = HERE, dst: str = THERE, psn: int = 0, sport: int = 49152) -> Packet:
    """A RoCEv2 packet to a queue pair."""
    return (
        ip(src, dst) / UDP(sport=sport, dport=4791) / BTH(opcode="UC_SEND_ONLY", dqpn=queue_pair, psn=psn) / Raw(b"d")
    )


class MultipathTest(FabricTest):
    """An access xTR, of whose tunnel packets only path and source port matter."""

    configured = dual_stack_xtr(Encapsulation.VXLAN_GPE)

    def source_ports(self, packets: Iterable[Packet]) -> list[int]:
        """The outer source ports of an accelerator's packets, in their order."""
        outcome = self.forward(RED_PORT, [arriving(RED_PORT, packet) for packet in packets])
        return [frame[UDP].sport for _, frame in outcome]

    def spray(self, iid: int, spray: Spray) -> None:
        """From now on packets of an Instance-ID are spread like this."""
        domain = Domain.SCALE_UP if iid == RED_UP else Domain.SCALE_OUT
        self.write(instance(iid, Encapsulation.VXLAN_GPE, False, domain=domain, spray=spray))


@requirement("PR-DP-4")
class QueuePairsAreFlows(MultipathTest):
    """RoCEv2 packets with the same addresses and ports are as many flows as they have queue pairs, each of one path."""

    def runTest(self) -> None:
        for src, dst in ((HERE, THERE), (HERE6, THERE6)):
            with self.subTest(source=src):
                pairs = [roce(pair, src=src, dst=dst) for pair in range(0x000100, 0x000120)]
                self.assertGreaterEqual(len(set(self.source_ports(pairs))), 31)
                pair = [roce(0xABCDEF, src=src, dst=dst, psn=psn) for psn in range(16)]
                self.assertEqual(len(set(self.source_ports(pair))), 1)
        with self.subTest("other ports"):
            same = [ip(HERE, THERE) / UDP(sport=49152, dport=4792) / Raw(bytes([n]) * 16) for n in range(8)]
            self.assertEqual(len(set(self.source_ports(same))), 1)
        with self.subTest("cut off"):
            short = [ip(HERE, THERE) / UDP(sport=49152, dport=4791) / Raw(bytes(n)) for n in range(8)]
            self.assertEqual(len(set(self.source_ports(short))), 1)


@requirement("PR-DP-4")
class QueuePairsBehindATunnel(FabricTest):
    """A border tells the queue pairs apart that come in one tunnel."""

    def runTest(self) -> None:
        self.write(*border_pxtr(Encapsulation.VXLAN_GPE))
        ports = set()
        for pair in range(16):
            for psn in range(2):
                self.send(CORE_2, arriving(CORE_2, tunnel(VxlanGpe(iid=RED), roce(pair, psn=psn), src=OTHER, dst=OWN)))
                ports.add(self.receive(CORE)[UDP].sport)
        self.assertEqual(len(ports), 16)


@requirement("PR-DP-4")
class EntropyOfScaleUp(MultipathTest):
    """A Scale-Up frame's path follows from its AccIDs and its entropy, and from nothing else."""

    def runTest(self) -> None:
        apart = [scale_up(ACC_HERE, ACC_THERE, entropy=n) for n in range(32)]
        self.assertGreaterEqual(len(set(self.source_ports(apart))), 31)
        alike = [
            scale_up(
                ACC_HERE, ACC_THERE, entropy=5, operation=n, sequence=n, tag=n, virtual_channel=n % 8, reorder=n % 2
            )
            for n in range(16)
        ]
        self.assertEqual(len(set(self.source_ports(alike))), 1)


@requirement("PR-DP-4")
class FlowLabelIsEntropy(MultipathTest):
    """Over IPv6 the outer flow label is constant per flow and differs between flows, as the source port."""

    def runTest(self) -> None:
        self.write(*dual_stack_xtr(Encapsulation.VXLAN_GPE, to=TO_PEER6))
        labels = []
        for sport in (*range(32), *[7] * 8):
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, THERE, sport=sport)))
            frame = self.receive(CORE)
            self.assertEqual(frame.payload.src, OWN6)
            labels.append(frame.payload.fl)
        self.assertGreaterEqual(len(set(labels[:32])), 31)
        self.assertEqual(set(labels[32:]), {labels[7]})


@requirement("MH-FWD-2")
class Spraying(MultipathTest):
    """By policy of the Instance-ID packets of one flow are spread over locators and paths: none, the tolerant, all."""

    def runTest(self) -> None:
        paths = (CORE, CORE_3)
        self.write(rlocs(TO_PEER, (PEER, 3), (OTHER, 1)), route(PEER, *paths))
        tolerant, strict, plain = (
            scale_up(ACC_HERE, ACC_THERE, reorder=1),
            scale_up(ACC_HERE, ACC_THERE),
            udp(HERE, THERE),
        )
        for policy, sprayed in (
            (Spray.FLOW, ()),
            (Spray.TOLERANT, (tolerant,)),
            (Spray.EVERY, (tolerant, strict, plain)),
        ):
            self.spray(RED, policy)
            self.spray(RED_UP, policy)
            for packet in (tolerant, strict, plain):
                with self.subTest(policy=policy.name, packet=packet.summary()):
                    frames = [arriving(RED_PORT, packet)] * 160
                    outcome = self.forward(RED_PORT, frames)
                    counts = Counter(port for port, _ in outcome)
                    if packet in sprayed:
                        self.assertIsNone(misfit(counts, {CORE: 3, CORE_3: 3, CORE_2: 2}))
                        self.assertGreater(len({frame[UDP].sport for _, frame in outcome}), 150)
                    else:
                        self.assertEqual(len(counts), 1)
                        self.assertEqual(len({frame[UDP].sport for _, frame in outcome}), 1)
