"""Extranets: an entry of the map-cache may name another Instance-ID for its tunnels. Nothing else crosses."""

from __future__ import annotations

from ipaddress import ip_address

from controller.dataplane.codepoints import DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import Rloc, eid_extranet, eid_rloc_set, instance, rloc_set, sample_session
from controller.p4rt.entities import CounterData
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import Lisp, LispGpe, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, leaving, routed, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    BLUE,
    BLUE_PORT,
    CORE,
    CORE_2,
    FOREIGN,
    HERE,
    HERE6,
    OTHER,
    OWN,
    PEER,
    PEER6,
    RED,
    RED_PORT,
    SOURCES,
    THERE,
    TO_OTHER,
    TO_PEER,
    TO_PEER6,
    access_xtr,
    border_pxtr,
    prefix,
)

# What RED may use of another Instance-ID, and hosts in it.
OFFERED, OFFERED6 = "50.0.0.0/16", "fd00:50::/32"
SERVER, SERVER6 = "50.0.0.9", "fd00:50::9"

# An Instance-ID of which every octet differs from RED's.
PROVIDER = 0xABCDEF

HEADERS: dict[Encapsulation, TunnelHeader] = {
    Encapsulation.LISP: Lisp(iid=PROVIDER),
    Encapsulation.LISP_GPE: LispGpe(iid=PROVIDER),
    Encapsulation.VXLAN: Vxlan(iid=PROVIDER),
    Encapsulation.VXLAN_GPE: VxlanGpe(iid=PROVIDER),
}


class ExtranetTest(FabricTest):
    """An access xTR with an accelerator each of RED and BLUE; RED may use what PROVIDER has in OFFERED."""

    # PROVIDER is not configured on the switch, and need not be.
    configured = (
        *access_xtr(Encapsulation.VXLAN_GPE),
        eid_extranet(RED, prefix(OFFERED), TO_PEER, PROVIDER),
        eid_extranet(RED, prefix(OFFERED6), TO_PEER6, PROVIDER),
    )


@requirement("SO-SEG-7")
class TunnelHasTheProvidersInstance(ExtranetTest):
    """In every encapsulation, of either IP version and over either underlay, the tunnel has the entry's Instance-ID."""

    def runTest(self) -> None:
        for encapsulation, header in HEADERS.items():
            self.write(instance(RED, encapsulation, punt_unknown=False))
            for here, server, source, rloc in ((HERE, SERVER, OWN, PEER), (HERE6, SERVER6, str(SOURCES[1]), PEER6)):
                with self.subTest(encapsulation=encapsulation.name, server=server):
                    packet = udp(here, server)
                    self.send(RED_PORT, arriving(RED_PORT, packet))
                    outer = encapsulated(header, packet, src=source, dst=rloc)
                    self.expect(CORE, any_entropy(leaving(CORE, outer)))


@requirement("SO-SEG-7", "ARCH-4")
class EverythingElseKeepsItsOwn(ExtranetTest):
    """Packets to other EIDs behind the same RLOC-set keep their own Instance-ID, before and after that."""

    def runTest(self) -> None:
        for destination, iid in ((THERE, RED), (SERVER, PROVIDER), (THERE, RED)):
            with self.subTest(destination=destination):
                packet = udp(HERE, destination)
                self.send(RED_PORT, arriving(RED_PORT, packet))
                outer = encapsulated(VxlanGpe(iid=iid), packet, src=OWN, dst=PEER)
                self.expect(CORE, any_entropy(leaving(CORE, outer)))


@requirement("SO-SEG-7", "ARCH-4", "PR-DP-5")
class NobodyElseIsLetThrough(ExtranetTest):
    """The policy is for one Instance-ID: another finds nothing, and neither does RED once the entry is gone."""

    def runTest(self) -> None:
        with self.subTest(tenant="another"), self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(BLUE_PORT, arriving(BLUE_PORT, udp(HERE, SERVER)))
        with self.subTest(tenant="the provider itself, from the fabric"), self.drops(DropReason.FOREIGN_INSTANCE_ID):
            packet = tunnel(VxlanGpe(iid=PROVIDER), udp(SERVER, HERE), src=PEER, dst=OWN)
            self.send(CORE, arriving(CORE, packet))
        self.remove(eid_extranet(RED, prefix(OFFERED), TO_PEER, PROVIDER))
        with self.subTest(tenant="no longer"), self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, SERVER)))


