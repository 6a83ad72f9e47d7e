"""Re-encapsulation at a border pxTR: one tunnel ends and the next begins in a single pass."""

from __future__ import annotations

from collections.abc import Callable

from scapy.layers.inet import IP, UDP
from scapy.packet import Packet

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import instance, switch_context
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import ENTROPY_PORT, arriving, fragments, leaving, routed, tcp, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, CORE_2, HERE, OTHER, OWN, PEER, RED, THERE, border_pxtr

Header = Callable[..., Lisp | VxlanGpe]


class BorderTest(FabricTest):
    """A border pxTR: tunnels from OTHER (the own PoD's access xTR) end, and begin anew towards PEER."""

    configured = border_pxtr(Encapsulation.VXLAN_GPE)

    def cross(self, received: Packet, sent: Packet) -> Packet:
        """The tunnel packet `received` from the own PoD leaves for the other as `sent`, but for the entropy."""
        self.send(CORE_2, arriving(CORE_2, received))
        return self.expect(CORE, any_entropy(leaving(CORE, sent)))


@requirement("SO-FLOW-8", "DP-3")
class BothLegsOfAFlow(BorderTest):
    """From the own PoD out, and from outside in: source RLOC is this router, destination the next, IID the same."""

    def runTest(self) -> None:
        out, back = udp(HERE, THERE), udp(THERE, HERE)
        inner = routed(out)
        self.cross(
            tunnel(VxlanGpe(iid=RED), out, src=OTHER, dst=OWN),
            tunnel(VxlanGpe(iid=RED), inner, src=OWN, dst=PEER, ttl=inner.ttl),
        )
        inner = routed(back)
        self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), back, src=PEER, dst=OWN)))
        sent = tunnel(VxlanGpe(iid=RED), inner, src=OWN, dst=OTHER, ttl=inner.ttl)
        self.expect(CORE_2, any_entropy(leaving(CORE_2, sent)))


@requirement("DP-1", "SO-FLOW-8")
class EncapsulationIsConverted(BorderTest):
    """Whatever tunnel a packet comes in, it leaves in the Instance-ID's own: LISP to VXLAN-GPE and back."""

    def runTest(self) -> None:
        headers: dict[Encapsulation, Header] = {Encapsulation.LISP: Lisp, Encapsulation.VXLAN_GPE: VxlanGpe}
        packet = tcp(HERE, THERE)
        inner = routed(packet)
        for encapsulation, sent in headers.items():
            self.write(instance(RED, encapsulation, punt_unknown=False))
            for received in headers.values():
                with self.subTest(received=received, sent=sent):
                    self.cross(
                        tunnel(received(iid=RED), packet, src=OTHER, dst=OWN),
                        tunnel(sent(iid=RED), inner, src=OWN, dst=PEER, ttl=inner.ttl),
                    )


@requirement("PR-DP-2", "SO-FLOW-8")
class TtlAcrossTheBorder(BorderTest):
    """The new outer TTL is the old outer TTL less one, as long as that was the smaller (RFC 9300 section 5.3)."""

    def runTest(self) -> None:
        for outer, inner in ((64, 64), (30, 64), (64, 30), (2, 255), (255, 2)):
            with self.subTest(outer=outer, inner=inner):
                packet = udp(HERE, THERE, ttl=inner)
                left = min(outer, inner) - 1
                self.cross(
                    tunnel(VxlanGpe(iid=RED), packet, src=OTHER, dst=OWN, ttl=outer),
                    tunnel(VxlanGpe(iid=RED), routed(packet, ttl=left), src=OWN, dst=PEER, ttl=left),
                )


@requirement("PR-DP-2")
class TtlExpiresAtTheBorder(BorderTest):
    """A TTL of 1, outer or inner, ends here."""

    def runTest(self) -> None:
        for outer, inner in ((1, 64), (64, 1), (1, 1), (0, 64), (64, 0)):
            with self.subTest(outer=outer, inner=inner), self.drops(DropReason.TTL_EXPIRED):
                packet = tunnel(VxlanGpe(iid=RED), udp(HERE, THERE, ttl=inner), src=OTHER, dst=OWN, ttl=outer)
                self.send(CORE_2, arriving(CORE_2, packet))


