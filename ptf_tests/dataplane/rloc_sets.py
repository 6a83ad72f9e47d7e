"""RLOC-sets: flows are spread over the locators by weight, and stay where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scapy.layers.inet import IP
from scapy.packet import Packet

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import eid_rloc_set
from ptf_tests.support.base import FabricTest
from ptf_tests.support.flows import misfit, udp_flows
from ptf_tests.support.packets import arriving, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    CORE,
    HERE,
    OWN,
    PEER,
    RED,
    RED_PORT,
    THERE,
    TO_OTHER,
    TO_PEER,
    access_xtr,
    prefix,
    rlocs,
    route,
)

FLOWS = 384
D1, D2, D3, D4 = "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"


class RlocSetTest(FabricTest):
    """An access xTR that reaches the other PoD's subnet through an RLOC-set of several locators, all out of CORE."""

    configured = (
        *access_xtr(Encapsulation.VXLAN_GPE),
        route("198.51.100.0/24", CORE),
    )

    def chosen(self, packets: Sequence[Packet]) -> list[str]:
        """The locator that each of an accelerator's packets is sent to, in their order."""
        outcome = self.forward(RED_PORT, [arriving(RED_PORT, packet) for packet in packets])
        self.assertEqual({(port, frame[IP].src) for port, frame in outcome}, {(CORE, OWN)})
        return [frame[IP].dst for _, frame in outcome]

    def check_shares(self, locators: Sequence[str], shares: dict[str, int]) -> None:
        """Flows went to these locators in these proportions."""
        why = misfit(Counter(locators), shares)
        self.assertIsNone(why, why)


@requirement("SO-FLOW-11")
class FlowsFollowTheWeights(RlocSetTest):
    """Each locator gets flows in proportion to its weight."""

    def runTest(self) -> None:
        flows = udp_flows(FLOWS)
        for shares in ({D1: 1, D2: 1}, {D1: 1, D2: 3}, {D1: 100, D2: 50, D3: 50}, {D1: 1, D2: 2, D3: 3, D4: 10}):
            with self.subTest(shares=shares):
                self.write(rlocs(TO_PEER, *shares.items()))
                self.check_shares(self.chosen(flows), shares)


@requirement("SO-FLOW-11")
class FullRlocSet(RlocSetTest):
    """An RLOC-set of 64 locators uses all of them."""

    def runTest(self) -> None:
        locators = [f"198.51.100.{n}" for n in range(1, 65)]
        self.write(rlocs(TO_PEER, *((locator, 1) for locator in locators)))
        used = set(self.chosen(udp_flows(768)))
        self.assertEqual(used - set(locators), set())
        # A locator is missed by 768 random flows with a probability of 6 in a million.
        self.assertEqual(set(locators) - used, set())


@requirement("SO-FLOW-11")
class FlowStaysWithItsLocator(RlocSetTest):
    """Every packet of a flow goes to the same locator, whatever else is in it."""

    def runTest(self) -> None:
        self.write(rlocs(TO_PEER, (D1, 1), (D2, 1), (D3, 1)))
        for flow in udp_flows(12):
            packets = [flow.copy() for _ in range(6)]
            for number, packet in enumerate(packets):
                packet.id, packet.ttl, packet.tos = number, 64 + number, number << 2
            with self.subTest(flow=flow.summary()):
                self.assertEqual(len(set(self.chosen(packets))), 1)


@requirement("SO-FLOW-11")
class FailedLocatorLeavesByOneWrite(RlocSetTest):
    """Two subnets share an RLOC-set; one write takes a locator out of it for both, and nothing is lost."""

    def runTest(self) -> None:
        self.write(eid_rloc_set(RED, prefix("30.0.0.0/16"), TO_PEER))
        flows = udp_flows(48) + udp_flows(48, subnet="30.0")
        self.write(rlocs(TO_PEER, (D1, 1), (D2, 1)))
        before = self.chosen(flows)
        self.assertEqual(set(before), {D1, D2})
        with self.no_drops():
            self.write(rlocs(TO_PEER, (D2, 1)))
            self.assertEqual(set(self.chosen(flows)), {D2})
            self.write(rlocs(TO_PEER, (D1, 1), (D2, 1)))
            self.assertEqual(self.chosen(flows), before)


@requirement("SO-FLOW-11")
class ChangedWeightTakesEffect(RlocSetTest):
    """A new weight moves flows at once, without touching the map-cache entries."""

    def runTest(self) -> None:
        flows = udp_flows(FLOWS)
        for shares in ({D1: 1, D2: 1}, {D1: 7, D2: 1}, {D1: 1, D2: 7}):
            with self.subTest(shares=shares):
                self.write(rlocs(TO_PEER, *shares.items()))
                self.check_shares(self.chosen(flows), shares)


@requirement("SO-FLOW-11")
class RlocSetsAreSeparate(RlocSetTest):
    """Entries of two RLOC-sets do not mix their locators."""

    def runTest(self) -> None:
        self.write(
            rlocs(TO_PEER, (D1, 1), (D2, 1)),
            rlocs(TO_OTHER, (D3, 1), (D4, 1)),
            eid_rloc_set(RED, prefix("30.0.0.0/16"), TO_OTHER),
        )
        self.assertEqual(set(self.chosen(udp_flows(32))), {D1, D2})
        self.assertEqual(set(self.chosen(udp_flows(32, subnet="30.0"))), {D3, D4})


class NoLocatorLeft(RlocSetTest):
    """Where no locator is usable there is no RLOC-set, and packets are dropped, not sent anywhere."""

    def runTest(self) -> None:
        self.remove(rlocs(TO_PEER, (PEER, 1)))
        with self.drops(DropReason.NO_RLOC):
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, THERE)))
        self.write(rlocs(TO_PEER, (D1, 1)))
        self.assertEqual(self.chosen([udp(HERE, THERE)]), [D1])