@requirement("SO-SEG-7", "PR-DP-5")
class NoWayRoundTheOwnInstance(ExtranetTest):
    """An entry for an extranet does not serve an Instance-ID that is not configured here."""

    def runTest(self) -> None:
        self.write(eid_extranet(FOREIGN, prefix(OFFERED), TO_PEER, RED))
        with self.drops(DropReason.FOREIGN_INSTANCE_ID):
            packet = tunnel(VxlanGpe(iid=FOREIGN), udp(HERE, SERVER), src=OTHER, dst=OWN)
            self.send(CORE_2, arriving(CORE_2, packet))


@requirement("SO-SEG-7")
class LongestPrefixSaysWhose(ExtranetTest):
    """Within a tenant's own prefix one host may be another's, and the other way round."""

    def runTest(self) -> None:
        self.write(
            eid_extranet(RED, prefix(THERE), TO_OTHER, PROVIDER),
            eid_rloc_set(RED, prefix(SERVER), TO_OTHER),
        )
        for destination, iid, out, rloc in (
            (THERE, PROVIDER, CORE_2, OTHER),
            ("40.0.0.8", RED, CORE, PEER),
            (SERVER, RED, CORE_2, OTHER),
            ("50.0.0.8", PROVIDER, CORE, PEER),
        ):
            with self.subTest(destination=destination):
                packet = udp(HERE, destination)
                self.send(RED_PORT, arriving(RED_PORT, packet))
                outer = encapsulated(VxlanGpe(iid=iid), packet, src=OWN, dst=rloc)
                self.expect(out, any_entropy(leaving(out, outer)))


@requirement("SO-SEG-7", "SO-FLOW-8")
class BorderCrossesOver(FabricTest):
    """At a border both ways of an extranet: a tunnel of the one Instance-ID ends, one of the other begins."""

    def runTest(self) -> None:
        self.write(
            *border_pxtr(Encapsulation.VXLAN_GPE),
            instance(BLUE, Encapsulation.LISP, punt_unknown=False),
            eid_extranet(RED, prefix(OFFERED), TO_PEER, BLUE),
            eid_extranet(BLUE, prefix("10.0.0.0/16"), TO_OTHER, RED),
        )
        out, back = udp(HERE, SERVER), udp(SERVER, HERE)
        for packet, header, rloc, came, next_header, next_rloc, left in (
            (out, VxlanGpe(iid=RED), OTHER, CORE_2, VxlanGpe(iid=BLUE), PEER, CORE),
            (back, Lisp(iid=BLUE), PEER, CORE, Lisp(iid=RED), OTHER, CORE_2),
        ):
            with self.subTest(came=came):
                self.send(came, arriving(came, tunnel(header, packet, src=rloc, dst=OWN)))
                after = tunnel(next_header, routed(packet), src=OWN, dst=next_rloc, ttl=63)
                self.expect(left, any_entropy(leaving(left, after)))


@requirement("SO-SEG-7", "ARCH-4")
class TheSenderStaysWhoItIs(ExtranetTest):
    """What the controller and the counters hear of such a packet is about its own tenant: too big, sampled, counted."""

    def runTest(self) -> None:
        sampled = instance(RED, Encapsulation.VXLAN_GPE, punt_unknown=False, sample_share=65535)
        others = instance(BLUE, Encapsulation.VXLAN_GPE, punt_unknown=False)
        self.write(sample_session(), sampled)
        frame = arriving(RED_PORT, udp(HERE, SERVER))
        before = [self.switch.counted(entry) for entry in (sampled, others)]
        self.send(RED_PORT, frame)
        self.receive(CORE)
        self.expect_punt(PuntReason.SAMPLE, frame, port=RED_PORT, iid=RED)
        after = [self.switch.counted(entry) for entry in (sampled, others)]
        self.assertEqual(after[0], CounterData(before[0].packets + 1, before[0].octets + len(frame)))
        self.assertEqual(after[1], before[1])
        self.write(
            instance(RED, Encapsulation.VXLAN_GPE, punt_unknown=False),
            rloc_set(TO_PEER, [Rloc(ip_address(PEER), mtu=1500)], *SOURCES),
        )
        frame = arriving(RED_PORT, udp(HERE, SERVER, data=bytes(1500)))
        self.send(RED_PORT, frame)
        self.expect_punt(PuntReason.TOO_BIG, frame, port=RED_PORT, iid=RED, mtu=1500 - 36)
