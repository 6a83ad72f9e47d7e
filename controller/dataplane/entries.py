"""The entries of the fabric's P4 program, one function for each thing a router can be told.

Addresses are `ipaddress` objects, ports and Instance-IDs integers, MAC addresses "02:00:...". Who fills which table is
said at the tables themselves, in `p4src/stages/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from math import gcd

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.p4rt.actions import Action, ActionSet, WeightedAction
from controller.p4rt.entities import TableEntry
from controller.p4rt.matches import Exact, Lpm
from controller.p4rt.values import ValueLike

# A group can hold so many copies of its members at most: UNDERLAY_MAX_PATHS and RLOC_SET_MAX_MEMBERS of sizes.p4.
MAX_GROUP_SIZE = 64


@dataclass(frozen=True, slots=True, order=True)
class Rloc:
    """One usable locator of an RLOC-set and its share of the flows (RFC 9301 section 5.4)."""

    address: IPv4Address
    weight: int = 1


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


def switch_context(hash_rotation: int) -> TableEntry:
    """How far this switch rotates the flow hash, 0 to 31 bits: neighbours in a path want different ones."""
    return TableEntry.default("switch_context", Action("set_switch", {"hash_rotation": hash_rotation}))


def access_port(port: int, site: int, iid: int) -> TableEntry:
    """An accelerator of Scale-Out Instance-ID `iid` is on `port`."""
    action = Action("set_access", {"site": site, "scale_out_iid": iid})
    return TableEntry("port_context", {"ingress_port": Exact(port)}, action)


def core_port(port: int) -> TableEntry:
    """The underlay is on `port`."""
    return TableEntry("port_context", {"ingress_port": Exact(port)}, Action("set_core"))


def local_rloc(rloc: IPv4Address) -> TableEntry:
    """Tunnels to `rloc` end here."""
    return TableEntry("local_rloc", {"rloc": Exact(rloc)}, Action("local"))


def instance(iid: int, encapsulation: Encapsulation, punt_unknown: bool) -> TableEntry:
    """Instance-ID `iid` is served here; unknown destinations go to the controller, or are dropped."""
    action = Action("set_instance", {"encapsulation": encapsulation, "punt_unknown": int(punt_unknown)})
    return TableEntry("instance", {"iid": Exact(iid)}, action)


def _scale_out(iid: int, prefix: IPv4Network, action: Action) -> TableEntry:
    return TableEntry("scale_out_ipv4", {"iid": Exact(iid), "eid": Lpm.network(prefix)}, action)


def scale_out_rloc_set(iid: int, prefix: IPv4Network, rloc_set_id: int) -> TableEntry:
    """EIDs of `prefix` are behind the locators of an RLOC-set."""
    return _scale_out(iid, prefix, Action("use_rloc_set", {"rloc_set": rloc_set_id}))


def scale_out_local(iid: int, prefix: IPv4Network, next_hop: NextHop) -> TableEntry:
    """EIDs of `prefix` are attached here."""
    return _scale_out(iid, prefix, Action("deliver", _hop(next_hop)))


def scale_out_negative(iid: int, prefix: IPv4Network, reason: DropReason) -> TableEntry:
    """The mapping system said that nothing is to be forwarded to `prefix`."""
    return _scale_out(iid, prefix, Action("drop_negative", {"reason": reason}))


def scale_out_unknown(iid: int, prefix: IPv4Network) -> TableEntry:
    """EIDs of `prefix` that have no entry of their own are unknown, whatever a shorter prefix says."""
    return _scale_out(iid, prefix, Action("unknown"))


def rloc_set(rloc_set_id: int, rlocs: Iterable[Rloc], source_rloc: IPv4Address) -> TableEntry:
    """RLOC-set `rloc_set_id` consists of `rlocs`; tunnels to them start at `source_rloc`."""
    members = sorted(rlocs)
    actions = [
        WeightedAction(Action("use_rloc", {"rloc": rloc.address, "source_rloc": source_rloc}), share)
        for rloc, share in zip(members, shares([rloc.weight for rloc in members]), strict=True)
    ]
    return TableEntry("rloc_set", {"rloc_set": Exact(rloc_set_id)}, ActionSet(actions))


def underlay_route(prefix: IPv4Network, next_hops: Iterable[NextHop]) -> TableEntry:
    """RLOCs of `prefix` are reached over equal-cost `next_hops`; of several, one whose port is down is left out.

    A single next hop is not watched: leaving it out would leave an empty group, and bmv2 does not survive a packet
    that hits one.
    """
    hops = list(next_hops)
    actions = [
        WeightedAction(Action("use_next_hop", _hop(hop)), watch_port=hop.port if len(hops) > 1 else None)
        for hop in hops
    ]
    return TableEntry("underlay_ipv4", {"rloc": Lpm.network(prefix)}, ActionSet(actions))
