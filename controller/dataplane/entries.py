"""The entries of the fabric's P4 program, one function for each thing a router can be told.

Addresses are `ipaddress` objects of either version or AccIDs, ports and Instance-IDs integers, MAC addresses
"02:00:...". Who fills which table is said at the tables themselves, in `p4src/stages/`. The entries of replication
lists are in `controller.dataplane.replication`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, gcd

from controller.dataplane.addresses import AccId, Eid, IPAddress, IPNetwork, kind_of, wide_prefix
from controller.dataplane.codepoints import CPU_PORT, SAMPLE_SESSION, Domain, DropReason, Encapsulation, Spray
from controller.p4rt.actions import Action, ActionSet, WeightedAction
from controller.p4rt.entities import CloneSession, MeterCell, MeterConfig, Replica, TableEntry
from controller.p4rt.matches import Exact, Lpm, Match
from controller.p4rt.values import ValueLike

# A group can hold so many copies of its members at most: UNDERLAY_MAX_PATHS and RLOC_SET_MAX_MEMBERS of sizes.p4.
MAX_GROUP_SIZE = 64


# The largest packet that goes to an RLOC where nobody says otherwise, octets: the usual jumbo frame's.
DEFAULT_MTU = 9000

# A rate limit that limits nothing, octets a second. Written even where there is none: bmv2 gives a new entry whatever
# limit an earlier one had in its place. A multiple of 10**6, which bmv2 keeps exactly.
UNLIMITED = MeterConfig(cir=10**12, cburst=2**31, pir=10**12, pburst=2**31)

# What the data plane counts time in, milliseconds: 2**10 microseconds.
TICK_MS = 1.024


@dataclass(frozen=True, slots=True)
class Rloc:
    """One usable locator of an RLOC-set and its share of the flows (RFC 9301 section 5.4).

    Attributes:
        mtu: octets of the largest packet to it, outer header included (RFC 9300 section 7.1: L).
    """

    address: IPAddress
    weight: int = 1
    mtu: int = DEFAULT_MTU

    def __lt__(self, other: Rloc) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, int, int]:
        return self.address.version, int(self.address), self.weight, self.mtu


@dataclass(frozen=True, slots=True, order=True)
class NextHop:
    """A way to the next switch or accelerator: the own port, its address, and the address at the other end."""

    port: int
    port_mac: str
    next_hop_mac: str


def mac(address: str) -> bytes:
    """The six octets of "02:00:...". Raises ValueError."""
    octets = bytes.fromhex(address.replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"{address}: a MAC address has six octets")
    return octets


def _hop(hop: NextHop) -> dict[str, ValueLike]:
    return {"port": hop.port, "port_mac": mac(hop.port_mac), "next_hop_mac": mac(hop.next_hop_mac)}


def shares(weights: list[int], limit: int = MAX_GROUP_SIZE) -> list[int]:
    """Small integers in the proportion of `weights`, whose sum is at most `limit`; nobody's share becomes 0.

    Equal to the weights divided by their greatest common divisor wherever those fit. Raises ValueError when there
    are more weights than the limit, or one is not positive.
    """
    if len(weights) > limit:
        raise ValueError(f"{len(weights)} members in a group of at most {limit}")
    if any(weight <= 0 for weight in weights):
        raise ValueError(f"a weight is not positive: {weights}")
    divisor = gcd(*weights) if weights else 1
    reduced = [weight // divisor for weight in weights]
    total = sum(reduced)
    if total <= limit:
        return reduced
    # Everyone gets one; the rest of the places goes out by largest remainder.
    spare = limit - len(reduced)
    exact = [weight * spare / total for weight in reduced]
    granted = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: granted[index] - exact[index])
    for index in by_remainder[: spare - sum(granted)]:
        granted[index] += 1
    return [1 + share for share in granted]


def switch_context(hash_rotation: int, site: int = 0, punt_window_ms: float = 0) -> TableEntry:
    """Properties of the switch as a whole.

    `hash_rotation`: bits by which it rotates the flow hash, 0 to 31; neighbours in a path want different ones. `site`:
    low 32 bits of its Site-ID. `punt_window_ms`: for how long, up to a minute, an unknown destination that the
    controller was told of is not told again; 0: every packet to it goes to the controller.
    """
    params = {"hash_rotation": hash_rotation, "site": site, "punt_window": ceil(punt_window_ms / TICK_MS)}
    return TableEntry.default("switch_context", Action("set_switch", params))


def access_port(port: int, site: int, iid: int, *, scale_up_iid: int = 0, acc_id: AccId | int = 0) -> TableEntry:
    """An accelerator is on `port`, of Scale-Out Instance-ID `iid` and Scale-Up `scale_up_iid`; 0: of none.

    Its Scale-Up frames must name `acc_id` as their source.
    """
    params = {"site": site, "scale_out_iid": iid, "scale_up_iid": scale_up_iid, "acc_id": acc_id}
    return TableEntry("port_context", {"ingress_port": Exact(port)}, Action("set_access", params))


def core_port(port: int) -> TableEntry:
    """The underlay is on `port`."""
    return TableEntry("port_context", {"ingress_port": Exact(port)}, Action("set_core"))


def punt_limit(port: int, packets_per_second: int, burst: int) -> MeterCell:
    """At most so many packets from `port` go to the controller."""
    limit = MeterConfig(cir=packets_per_second, cburst=burst, pir=packets_per_second, pburst=burst)
    return MeterCell("punt_meter", port, limit)


def sample_session(octets: int = 0) -> CloneSession:
    """Sampled copies go to the controller, their first `octets` octets only where the switch can cut (bmv2 cannot)."""
    return CloneSession(SAMPLE_SESSION, [Replica(CPU_PORT)], packet_length=octets)


def local_rloc(rloc: IPAddress) -> TableEntry:
    """Tunnels to `rloc` end here."""
    return TableEntry("local_rloc" if rloc.version == 4 else "local_rloc_ipv6", {"rloc": Exact(rloc)}, Action("local"))


def site_of_rloc(rloc: IPAddress, site: int) -> TableEntry:
    """Tunnels from `rloc` come from Site `site`; those from RLOCs without an entry come from another PoD."""
    return TableEntry("site_of_rloc", {"rloc": Exact(rloc)}, Action("set_site", {"site": site}))


def instance(
    iid: int,
    encapsulation: Encapsulation,
    punt_unknown: bool,
    *,
    domain: Domain = Domain.SCALE_OUT,
    spray: Spray = Spray.FLOW,
    sample_share: int = 0,
    limit: MeterConfig = UNLIMITED,
) -> TableEntry:
    """Instance-ID `iid` is served here; unknown destinations go to the controller, or are dropped.

    `sample_share`: of 65 536 packets so many have a copy sent to the controller. `limit`: in octets a second; what is
    above the peak rate is dropped.
    """
    params = {
        "domain": domain,
        "encapsulation": encapsulation,
        "punt_unknown": int(punt_unknown),
        "spray": spray,
        "sample_share": sample_share,
    }
    return TableEntry("instance", {"iid": Exact(iid)}, Action("set_instance", params), meter=limit)


def match_prefix(iid: int, prefix: IPNetwork) -> dict[str, Match]:
    """The match of a prefix in a table of both IP versions."""
    return {"iid": Exact(iid), "kind": Exact(kind_of(prefix)), "eid": wide_prefix(prefix)}


def scale_up_prefix(iid: int, prefix: IPNetwork) -> TableEntry:
    """IP packets to `prefix`, of the own PoD, go by Scale-Up Instance-ID `iid` (draft section 5.5.5)."""
    return TableEntry("scale_up_prefix", match_prefix(iid, prefix), Action("in_own_pod"))


def _map_cache(iid: int, eid: Eid, action: Action) -> TableEntry:
    if isinstance(eid, int):
        return TableEntry("scale_up", {"iid": Exact(iid), "acc_id": Exact(eid)}, action)
    table = "scale_out_ipv4" if eid.version == 4 else "scale_out_ipv6"
    return TableEntry(table, {"iid": Exact(iid), "eid": Lpm.network(eid)}, action)


def eid_rloc_set(iid: int, eid: Eid, rloc_set_id: int) -> TableEntry:
    """EIDs of a prefix, or an AccID, are behind the locators of an RLOC-set."""
    return _map_cache(iid, eid, Action("use_rloc_set", {"rloc_set": rloc_set_id}))


def eid_extranet(iid: int, eid: IPNetwork, rloc_set_id: int, provider: int) -> TableEntry:
    """EIDs of a prefix are behind the locators of an RLOC-set, in Instance-ID `provider`: tunnels to them have that."""
    return _map_cache(iid, eid, Action("use_extranet", {"rloc_set": rloc_set_id, "iid": provider}))


def eid_local(iid: int, eid: Eid, next_hop: NextHop) -> TableEntry:
    """EIDs of a prefix, or an AccID, are attached here."""
    return _map_cache(iid, eid, Action("deliver", _hop(next_hop)))


def eid_negative(iid: int, eid: Eid, reason: DropReason) -> TableEntry:
    """The mapping system said that nothing is to be forwarded to `eid`."""
    return _map_cache(iid, eid, Action("drop_negative", {"reason": reason}))


def eid_unknown(iid: int, eid: Eid) -> TableEntry:
    """EIDs of a prefix that have no entry of their own are unknown, whatever a shorter prefix says."""
    return _map_cache(iid, eid, Action("unknown"))


def rloc_set(rloc_set_id: int, rlocs: Iterable[Rloc], *source_rlocs: IPAddress) -> TableEntry:
    """RLOC-set `rloc_set_id` consists of `rlocs`; tunnels to them start at the source RLOC of the same IP version.

    Raises ValueError when there is none.
    """
    members = sorted(rlocs)
    actions = [
        WeightedAction(_use_rloc(rloc, source_for(rloc.address, source_rlocs)), share)
        for rloc, share in zip(members, shares([rloc.weight for rloc in members]), strict=True)
    ]
    return TableEntry("rloc_set", {"rloc_set": Exact(rloc_set_id)}, ActionSet(actions))


def _use_rloc(rloc: Rloc, source: IPAddress) -> Action:
    name = "use_rloc" if rloc.address.version == 4 else "use_rloc_ipv6"
    return Action(name, {"rloc": rloc.address, "source_rloc": source, "mtu": rloc.mtu})


def source_for(rloc: IPAddress, sources: Iterable[IPAddress]) -> IPAddress:
    """The first of `sources` that is of `rloc`'s IP version. Raises ValueError when there is none."""
    for source in sources:
        if source.version == rloc.version:
            return source
    raise ValueError(f"{rloc}: a router without an RLOC of IPv{rloc.version} cannot encapsulate to it")


def underlay_route(prefix: IPNetwork, next_hops: Iterable[NextHop]) -> TableEntry:
    """RLOCs of `prefix` are reached over equal-cost `next_hops`; of several, one whose port is down is left out.

    A single next hop is not watched: leaving it out would leave an empty group, and bmv2 does not survive a packet
    that hits one.
    """
    hops = list(next_hops)
    actions = [
        WeightedAction(Action("use_next_hop", _hop(hop)), watch_port=hop.port if len(hops) > 1 else None)
        for hop in hops
    ]
    table = "underlay_ipv4" if prefix.version == 4 else "underlay_ipv6"
    return TableEntry(table, {"rloc": Lpm.network(prefix)}, ActionSet(actions))
