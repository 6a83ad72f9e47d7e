"""The map-cache in the data plane: longest match within an Instance-ID, negative entries, unknown destinations."""

from __future__ import annotations

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import (
    eid_local,
    eid_negative,
    eid_rloc_set,
    eid_unknown,
    instance,
)
from controller.p4rt.entities import CounterData
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, hop, leaving, routed, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    CORE,
    CORE_2,
    CORE_3,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    SPARE,
    THERE,
    THERE_SUBNET,
    TO_OTHER,
    TO_PEER,
    access_xtr,
    host,
    prefix,
    rlocs,
    route,
)

THIRD, TO_THIRD = "198.51.100.3", 3


class MapCacheTest(FabricTest):
    """An access xTR; RED's packets are sent by the accelerator HERE."""

    configured = (
        *access_xtr(Encapsulation.VXLAN_GPE),
        rlocs(TO_THIRD, (THIRD, 1)),
        route(THIRD, CORE_3),
    )

    def expect_tunnelled(self, destination: str, port: int, rloc: str) -> None:
        """A packet to `destination` is tunnelled to `rloc`, out of `port`."""
        packet = udp(HERE, destination)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        outer = encapsulated(VxlanGpe(iid=RED), packet, src=OWN, dst=rloc)
        self.expect(port, any_entropy(leaving(port, outer)))

    def expect_dropped(self, destination: str, reason: DropReason) -> None:
        """A packet to `destination` is dropped for `reason`."""
        with self.drops(reason):
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, destination)))


@requirement("SO-FLOW-7")
class UnknownSubnetGoesToTheBorder(MapCacheTest):
    """A default entry, the pETRs' RLOC-set, takes everything that no subnet entry covers."""

    def runTest(self) -> None:
        self.write(eid_rloc_set(RED, prefix("0.0.0.0/0"), TO_THIRD))
        self.expect_tunnelled("172.16.9.9", CORE_3, THIRD)
        self.expect_tunnelled("8.8.8.8", CORE_3, THIRD)
        self.expect_tunnelled(THERE, CORE, PEER)


@requirement("SO-FLOW-8", "SO-FLOW-9")
class LongestPrefixWins(MapCacheTest):
    """Of nested EID-prefixes the longest that covers the destination decides, in whatever order they came."""

    def runTest(self) -> None:
        self.write(
            eid_rloc_set(RED, host("40.0.1.9"), TO_PEER),
            eid_rloc_set(RED, prefix("40.0.1.0/24"), TO_OTHER),
            eid_rloc_set(RED, prefix("40.0.0.0/8"), TO_THIRD),
            eid_rloc_set(RED, prefix("0.0.0.0/0"), TO_OTHER),
            eid_rloc_set(RED, prefix("40.0.1.8/31"), TO_THIRD),
        )
        for destination, port, rloc in (
            ("40.0.1.9", CORE, PEER),
            ("40.0.1.8", CORE_3, THIRD),
            ("40.0.1.10", CORE_2, OTHER),
            ("40.0.1.0", CORE_2, OTHER),
            ("40.0.1.255", CORE_2, OTHER),
            ("40.0.2.1", CORE, PEER),
            ("40.1.0.1", CORE_3, THIRD),
            ("41.0.0.1", CORE_2, OTHER),
        ):
            with self.subTest(destination=destination):
                self.expect_tunnelled(destination, port, rloc)


@requirement("SO-FLOW-9")
class RemovedEntryUncoversTheShorter(MapCacheTest):
    """When a more specific entry goes, the next longest decides; when the last goes, the destination is unknown."""

    def runTest(self) -> None:
        specific = eid_rloc_set(RED, host(THERE), TO_OTHER)
        self.write(specific)
        self.expect_tunnelled(THERE, CORE_2, OTHER)
        self.remove(specific)
        self.expect_tunnelled(THERE, CORE, PEER)
        self.remove(eid_rloc_set(RED, prefix(THERE_SUBNET), TO_PEER))
        self.expect_dropped(THERE, DropReason.UNKNOWN_DESTINATION)


