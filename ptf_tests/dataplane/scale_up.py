"""Scale-Up: frames between accelerators of one PoD, addressed by AccID, and IP in a Scale-Up Instance-ID."""

from __future__ import annotations

from ptf.testutils import group
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from controller.dataplane.addresses import AccId
from controller.dataplane.codepoints import Domain, DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import (
    access_port,
    eid_local,
    eid_negative,
    eid_rloc_set,
    eid_unknown,
    instance,
    scale_up_prefix,
)
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import NEXT_PROTOCOL_ETHERNET, LispGpe, ScaleUp, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, carrying, encapsulated, hop, leaving, routed, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_NOWHERE,
    ACC_THERE,
    BLUE,
    BLUE_PORT,
    BLUE_UP,
    CORE,
    CORE_2,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    RED_UP,
    SITE,
    THERE,
    TO_OTHER,
    TO_PEER,
    dual_stack_xtr,
    host,
    prefix,
    rlocs,
)
from ptf_tests.support.vectors import V20


class ScaleUpTest(FabricTest):
    """An access xTR: AccID 7 is attached to RED_PORT, AccID 8 is behind PEER."""

    configured = dual_stack_xtr(Encapsulation.VXLAN_GPE)

    def tunnelled(self, frame: Packet, *, iid: int = RED_UP, to: str = PEER) -> Packet:
        """What leaves for `to` when `frame` comes from RED_PORT."""
        return leaving(CORE, encapsulated(VxlanGpe(iid=iid), frame, src=OWN, dst=to, port=RED_PORT))

    def arrives(self, frame: Packet, *, iid: int = RED_UP) -> None:
        """A Scale-Up frame comes through a tunnel from PEER."""
        carried = arriving(9, frame) if isinstance(frame, ScaleUp) else frame
        self.send(CORE, arriving(CORE, tunnel(*carrying(VxlanGpe(iid=iid), carried), src=PEER, dst=OWN)))


@requirement("SU-FLOW-1", "SU-FLOW-6", "SU-FLOW-8", "DP-2", "DP-3", "DP-4")
class FramesAreTunnelled(ScaleUpTest):
    """Every frame to a known AccID goes to its xTR, whole: outer source here, destination there; nobody is asked."""

    def runTest(self) -> None:
        for operation in range(16):
            frame = scale_up(
                ACC_HERE, ACC_THERE, operation=operation, next_header=operation, sequence=operation << 28, tag=0xABCD
            )
            with self.subTest(operation=operation), self.no_drops():
                self.send(RED_PORT, arriving(RED_PORT, frame))
                received = self.expect(CORE, any_entropy(self.tunnelled(frame)))
                self.assertEqual(received[VxlanGpe].next_protocol, NEXT_PROTOCOL_ETHERNET)
                self.assertEqual((received[ScaleUp].src, received[ScaleUp].dst), (ACC_HERE, ACC_THERE))
        self.expect_no_punt()


@requirement("SU-FLOW-7")
class LookupsAreCounted(ScaleUpTest):
    """The map-cache entry of an AccID counts the frames that were sent by it."""

    def runTest(self) -> None:
        entry = eid_rloc_set(RED_UP, ACC_THERE, TO_PEER)
        before = self.switch.counted(entry).packets
        frame = arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE))
        self.forward(RED_PORT, [frame] * 3)
        self.assertEqual(self.switch.counted(entry).packets, before + 3)


@requirement("SU-FLOW-9", "SU-FLOW-1")
class FramesAreDelivered(ScaleUpTest):
    """To an AccID that is attached here, from another port or through a tunnel: one hop less, the link's addresses."""

    def runTest(self) -> None:
        self.write(
            access_port(BLUE_PORT, SITE, RED, scale_up_iid=RED_UP, acc_id=21),
            eid_local(RED_UP, AccId(21), hop(BLUE_PORT)),
        )
        for data in (b"", b"x", bytes(4096)):
            with self.subTest(octets=len(data)):
                near = scale_up(ACC_HERE, 21, data=data)
                self.send(RED_PORT, arriving(RED_PORT, near))
                self.expect(BLUE_PORT, leaving(BLUE_PORT, routed(near)))
                far = scale_up(ACC_THERE, ACC_HERE, data=data)
                self.arrives(far)
                self.expect(RED_PORT, leaving(RED_PORT, routed(far)))