@requirement("PR-DP-3", "SO-FLOW-8")
class CongestionMarkCrossesTheBorder(BorderTest):
    """A mark made on the first leg is in the inner header and in the outer header of the second."""

    def runTest(self) -> None:
        for inner, outer, result in ((2, 3, 3), (1, 3, 3), (2, 2, 2), (2, 1, 1), (2, 0, 2), (3, 0, 3), (0, 0, 0)):
            with self.subTest(inner=inner, outer=outer):
                packet = udp(HERE, THERE, tos=inner)
                self.cross(
                    tunnel(VxlanGpe(iid=RED), packet, src=OTHER, dst=OWN, tos=outer),
                    tunnel(VxlanGpe(iid=RED), routed(packet, tos=result), src=OWN, dst=PEER, ttl=63, tos=result),
                )


@requirement("SO-FLOW-8")
class DscpCrossesTheBorder(BorderTest):
    """The first leg's outer DSCP goes into the inner header and the second leg's outer header."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE, tos=10 << 2)
        self.cross(
            tunnel(VxlanGpe(iid=RED), packet, src=OTHER, dst=OWN, tos=46 << 2),
            tunnel(VxlanGpe(iid=RED), routed(packet, tos=46 << 2), src=OWN, dst=PEER, ttl=63, tos=46 << 2),
        )


@requirement("SO-FLOW-8")
class SizesAcrossTheBorder(BorderTest):
    """Lengths are made from the inner packet's own, whatever its size."""

    def runTest(self) -> None:
        for octets in (0, 1, 1400, 8000):
            with self.subTest(octets=octets):
                packet = udp(HERE, THERE, data=bytes(octets))
                self.cross(
                    tunnel(Lisp(iid=RED), packet, src=OTHER, dst=OWN),
                    tunnel(VxlanGpe(iid=RED), routed(packet), src=OWN, dst=PEER, ttl=63),
                )


class EntropyTest(BorderTest):
    """A border pxTR, of whose second leg only the source port matters."""

    def source_port(self, inner: Packet, *, entropy: int = ENTROPY_PORT) -> int:
        """The second leg's source port for a packet whose first leg has source port `entropy`."""
        self.send(CORE_2, arriving(CORE_2, tunnel(VxlanGpe(iid=RED), inner, src=OTHER, dst=OWN, sport=entropy)))
        return int(self.receive(CORE)[UDP].sport)


@requirement("PR-DP-4")
class EntropyComesFromTheInnerFlow(EntropyTest):
    """The second leg's source port depends on the inner flow and this switch alone, not on the first leg's."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        self.assertEqual(len({self.source_port(packet, entropy=n) for n in range(ENTROPY_PORT, ENTROPY_PORT + 16)}), 1)
        flows = [udp(HERE, THERE, sport=n) for n in range(40000, 40016)]
        self.assertGreater(len({self.source_port(flow) for flow in flows}), 12)
        before = self.source_port(packet)
        self.write(switch_context(7))
        self.assertNotEqual(self.source_port(packet), before)


@requirement("PR-DP-4")
class InnerFragmentsAreOneFlow(EntropyTest):
    """All fragments of a tunnelled datagram go one way."""

    def runTest(self) -> None:
        self.assertEqual(len({self.source_port(fragment) for fragment in fragments(HERE, THERE)}), 1)


@requirement("SO-FLOW-8")
class OuterHeaderIsNew(BorderTest):
    """Nothing of the old outer header survives: identification, flags and UDP checksum are the new tunnel's."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        old = tunnel(VxlanGpe(iid=RED, reserved=0xFFFF, reserved2=7), packet, src=OTHER, dst=OWN, checksum=0xBAD)
        old[IP].id, old[IP].flags = 0x4321, 0
        self.cross(old, tunnel(VxlanGpe(iid=RED), routed(packet), src=OWN, dst=PEER, ttl=63))