@requirement("SO-FLOW-9")
class ChangedEntryTakesEffect(MapCacheTest):
    """An entry can become another RLOC-set, an attached accelerator, a negative entry, and an RLOC-set again."""

    def runTest(self) -> None:
        self.write(eid_rloc_set(RED, host(THERE), TO_OTHER))
        self.expect_tunnelled(THERE, CORE_2, OTHER)
        self.write(eid_local(RED, host(THERE), hop(SPARE)))
        packet = udp(HERE, THERE)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        self.expect(SPARE, leaving(SPARE, routed(packet)))
        self.write(eid_negative(RED, host(THERE), DropReason.NEGATIVE_NO_REASON))
        self.expect_dropped(THERE, DropReason.NEGATIVE_NO_REASON)
        self.write(eid_rloc_set(RED, host(THERE), TO_THIRD))
        self.expect_tunnelled(THERE, CORE_3, THIRD)


class NegativeEntries(MapCacheTest):
    """Each kind of negative entry drops under its own reason (RFC 9301 section 5.4), and what it covers only."""

    def runTest(self) -> None:
        kinds = {
            "40.0.3.0/24": DropReason.NEGATIVE_NO_REASON,
            "40.0.4.0/24": DropReason.NEGATIVE_POLICY,
            "40.0.5.0/24": DropReason.NEGATIVE_AUTH,
        }
        self.write(*(eid_negative(RED, prefix(eids), reason) for eids, reason in kinds.items()))
        self.write(eid_rloc_set(RED, host("40.0.4.7"), TO_OTHER))
        for eids, reason in kinds.items():
            with self.subTest(reason=reason.name):
                self.expect_dropped(str(prefix(eids)[9]), reason)
        self.expect_tunnelled("40.0.4.7", CORE_2, OTHER)
        self.expect_tunnelled(THERE, CORE, PEER)


@requirement("SO-UNK-4")
class UnknownIsDropped(MapCacheTest):
    """With the drop policy a packet to an unknown EID is dropped: counter +1, nothing leaves, nobody is asked."""

    def runTest(self) -> None:
        for destination in ("50.0.0.1", "10.0.0.99", "255.255.255.255", "0.0.0.0"):
            with self.subTest(destination=destination):
                self.expect_dropped(destination, DropReason.UNKNOWN_DESTINATION)


@requirement("SO-UNK-4")
class UnknownHoleInAKnownPrefix(MapCacheTest):
    """Hosts of the own PoD that have no entry are unknown, though a shorter prefix would cover them."""

    def runTest(self) -> None:
        self.write(
            eid_rloc_set(RED, prefix("0.0.0.0/0"), TO_PEER),
            eid_unknown(RED, prefix("10.0.0.0/16")),
        )
        self.expect_dropped("10.0.0.99", DropReason.UNKNOWN_DESTINATION)
        self.expect_tunnelled("10.1.0.1", CORE, PEER)
        packet = udp("10.0.0.2", HERE)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))


@requirement("SO-FLOW-12")
class LocalDeliveryNeedsNoTunnel(MapCacheTest):
    """Between two accelerators of one switch a packet is routed, not tunnelled, whatever the encapsulation."""

    def runTest(self) -> None:
        self.write(eid_local(RED, host("10.0.0.2"), hop(SPARE)))
        for encapsulation in (Encapsulation.VXLAN_GPE, Encapsulation.LISP):
            self.write(instance(RED, encapsulation, punt_unknown=False))
            packet = udp(HERE, "10.0.0.2", tos=0xB9)
            self.send(RED_PORT, arriving(RED_PORT, packet))
            self.expect(SPARE, leaving(SPARE, routed(packet)))


@requirement("SO-FLOW-9")
class EntriesCountApart(MapCacheTest):
    """Every entry counts its own packets and octets, negative ones too."""

    def runTest(self) -> None:
        subnet = eid_rloc_set(RED, prefix(THERE_SUBNET), TO_PEER)
        negative = eid_negative(RED, host("40.0.0.9"), DropReason.NEGATIVE_POLICY)
        self.write(negative)
        frame = len(arriving(RED_PORT, udp(HERE, THERE)))
        for _ in range(2):
            self.expect_tunnelled(THERE, CORE, PEER)
        self.expect_dropped("40.0.0.9", DropReason.NEGATIVE_POLICY)
        self.assertEqual(self.switch.counted(subnet), CounterData(2, 2 * frame))
        self.assertEqual(self.switch.counted(negative), CounterData(1, frame))
        self.assertEqual(self.switch.counted(eid_local(RED, host(HERE), hop(RED_PORT))), CounterData(0, 0))