class PaddingDoesNotCount(ScaleUpTest):
    """The frame's own length says where it ends: padding of the link is not counted into the tunnel's lengths."""

    def runTest(self) -> None:
        frame = scale_up(ACC_HERE, ACC_THERE, data=b"ab")
        padded = bytes(arriving(RED_PORT, frame)) + bytes(20)
        self.send(RED_PORT, padded)
        wanted = bytes(self.tunnelled(frame)) + bytes(20)
        self.expect(CORE, any_entropy(Ether(wanted)))


@requirement("ARCH-4")
class SourceIsThePorts(ScaleUpTest):
    """A frame that names another source than its port's accelerator is dropped, also another one of the same tenant."""

    def runTest(self) -> None:
        for source in (0, ACC_THERE, ACC_NOWHERE, 0xFFFFFFFF):
            with self.subTest(source=source), self.drops(DropReason.SPOOFED_SOURCE):
                self.send(RED_PORT, arriving(RED_PORT, scale_up(source, ACC_THERE)))


@requirement("GEN-3")
class DomainsOfAPort(ScaleUpTest):
    """A port may serve one domain only: what belongs to the other goes nowhere."""

    def runTest(self) -> None:
        frame, packet = arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE)), arriving(RED_PORT, udp(HERE, THERE))
        self.write(access_port(RED_PORT, SITE, RED))
        with self.subTest("Scale-Out only"):
            with self.drops(DropReason.NO_INSTANCE_ID):
                self.send(RED_PORT, frame)
            self.send(RED_PORT, packet)
            self.receive(CORE)
        self.write(access_port(RED_PORT, SITE, 0, scale_up_iid=RED_UP, acc_id=ACC_HERE))
        with self.subTest("Scale-Up only"):
            with self.drops(DropReason.FOREIGN_INSTANCE_ID):
                self.send(RED_PORT, packet)
            self.send(RED_PORT, frame)
            self.receive(CORE)


@requirement("GEN-1", "ARCH-1", "ARCH-2")
class DestinationChoosesTheDomain(ScaleUpTest):
    """From one port: to an AccID by the Scale-Up Instance-ID, to an IP address of another PoD by the Scale-Out one."""

    def runTest(self) -> None:
        self.send(RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE)))
        self.assertEqual(self.receive(CORE)[VxlanGpe].iid, RED_UP)
        self.send(RED_PORT, arriving(RED_PORT, udp(HERE, THERE)))
        self.assertEqual(self.receive(CORE)[VxlanGpe].iid, RED)


@requirement("SU-UNK-3")
class UnknownAccIds(ScaleUpTest):
    """An AccID without an entry is dropped, or shown to the controller, as the Instance-ID's policy says."""

    def runTest(self) -> None:
        frame = arriving(RED_PORT, scale_up(ACC_HERE, ACC_NOWHERE))
        with self.subTest("drop"), self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(RED_PORT, frame)
        self.write(instance(RED_UP, Encapsulation.VXLAN_GPE, True, domain=Domain.SCALE_UP))
        with self.subTest("punt"), self.no_drops():
            self.send(RED_PORT, frame)
            self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=RED_PORT, iid=RED_UP)
        with self.subTest("entry that asks"), self.no_drops():
            self.write(eid_unknown(RED_UP, ACC_NOWHERE))
            self.send(RED_PORT, frame)
            self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=RED_PORT, iid=RED_UP)
        with self.subTest("negative"), self.drops(DropReason.NEGATIVE_NO_REASON):
            self.write(eid_negative(RED_UP, ACC_NOWHERE, DropReason.NEGATIVE_NO_REASON))
            self.send(RED_PORT, frame)


@group("punt")
@requirement("SU-FLOW-3", partial=True)
class HeldBackFrames(ScaleUpTest):
    """What the controller was shown comes back once the AccID is known, and goes its way as if it had just arrived."""

    def runTest(self) -> None:
        self.write(instance(RED_UP, Encapsulation.VXLAN_GPE, True, domain=Domain.SCALE_UP))
        frame = arriving(RED_PORT, scale_up(ACC_HERE, ACC_NOWHERE))
        self.send(RED_PORT, frame)
        punted = self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=RED_PORT, iid=RED_UP)
        self.write(eid_rloc_set(RED_UP, ACC_NOWHERE, TO_PEER))
        self.submit(RED_UP, punted.payload)
        self.expect(CORE, any_entropy(self.tunnelled(frame[ScaleUp])))


