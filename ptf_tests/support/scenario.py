"""The switches of the draft's Figure 1, as entries: an access xTR, a border pxTR and an underlay switch.

Every function returns what a switch of that role is told, from `controller.dataplane.entries`; a test adds to it or
replaces single entries. Addresses are those of the reference topology and of the wire reference's packet vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from controller.dataplane.addresses import AccId, IPAddress, IPNetwork
from controller.dataplane.codepoints import Domain, Encapsulation
from controller.dataplane.entries import (
    Rloc,
    access_port,
    core_port,
    eid_local,
    eid_rloc_set,
    instance,
    local_rloc,
    rloc_set,
    switch_context,
    underlay_route,
)
from controller.p4rt.entities import TableEntry
from ptf_tests.support.packets import hop

# Scale-Out Instance-IDs: two tenants that are served, one that is not.
RED, BLUE, FOREIGN = 0x1001, 0x1002, 0x2001

# Ports of an access xTR: an accelerator of each tenant, three links to the underlay, one that nothing is said about.
RED_PORT, BLUE_PORT, CORE, CORE_2, CORE_3, SPARE = 1, 2, 3, 4, 5, 6

# RLOCs: the switch under test, and two others.
OWN, PEER, OTHER = "192.0.2.11", "192.0.2.1", "192.0.2.2"

# EIDs: the accelerator here (the same address in both tenants), one in another PoD, and that PoD's subnet.
HERE, THERE, THERE_SUBNET = "10.0.0.1", "40.0.0.7", "40.0.0.0/16"

# The same with IPv6.
OWN6, PEER6, OTHER6 = "2001:db8::11", "2001:db8::1", "2001:db8::2"
HERE6, THERE6, THERE6_SUBNET = "fd00:10::1", "fd00:40::7", "fd00:40::/32"

# Scale-Up Instance-IDs of the two tenants. AccIDs: the accelerator here (the same in both tenants), one elsewhere.
RED_UP, BLUE_UP = 0x3001, 0x3002
ACC_HERE, ACC_THERE, ACC_NOWHERE = AccId(7), AccId(8), AccId(99)

# Numbers of RLOC-sets: towards PEER and OTHER, over IPv4 and over IPv6.
TO_PEER, TO_OTHER, TO_PEER6, TO_OTHER6 = 1, 2, 61, 62

SITE = 1


SOURCES: tuple[IPAddress, ...] = (ip_address(OWN), ip_address(OWN6))


def prefix(text: str) -> IPNetwork:
    """An EID- or RLOC-prefix."""
    return ip_network(text)


def host(text: str) -> IPNetwork:
    """One address, as a prefix."""
    return ip_network(text)


def rlocs(set_id: int, *members: tuple[str, int]) -> TableEntry:
    """RLOC-set `set_id` of (address, weight); its tunnels start at this switch."""
    return rloc_set(set_id, [Rloc(ip_address(address), weight) for address, weight in members], *SOURCES)


def route(to: str, *ports: int) -> TableEntry:
    """The underlay's way to an RLOC or prefix, over equal-cost ports."""
    return underlay_route(prefix(to), [hop(port) for port in ports])


_SETS = {TO_PEER: PEER, TO_OTHER: OTHER, TO_PEER6: PEER6, TO_OTHER6: OTHER6}


def _underlay_side() -> list[TableEntry]:
    """What every tunnel router of these tests has: its RLOC, links to the underlay, ways to the two other RLOCs."""
    return [
        *(core_port(port) for port in (CORE, CORE_2, CORE_3)),
        *(local_rloc(own) for own in SOURCES),
        *(rlocs(number, (rloc, 1)) for number, rloc in _SETS.items()),
        *(route(rloc, CORE) for rloc in (PEER, PEER6)),
        *(route(rloc, CORE_2) for rloc in (OTHER, OTHER6)),
    ]


def access_xtr(encapsulation: Encapsulation, *, punt_unknown: bool = False) -> list[TableEntry]:
    """An access xTR with an accelerator of each tenant; both have address HERE, and both know THERE_SUBNET.

    RED reaches THERE_SUBNET through PEER, out of CORE; BLUE through OTHER, out of CORE_2.
    """
    return [
        *_underlay_side(),
        access_port(RED_PORT, SITE, RED),
        access_port(BLUE_PORT, SITE, BLUE),
        instance(RED, encapsulation, punt_unknown),
        instance(BLUE, encapsulation, punt_unknown),
        eid_local(RED, host(HERE), hop(RED_PORT)),
        eid_local(BLUE, host(HERE), hop(BLUE_PORT)),
        eid_rloc_set(RED, prefix(THERE_SUBNET), TO_PEER),
        eid_rloc_set(BLUE, prefix(THERE_SUBNET), TO_OTHER),
    ]


def dual_stack_xtr(
    encapsulation: Encapsulation,
    *,
    to: int = TO_PEER,
    scale_up: Encapsulation | None = None,
    punt_unknown: bool = False,
) -> list[TableEntry]:
    """An access xTR with one accelerator of RED that has an IPv4 address, an IPv6 address and an AccID.

    What is elsewhere is behind RLOC-set `to`. `scale_up`: the encapsulation of RED_UP, where it is another.
    """
    return [
        *_underlay_side(),
        access_port(RED_PORT, SITE, RED, scale_up_iid=RED_UP, acc_id=ACC_HERE),
        instance(RED, encapsulation, punt_unknown),
        instance(RED_UP, scale_up or encapsulation, punt_unknown, domain=Domain.SCALE_UP),
        *(eid_local(RED, host(here), hop(RED_PORT)) for here in (HERE, HERE6)),
        *(eid_rloc_set(RED, prefix(there), to) for there in (THERE_SUBNET, THERE6_SUBNET)),
        eid_local(RED_UP, ACC_HERE, hop(RED_PORT)),
        eid_rloc_set(RED_UP, ACC_THERE, to),
    ]


def border_pxtr(encapsulation: Encapsulation, *, to: int = TO_PEER, punt_unknown: bool = False) -> list[TableEntry]:
    """A border pxTR of RED: its own PoD is behind OTHER, the other PoD's subnet behind PEER; nothing is attached."""
    return [
        *_underlay_side(),
        instance(RED, encapsulation, punt_unknown),
        eid_rloc_set(RED, prefix("10.0.0.0/16"), TO_OTHER),
        *(eid_rloc_set(RED, prefix(there), to) for there in (THERE_SUBNET, THERE6_SUBNET)),
    ]


def underlay_switch(*, paths: Sequence[int] = (CORE, CORE_2, CORE_3), hash_rotation: int = 0) -> list[TableEntry]:
    """An underlay switch: no tunnel ends here; PEER is reached over equal-cost paths, OTHER back out of SPARE."""
    return [
        switch_context(hash_rotation),
        *(core_port(port) for port in (CORE, CORE_2, CORE_3, SPARE)),
        route(PEER, *paths),
        route(OTHER, SPARE),
    ]
