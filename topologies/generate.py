"""A topology file for a fabric of any size, from a few numbers.

Addresses follow from where something is, so that a reader of a capture or a table knows what he looks at. PoDs,
switches and accelerators are numbered from 1:

| What | IPv4 | IPv6 |
|---|---|---|
| RLOC of access switch n of PoD p | 198.18.p.n | 2001:db8:0:p::n |
| RLOC of border n of PoD p | 198.18.p.(n + access switches) | 2001:db8:0:p::(n + access switches) |
| Map-Server of PoD p | 198.19.0.p | 2001:db8:1::p |
| node n of the Scale-Out mapping system | 198.19.255.n | 2001:db8:1:ffff::n |
| Scale-Out subnet of PoD p, of every tenant | 10.p.0.0/16 | fd00:p::/32 |
| accelerator n of a PoD | number n in the subnet | number n in the subnet |

(In IPv6, p is written in hexadecimal.) Tenant t has the Scale-Out Instance-ID 4096 + t and the Scale-Up one 8192 + t.
Tenants use the same subnets: only their Instance-IDs keep them apart. An AccID is the accelerator's number in the whole
fabric, and its MAC address is 02:00 with that number behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal

from topologies import limits

Row = dict[str, object]

_NAME: Final = r"[A-Za-z][A-Za-z0-9_-]{0,30}"
_SCALE_OUT_IID: Final = 4096
_SCALE_UP_IID: Final = 8192
_SITE_ID: Final = 100


class ShapeError(ValueError):
    """A fabric of this shape cannot be; the text names the field, its value and the reason."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What to generate.

    Attributes:
        name: of the topology.
        pods: 1 to 255.
        accelerators: of all PoDs together, spread over the PoDs and their access switches in turn.
        access_per_pod, borders, pod_switches: switches of each PoD; every xTR is linked to every PoD switch.
        fabric_switches: between the PoDs; every border is linked to each of them.
        tenants: accelerators of an access switch belong to them in turn.
        multihomed: so many accelerators, spread evenly, are attached to two access switches.
        domains: what accelerators are in.
        nodes: of the Scale-Out mapping system.
        eid_version, rloc_version: IP versions of accelerators and of the underlay.
        encapsulation: of every Instance-ID.

    Raises ShapeError.
    """

    name: str = "generated"
    pods: int = 4
    accelerators: int = 8
    access_per_pod: int = 2
    borders: int = 2
    pod_switches: int = 1
    fabric_switches: int = 2
    tenants: int = 1
    multihomed: int = 0
    domains: Literal["both", "scale-out", "scale-up"] = "both"
    nodes: int = 1
    eid_version: Literal[4, 6] = 4
    rloc_version: Literal[4, 6] = 4
    encapsulation: Literal["lisp", "lisp-gpe", "vxlan", "vxlan-gpe"] = "vxlan-gpe"

    def __post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.name):
            raise ShapeError(f"name = {self.name!r}: must be {_NAME}")
        borders = range(1) if self.domains == "scale-up" else range(1, limits.RLOC_SET + 1)
        for field, allowed in (
            ("pods", range(1, 256)),
            ("accelerators", range(1, 2**24)),
            ("access_per_pod", range(1, 251)),
            ("borders", borders),
            ("pod_switches", range(1, limits.PATHS + 1)),
            ("fabric_switches", range(1 if self.pods > 1 and borders[-1] else 0, limits.PATHS + 1)),
            ("tenants", range(1, limits.INSTANCES // (1 + self.scale_up * self.scale_out))),
            ("multihomed", range(self.accelerators + 1)),
            ("nodes", range(1, 251)),
        ):
            value = getattr(self, field)
            if value not in allowed:
                why = f"must be {allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else f"must be {allowed[0]}"
                raise ShapeError(f"{field} = {value}: {why}{' in Scale-Up alone' if len(allowed) == 1 else ''}")
        self._check_fit()

    @property
    def scale_out(self) -> bool:
        """Whether accelerators have IP addresses between PoDs."""
        return self.domains != "scale-up"

    @property
    def scale_up(self) -> bool:
        """Whether accelerators have AccIDs."""
        return self.domains != "scale-out"

    def _check_fit(self) -> None:
        """What has to be true of several fields together."""
        per_pod = -(-self.accelerators // self.pods)
        on_access = -(-per_pod // self.access_per_pod)
        xtrs = self.access_per_pod + self.borders
        if self.multihomed and self.access_per_pod < 2:
            raise ShapeError(f"multihomed = {self.multihomed}: needs access_per_pod of 2 or more")
        if self.encapsulation == "lisp" and self.scale_up:
            raise ShapeError("encapsulation = lisp: carries IP only, and Scale-Up frames are to be carried too")
        if xtrs > 250:
            raise ShapeError(
                f"access_per_pod = {self.access_per_pod}: with {self.borders} borders more than 250 xTRs a PoD"
            )
        if xtrs * self.pods + self.pods + self.nodes > limits.RLOCS:
            raise ShapeError(
                f"pods = {self.pods}: of {xtrs} xTRs each have more than the {limits.RLOCS} routes of a switch"
            )
        if per_pod > limits.EIDS - self.pods * self.tenants:
            raise ShapeError(f"accelerators = {self.accelerators}: {per_pod} a PoD are more than the EIDs of a switch")
        # Where all are multihomed, every access switch also has those of its neighbour.
        ports = {
            "accelerators": self.pod_switches + on_access * (2 if self.multihomed else 1),
            "access_per_pod": xtrs,
            "fabric_switches": self.pod_switches + self.fabric_switches if self.borders else 0,
            "pods": self.pods * self.borders,
        }
        for field, needed in ports.items():
            if needed > limits.PORTS:
                raise ShapeError(
                    f"{field} = {getattr(self, field)}: some switch may need {needed} ports of {limits.PORTS}"
                )


def generate(shape: Shape) -> dict[str, object]:
    """The sections of the topology file, in order, as plain data."""
    sections: dict[str, object] = {"name": shape.name, "instances": list(_instances(shape))}
    if shape.scale_out:
        first, *others = (
            {"name": _numbered("SO-MS", number), "address": _server(shape, 255, number)}
            for number in range(1, shape.nodes + 1)
        )
        sections["scale_out_mapping_system"] = first | ({"nodes": others} if others else {})
    pods = range(1, shape.pods + 1)
    sections["pods"] = [_pod(shape, pod) for pod in pods]
    sections["switches"] = [switch for pod in pods for switch in _switches(shape, pod)] + [
        {"name": name, "role": "fabric-switch"} for name in _fabric_switches(shape)
    ]
    sections["links"] = [link for pod in pods for link in _links(shape, pod)]
    sections["accelerators"] = list(_accelerators(shape))
    return sections


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _instances(shape: Shape) -> Iterator[Row]:
    for base, suffix, domain in ((_SCALE_OUT_IID, "", "scale-out"), (_SCALE_UP_IID, "-up", "scale-up")):
        if shape.domains in ("both", domain):
            for tenant in range(1, shape.tenants + 1):
                yield {
                    "iid": base + tenant,
                    "name": f"tenant-{tenant}{suffix}",
                    "domain": domain,
                    "encapsulation": shape.encapsulation,
                }


def _rloc(shape: Shape, pod: int, number: int) -> str:
    if shape.rloc_version == 4:
        return f"198.18.{pod}.{number}"
    return str(IPv6Address(int(IPv6Address("2001:db8::")) + (pod << 64) + number))


def _server(shape: Shape, pod: int, number: int) -> str:
    """Address of a Map-Server: of a PoD in 0, of the Scale-Out mapping system in 255."""
    if shape.rloc_version == 4:
        return f"198.19.{pod}.{number}"
    return str(IPv6Address(int(IPv6Address("2001:db8:1::")) + (0xFFFF << 64 if pod else 0) + number))


def _subnet(shape: Shape, pod: int) -> IPv4Network | IPv6Network:
    return ip_network(f"10.{pod}.0.0/16" if shape.eid_version == 4 else f"fd00:{pod:x}::/32")


def _eid(shape: Shape, pod: int, number: int) -> IPv4Address | IPv6Address:
    return _subnet(shape, pod)[number]


def _pod(shape: Shape, pod: int) -> Row:
    row: Row = {
        "name": f"P{pod}",
        "site_id": _SITE_ID + pod,
        "mapping_system": {"name": f"SU-MS-P{pod}", "address": _server(shape, 0, pod)},
        "key": {"id": 1, "algorithm": "hmac-sha256-128-hkdf", "secret": f"{shape.name}-pod-P{pod}"},
    }
    if shape.scale_out:
        prefix = str(_subnet(shape, pod))
        row["subnets"] = [{"iid": _SCALE_OUT_IID + one, "prefix": prefix} for one in range(1, shape.tenants + 1)]
    return row


def _access(shape: Shape, pod: int) -> list[str]:
    return [f"P{pod}-L{number}" for number in range(1, shape.access_per_pod + 1)]


def _borders(shape: Shape, pod: int) -> list[str]:
    return [f"P{pod}-B{number}" for number in range(1, shape.borders + 1)]


def _pod_switches(shape: Shape, pod: int) -> list[str]:
    return [f"P{pod}-S{number}" for number in range(1, shape.pod_switches + 1)]


def _fabric_switches(shape: Shape) -> list[str]:
    return [f"F{number}" for number in range(1, shape.fabric_switches + 1)] if shape.borders else []


def _switches(shape: Shape, pod: int) -> Iterator[Row]:
    xtrs = [(name, "access") for name in _access(shape, pod)] + [(name, "border") for name in _borders(shape, pod)]
    for number, (name, role) in enumerate(xtrs, start=1):
        yield {"name": name, "role": role, "pod": f"P{pod}", "rloc": _rloc(shape, pod, number)}
    for name in _pod_switches(shape, pod):
        yield {"name": name, "role": "pod-switch", "pod": f"P{pod}"}


def _links(shape: Shape, pod: int) -> Iterator[list[str]]:
    for name in (*_access(shape, pod), *_borders(shape, pod)):
        yield from ([name, spine] for spine in _pod_switches(shape, pod))
    for name in _borders(shape, pod):
        yield from ([name, spine] for spine in _fabric_switches(shape))


def _accelerators(shape: Shape) -> Iterator[Row]:
    number = 0
    for pod in range(1, shape.pods + 1):
        access = _access(shape, pod)
        here = shape.accelerators * pod // shape.pods - shape.accelerators * (pod - 1) // shape.pods
        for inside in range(here):
            tenant = inside // len(access) % shape.tenants + 1
            both = (
                number + 1
            ) * shape.multihomed // shape.accelerators > number * shape.multihomed // shape.accelerators
            attached = [access[(inside + home) % len(access)] for home in range(2 if both else 1)]
            number += 1
            row: Row = {"name": f"acc{number}", "acc_id": number}
            if shape.scale_out:
                row |= {"iid": _SCALE_OUT_IID + tenant, "ip": str(_eid(shape, pod, inside + 1))}
            if shape.scale_up:
                row["scale_up_iid"] = _SCALE_UP_IID + tenant
            octets = number.to_bytes(4, "big")
            yield row | {"mac": f"02:00:{octets.hex(':')}", "attached_to": attached}