@group("punt")
class TunnelledFramesArePunted(ScaleUpTest):
    """An unknown AccID behind a tunnel: the controller gets a frame that it can submit again."""

    def runTest(self) -> None:
        self.write(instance(RED_UP, Encapsulation.VXLAN_GPE, True, domain=Domain.SCALE_UP))
        frame = scale_up(ACC_THERE, ACC_NOWHERE)
        self.arrives(frame)
        punted = self.expect_punt(PuntReason.UNKNOWN_DESTINATION, arriving(CORE, frame), port=CORE, iid=RED_UP)
        self.write(eid_local(RED_UP, ACC_NOWHERE, hop(RED_PORT)))
        self.submit(RED_UP, punted.payload)
        self.expect(RED_PORT, leaving(RED_PORT, routed(frame)))


@requirement("SU-SEG-7", "ARCH-4", "PR-DP-5")
class TenantsAreApart(ScaleUpTest):
    """The same AccIDs in two tenants that share the links: each goes its own way, none reaches the other."""

    def runTest(self) -> None:
        self.write(
            access_port(BLUE_PORT, SITE, BLUE, scale_up_iid=BLUE_UP, acc_id=ACC_HERE),
            instance(BLUE_UP, Encapsulation.VXLAN, False, domain=Domain.SCALE_UP),
            eid_local(BLUE_UP, ACC_HERE, hop(BLUE_PORT)),
            eid_rloc_set(BLUE_UP, ACC_THERE, TO_OTHER),
        )
        frame = scale_up(ACC_HERE, ACC_THERE)
        self.send(RED_PORT, arriving(RED_PORT, frame))
        self.expect(CORE, any_entropy(self.tunnelled(frame)))
        self.send(BLUE_PORT, arriving(BLUE_PORT, frame))
        sent = encapsulated(Vxlan(iid=BLUE_UP), frame, src=OWN, dst=OTHER, port=BLUE_PORT)
        self.expect(CORE_2, any_entropy(leaving(CORE_2, sent)))
        answer = scale_up(ACC_THERE, ACC_HERE)
        for iid, port in ((RED_UP, RED_PORT), (BLUE_UP, BLUE_PORT)):
            self.arrives(answer, iid=iid)
            self.expect(port, leaving(port, routed(answer)))
        with self.drops(DropReason.FOREIGN_INSTANCE_ID):
            self.arrives(answer, iid=0x3003)


@requirement("DP-7", "GEN-5", "SO-SEG-4", "SU-SEG-4")
class InstanceIdChoosesTheDomain(ScaleUpTest):
    """The same inner frames behind the same tunnel: which tables they meet follows from the Instance-ID alone."""

    def runTest(self) -> None:
        frame, packet = scale_up(ACC_THERE, ACC_HERE), udp(THERE, HERE)
        self.arrives(frame, iid=RED_UP)
        self.expect(RED_PORT, leaving(RED_PORT, routed(frame)))
        with self.drops(DropReason.UNSUPPORTED_PAYLOAD):
            self.arrives(frame, iid=RED)
        self.arrives(packet, iid=RED)
        self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))
        # The address is registered in the Scale-Out Instance-ID only.
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.arrives(packet, iid=RED_UP)


@requirement("SU-IP-1", "GEN-1")
class IpInAScaleUpInstanceId(ScaleUpTest):
    """IP inside the PoD goes by the Scale-Up Instance-ID where its subnet says so, both ways; all else by Scale-Out."""

    def runTest(self) -> None:
        near = "10.0.0.2"
        self.write(
            scale_up_prefix(RED_UP, prefix("10.0.0.0/16")),
            scale_up_prefix(RED_UP, prefix("fd00:10::/32")),
            eid_rloc_set(RED_UP, prefix("10.0.0.0/16"), TO_PEER),
            eid_rloc_set(RED_UP, prefix("fd00:10::/32"), TO_PEER),
            eid_local(RED_UP, host(HERE), hop(RED_PORT)),
        )
        for here, there in ((HERE, near), ("fd00:10::1", "fd00:10::2")):
            with self.subTest(destination=there):
                packet = udp(here, there)
                self.send(RED_PORT, arriving(RED_PORT, packet))
                self.expect(CORE, any_entropy(self.tunnelled(packet)))
        packet = udp(near, HERE)
        self.arrives(packet, iid=RED_UP)
        self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))
        packet = udp(HERE, THERE)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        self.expect(CORE, any_entropy(self.tunnelled(packet, iid=RED)))


