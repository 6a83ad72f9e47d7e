"""The outer UDP source port: the flow's entropy, by which the underlay spreads what it cannot look into."""

from __future__ import annotations

from collections.abc import Iterable

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.entries import switch_context
from ptf_tests.support.base import FabricTest
from ptf_tests.support.flows import udp_flows
from ptf_tests.support.packets import arriving, fragments, tcp, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, HERE, RED_PORT, THERE, access_xtr


class EntropyTest(FabricTest):
    """An access xTR, of whose tunnel packets only the source port matters."""

    configured = access_xtr(Encapsulation.VXLAN_GPE)

    def source_ports(self, packets: Iterable[Packet]) -> list[int]:
        """The outer source ports of an accelerator's packets, in their order."""
        outcome = self.forward(RED_PORT, [arriving(RED_PORT, packet) for packet in packets])
        self.assertEqual({port for port, _ in outcome}, {CORE})
        return [frame[UDP].sport for _, frame in outcome]


@requirement("PR-DP-4")
class ConstantPerFlow(EntropyTest):
    """Whatever else differs between the packets of a flow, their source port does not."""

    def runTest(self) -> None:
        packets = [
            udp(HERE, THERE),
            udp(HERE, THERE, ttl=9),
            udp(HERE, THERE, tos=0xB9),
            udp(HERE, THERE, data=b"another payload"),
            IP(src=HERE, dst=THERE, id=77, flags="DF") / UDP(sport=40000, dport=40001, chksum=0x1234),
        ]
        self.assertEqual(len(set(self.source_ports(packets * 3))), 1)


@requirement("PR-DP-4")
class VariedOverFlows(EntropyTest):
    """Source ports of many flows fill the range 49152-65535 evenly."""

    def runTest(self) -> None:
        ports = self.source_ports(udp_flows(256))
        self.assertTrue(all(49152 <= port <= 65535 for port in ports))
        # 256 throws into 16384 places collide 2 times on average.
        self.assertGreater(len(set(ports)), 240)
        # Every bit that may vary does, about evenly.
        for bit in range(14):
            share = sum(port >> bit & 1 for port in ports)
            self.assertTrue(88 <= share <= 168, f"bit {bit} is set in {share} of 256 source ports")


@requirement("PR-DP-4")
class EveryFieldOfTheFlowCounts(EntropyTest):
    """Either address, either port, and the protocol: flows that differ in one only have different source ports."""

    def runTest(self) -> None:
        scope = range(1, 17)
        variations: dict[str, list[Packet]] = {
            "source address": [udp(f"10.0.0.{n}", THERE) for n in scope],
            "destination address": [udp(HERE, f"40.0.0.{n}") for n in scope],
            "source port": [udp(HERE, THERE, sport=n) for n in scope],
            "destination port": [udp(HERE, THERE, dport=n) for n in scope],
            "TCP source port": [tcp(HERE, THERE, sport=n) for n in scope],
            "TCP destination port": [tcp(HERE, THERE, dport=n) for n in scope],
            "SCTP source port": [IP(src=HERE, dst=THERE) / SCTP(sport=n, dport=1) for n in scope],
            "protocol": [IP(src=HERE, dst=THERE, proto=n) / Raw(bytes(8)) for n in range(100, 116)],
        }
        for field, packets in variations.items():
            with self.subTest(field=field):
                self.assertGreaterEqual(len(set(self.source_ports(packets))), 15)


@requirement("PR-DP-4")
class OtherProtocolsHaveNoPorts(EntropyTest):
    """What follows the header of a protocol without ports is payload, and does not make flows of its own."""

    def runTest(self) -> None:
        pings = [IP(src=HERE, dst=THERE) / ICMP(id=n, seq=n) for n in range(8)]
        self.assertEqual(len(set(self.source_ports(pings))), 1)
        payloads = [IP(src=HERE, dst=THERE, proto=50) / Raw(bytes([n]) * 8) for n in range(8)]
        self.assertEqual(len(set(self.source_ports(payloads))), 1)


@requirement("PR-DP-4")
class FragmentsAreOneFlow(EntropyTest):
    """All fragments of a datagram go one way, though only the first has the ports and others have payload there."""

    def runTest(self) -> None:
        self.assertEqual(len(set(self.source_ports(fragments(HERE, THERE)))), 1)


@requirement("PR-DP-4")
class RotationChangesTheEntropy(EntropyTest):
    """Two switches with different hash rotations give the same flow different source ports, each its own constant."""

    def runTest(self) -> None:
        packets = udp_flows(16)
        outcome: dict[int, tuple[int, ...]] = {}
        for rotation in (0, 1, 13, 31, 0):
            self.write(switch_context(rotation))
            ports = tuple(self.source_ports(packets))
            self.assertEqual(outcome.setdefault(rotation, ports), ports)
        self.assertEqual(len(set(outcome.values())), 4)
