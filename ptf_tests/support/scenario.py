"""The switches of the draft's Figure 1, as entries: an access xTR, a border pxTR and an underlay switch.

Every function returns what a switch of that role is told, from `controller.dataplane.entries`; a test adds to it or
replaces single entries. Addresses are those of the reference topology and of the wire reference's packet vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.entries import (
    Rloc,
    access_port,
    core_port,
    instance,
    local_rloc,
    rloc_set,
    scale_out_local,
    scale_out_rloc_set,
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

# Numbers of RLOC-sets: towards PEER, towards OTHER.
TO_PEER, TO_OTHER = 1, 2

SITE = 1


def prefix(text: str) -> IPv4Network:
    """An EID- or RLOC-prefix."""
    return IPv4Network(text)


def host(text: str) -> IPv4Network:
    """One address, as a prefix."""
    return IPv4Network(f"{text}/32")


def rlocs(set_id: int, *members: tuple[str, int]) -> TableEntry:
    """RLOC-set `set_id` of (address, weight); its tunnels start at this switch."""
    return rloc_set(set_id, [Rloc(IPv4Address(address), weight) for address, weight in members], IPv4Address(OWN))


def route(to: str, *ports: int) -> TableEntry:
    """The underlay's way to an RLOC or prefix, over equal-cost ports."""
    return underlay_route(prefix(to), [hop(port) for port in ports])


def _underlay_side() -> list[TableEntry]:
    """What every tunnel router of these tests has: its RLOC, links to the underlay, ways to the two other RLOCs."""
    return [
        *(core_port(port) for port in (CORE, CORE_2, CORE_3)),
        local_rloc(IPv4Address(OWN)),
        rlocs(TO_PEER, (PEER, 1)),
        rlocs(TO_OTHER, (OTHER, 1)),
        route(PEER, CORE),
        route(OTHER, CORE_2),
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
        scale_out_local(RED, host(HERE), hop(RED_PORT)),
        scale_out_local(BLUE, host(HERE), hop(BLUE_PORT)),
        scale_out_rloc_set(RED, prefix(THERE_SUBNET), TO_PEER),
        scale_out_rloc_set(BLUE, prefix(THERE_SUBNET), TO_OTHER),
    ]


def border_pxtr(encapsulation: Encapsulation, *, punt_unknown: bool = False) -> list[TableEntry]:
    """A border pxTR of RED: its own PoD is behind OTHER, the other PoD's subnet behind PEER; nothing is attached."""
    return [
        *_underlay_side(),
        instance(RED, encapsulation, punt_unknown),
        scale_out_rloc_set(RED, prefix("10.0.0.0/16"), TO_OTHER),
        scale_out_rloc_set(RED, prefix(THERE_SUBNET), TO_PEER),
    ]


def underlay_switch(*, paths: Sequence[int] = (CORE, CORE_2, CORE_3), hash_rotation: int = 0) -> list[TableEntry]:
    """An underlay switch: no tunnel ends here; PEER is reached over equal-cost paths, OTHER back out of SPARE."""
    return [
        switch_context(hash_rotation),
        *(core_port(port) for port in (CORE, CORE_2, CORE_3, SPARE)),
        route(PEER, *paths),
        route(OTHER, SPARE),
    ]