@requirement("SU-PATH-12", "SU-PATH-13", partial=True)
class OneWriteMovesEverything(ScaleUpTest):
    """AccIDs that share an RLOC-set all leave a locator by one write to the set; no frame goes there any more."""

    def runTest(self) -> None:
        accs = [AccId(100 + n) for n in range(16)]
        self.write(rlocs(9, (PEER, 1), (OTHER, 1)), *(eid_rloc_set(RED_UP, acc, 9) for acc in accs))
        frames = [arriving(RED_PORT, scale_up(ACC_HERE, acc, entropy=n)) for acc in accs for n in range(4)]
        self.assertEqual({port for port, _ in self.forward(RED_PORT, frames)}, {CORE, CORE_2})
        self.write(rlocs(9, (OTHER, 1)))
        self.assertEqual({port for port, _ in self.forward(RED_PORT, frames)}, {CORE_2})


@requirement("DP-9")
class PlainLispCarriesNoFrames(ScaleUpTest):
    """An Instance-ID that is encapsulated in plain LISP serves no Scale-Up frames beyond this router; IP it does."""

    def runTest(self) -> None:
        self.write(instance(RED_UP, Encapsulation.LISP, False, domain=Domain.SCALE_UP))
        with self.drops(DropReason.UNSUPPORTED_PAYLOAD):
            self.send(RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE)))


@group("robustness")
class OtherFrames(ScaleUpTest):
    """Frames that are neither Scale-Up nor IP name no EID: dropped, from an accelerator and behind a tunnel."""

    def runTest(self) -> None:
        others = [
            Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:01:02") / ARP(psrc=HERE, pdst="10.0.0.254"),
            Ether(src="02:00:00:00:01:02", type=0x88B6) / Raw(bytes(46)),
            Ether(src="02:00:00:00:01:02", type=0x8888) / Raw(bytes(46)),
            Ether(src="02:00:00:00:01:02", type=0x8100) / Raw(bytes(46)),
        ]
        for frame in others:
            with self.subTest(frame=frame.summary()), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                self.send(RED_PORT, frame)
            for header in (VxlanGpe(iid=RED_UP), LispGpe(iid=RED_UP), Vxlan(iid=RED_UP)):
                outer = tunnel(*carrying(header, frame), src=PEER, dst=OWN)
                case = {"frame": frame.summary(), "header": header.name}
                with self.subTest(**case), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                    self.send(CORE, arriving(CORE, outer))
        with self.subTest("V20"), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
            self.send(CORE, arriving(CORE, tunnel(VxlanGpe(V20[28:]), b"", src=PEER, dst=OWN)))


@group("robustness")
class MalformedFrames(ScaleUpTest):
    """Another version, or a header that ends before its time; on the underlay, a frame without a tunnel."""

    def runTest(self) -> None:
        good = bytes(scale_up(ACC_HERE, ACC_THERE))
        for version in (0, 2, 15):
            with self.subTest(version=version), self.drops(DropReason.MALFORMED, 2):
                self.send(RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE, version=version)))
                self.arrives(scale_up(ACC_THERE, ACC_HERE, version=version))
        for octets in (0, 1, 23):
            with self.subTest(octets=octets), self.drops(DropReason.MALFORMED, 2):
                self.send(RED_PORT, arriving(RED_PORT, Raw(good[:octets]), 0x88B5))
                cut = Ether(type=0x88B5) / Raw(good[:octets])
                stack = carrying(VxlanGpe(iid=RED_UP), cut)
                self.send(CORE, arriving(CORE, tunnel(*stack, src=PEER, dst=OWN)))
        with self.subTest("on the underlay"), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
            self.send(CORE, arriving(CORE, scale_up(ACC_THERE, ACC_HERE)))
