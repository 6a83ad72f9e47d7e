"""The scale that sizes.p4 is made for, on one switch: a full PoD, every other PoD's subnets, every tenant."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address

from ptf.testutils import group

from controller.dataplane.addresses import AccId
from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.entries import Rloc, eid_local, eid_rloc_set, instance, rloc_set, underlay_route
from controller.p4rt.entities import State
from ptf_tests.support.base import FabricTest
from ptf_tests.support.headers import VxlanGpe
from ptf_tests.support.packets import arriving, carrying, hop, leaving, routed, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, CORE_2, HERE, OWN, PEER, RED, RED_PORT, RED_UP, SOURCES, dual_stack_xtr

ACCELERATORS, PODS, RLOCS, INSTANCES = 1024, 256, 64, 4096
BATCH = 2048

FIRST_IID = 0x10000
BIG_SET = 700


@group("scale")
@requirement("GEN-7", partial=True)
class EverythingAtOnce(FabricTest):
    """1 024 accelerators in both domains, 256 PoDs behind an RLOC-set of 64, 4 096 Instance-IDs: all work at once."""

    def entries(self) -> list[State]:
        """What a switch of that size has beside those of an access xTR."""
        pods = [eid_rloc_set(RED, IPv4Network((0x64000000 + (pod << 16), 16)), BIG_SET) for pod in range(PODS)]
        far = [ip_address(0xC6330000 + n) for n in range(RLOCS)]
        hosts = [eid_local(RED, IPv4Network(0x0A640000 + n), hop(RED_PORT)) for n in range(ACCELERATORS)]
        names = [eid_local(RED_UP, AccId(0x10000 + n), hop(RED_PORT)) for n in range(ACCELERATORS)]
        # Two are the scenario's own.
        tenants = [instance(FIRST_IID + n, Encapsulation.VXLAN_GPE, False) for n in range(INSTANCES - 2)]
        return [
            rloc_set(BIG_SET, [Rloc(rloc) for rloc in far], *SOURCES),
            *(underlay_route(IPv4Network(int(rloc)), [hop(CORE_2)]) for rloc in far),
            *pods,
            *hosts,
            *names,
            *tenants,
        ]

    def runTest(self) -> None:
        self.write(*dual_stack_xtr(Encapsulation.VXLAN_GPE))
        entries = self.entries()
        for start in range(0, len(entries), BATCH):
            self.write(*entries[start : start + BATCH])
        with self.subTest("every PoD"):
            used = set()
            for pod in range(PODS):
                packet = udp(HERE, f"100.{pod}.1.1")
                self.send(RED_PORT, arriving(RED_PORT, packet))
                used.add(self.receive(CORE_2).payload.dst)
            self.assertGreater(len(used), RLOCS * 0.9)  # of 256 flows over 64 locators 1 in 50 is missed
        with self.subTest("accelerators"):
            for n in (0, 1, ACCELERATORS // 2, ACCELERATORS - 1):
                for iid, packet in (
                    (RED, udp("40.0.0.7", f"10.100.{n // 256}.{n % 256}")),
                    (RED_UP, scale_up(8, 0x10000 + n)),
                ):
                    carried = arriving(9, packet) if iid == RED_UP else packet
                    outer = tunnel(*carrying(VxlanGpe(iid=iid), carried), src=PEER, dst=OWN)
                    self.send(CORE, arriving(CORE, outer))
                    self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))
        with self.subTest("tenants"):
            for iid in (FIRST_IID, FIRST_IID + INSTANCES - 3):
                entry = instance(iid, Encapsulation.VXLAN_GPE, False)
                before = self.switch.counted(entry).packets
                outer = tunnel(VxlanGpe(iid=iid), udp("40.0.0.7", HERE), src=PEER, dst=OWN)
                self.send(CORE, arriving(CORE, outer))
                self.expect_nothing()  # nobody has that address in that tenant
                self.assertEqual(self.switch.counted(entry).packets, before + 1)
