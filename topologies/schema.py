"""What a topology file may say, and the checks that make it a fabric.

`load(file)` is the only way in: it returns a whole, consistent Topology, or raises one TopologyError that names
each problem with its file, line and field.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from topologies.yaml_source import Path_, TopologyError, place, read_yaml

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]
InstanceIdNumber = Annotated[int, Field(ge=1, le=0xFFFFFF)]  # 24 bits: C12
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]


class Model(BaseModel):
    """Base of all sections: unknown fields are errors, values are what the file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyConfig(Model):
    """A pre-shared key between xTRs and a mapping system. The secret stays in memory, never in a dump."""

    id: Annotated[int, Field(ge=0, le=255)] = 1
    algorithm: Literal["hmac-sha1-96", "hmac-sha256-128", "hmac-sha256-128-hkdf"] = "hmac-sha256-128-hkdf"
    secret: Annotated[str | None, Field(repr=False, min_length=8)] = None
    secret_env: str | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> KeyConfig:
        given = [self.secret, self.secret_env, self.secret_file]
        if sum(source is not None for source in given) != 1:
            raise ValueError("exactly one of secret, secret_env and secret_file is needed")
        return self

    def octets(self) -> bytes:
        """The secret's octets. Raises TopologyError when its file or variable is missing."""
        if self.secret is not None:
            return self.secret.encode()
        if self.secret_env is not None:
            value = os.environ.get(self.secret_env)
            if not value:
                raise TopologyError(f"key {self.id}: environment variable {self.secret_env} is not set")
            return value.encode()
        assert self.secret_file is not None
        try:
            return self.secret_file.read_bytes().strip()
        except OSError as error:
            raise TopologyError(f"key {self.id}: {self.secret_file}: {error.strerror}") from error


class InstanceConfig(Model):
    """One Instance-ID: a tenant's segment in one domain."""

    iid: InstanceIdNumber
    name: Name
    domain: Literal["scale-out"]
    encapsulation: Literal["lisp", "vxlan-gpe"] = "vxlan-gpe"
    unknown: Literal["punt", "drop"] = "punt"


class MappingSystemConfig(Model):
    """A Map-Server and Map-Resolver: its name and the address of its UDP port 4342."""

    name: Name
    address: IPv4Address


class SubnetConfig(Model):
    """An EID-prefix of a PoD in one Instance-ID."""

    iid: InstanceIdNumber
    prefix: IPv4Network


class PodConfig(Model):
    """A PoD: a LISP Site with its own Scale-Up mapping system."""

    name: Name
    site_id: Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
    mapping_system: MappingSystemConfig
    key: KeyConfig
    subnets: Annotated[tuple[SubnetConfig, ...], Field(min_length=1)]


class SwitchConfig(Model):
    """A switch of the fabric. Access and border switches are xTRs and have an RLOC."""

    name: Name
    role: Literal["access", "border", "pod-switch", "fabric-switch"]
    pod: Name | None = None
    rloc: IPv4Address | None = None

    @model_validator(mode="after")
    def _role_fits(self) -> SwitchConfig:
        if (self.rloc is not None) != (self.role in ("access", "border")):
            raise ValueError(f"a {self.role} switch {'has no' if self.rloc else 'needs an'} rloc")
        if (self.pod is None) != (self.role == "fabric-switch"):
            raise ValueError(f"a {self.role} switch {'belongs to no' if self.pod else 'needs a'} pod")
        return self


class AcceleratorConfig(Model):
    """An accelerator: its Scale-Out address and the access switches it is attached to."""

    name: Name
    acc_id: Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
    iid: InstanceIdNumber
    ip: IPv4Address
    mac: Mac
    attached_to: Annotated[tuple[Name, ...], Field(min_length=1)]


class Topology(Model):
    """A whole fabric."""

    name: Name
    instances: Annotated[tuple[InstanceConfig, ...], Field(min_length=1)]
    scale_out_mapping_system: MappingSystemConfig
    pods: Annotated[tuple[PodConfig, ...], Field(min_length=1)]
    switches: Annotated[tuple[SwitchConfig, ...], Field(min_length=1)]
    links: tuple[tuple[Name, Name], ...]
    accelerators: tuple[AcceleratorConfig, ...] = ()

    def switch(self, name: str) -> SwitchConfig:
        """The switch of that name; KeyError if there is none."""
        return {switch.name: switch for switch in self.switches}[name]

    def pod(self, name: str) -> PodConfig:
        """The PoD of that name; KeyError if there is none."""
        return {pod.name: pod for pod in self.pods}[name]

    def accelerator(self, name: str) -> AcceleratorConfig:
        """The accelerator of that name; KeyError if there is none."""
        return {accelerator.name: accelerator for accelerator in self.accelerators}[name]

    def xtrs(self, pod: str, role: str | None = None) -> list[SwitchConfig]:
        """The xTRs of a PoD, all or those of one role."""
        return [
            switch
            for switch in self.switches
            if switch.pod == pod and switch.rloc is not None and role in (None, switch.role)
        ]


Problem = tuple[Path_, str]


def _duplicates(section: str, field: str, values: list[object]) -> list[Problem]:
    seen: dict[object, int] = {}
    problems: list[Problem] = []
    for index, value in enumerate(values):
        if value is not None and value in seen:
            problems.append(((section, index, field), f"{value} is also {section}[{seen[value]}]'s"))
        seen.setdefault(value, index)
    return problems


def _subnet_problems(topology: Topology) -> list[Problem]:
    """SO-REG-1: the subnets of two PoDs in one Instance-ID may not overlap."""
    iids = {instance.iid for instance in topology.instances}
    subnets = [
        (("pods", number, "subnets", index, "prefix"), pod.name, subnet)
        for number, pod in enumerate(topology.pods)
        for index, subnet in enumerate(pod.subnets)
    ]
    problems: list[Problem] = [
        ((*path[:-1], "iid"), f"{subnet.iid} is no Instance-ID of `instances`")
        for path, _, subnet in subnets
        if subnet.iid not in iids
    ]
    for (_, first_pod, first), (path, _, second) in combinations(subnets, 2):
        if first.iid == second.iid and first.prefix.overlaps(second.prefix):
            problems.append(
                (
                    path,
                    f"{second.prefix} overlaps {first.prefix} of pod {first_pod} in Instance-ID {first.iid}",
                )
            )
    return problems


def _accelerator_problems(topology: Topology) -> list[Problem]:
    switches = {switch.name: switch for switch in topology.switches}
    pods = {pod.name: pod for pod in topology.pods}
    problems: list[Problem] = []
    for index, accelerator in enumerate(topology.accelerators):
        here: Path_ = ("accelerators", index)
        at: set[str] = set()
        for number, name in enumerate(accelerator.attached_to):
            switch = switches.get(name)
            if switch is None or switch.role != "access":
                problems.append(((*here, "attached_to", number), f"{name} is no access switch"))
            elif switch.pod is not None:
                at.add(switch.pod)
        if len(at) > 1:
            problems.append(((*here, "attached_to"), f"spans the pods {', '.join(sorted(at))}"))
        for pod in at & pods.keys():
            subnets = [subnet.prefix for subnet in pods[pod].subnets if subnet.iid == accelerator.iid]
            if not any(accelerator.ip in subnet for subnet in subnets):
                problems.append(
                    (
                        (*here, "ip"),
                        f"{accelerator.ip} is in no subnet of pod {pod} in Instance-ID {accelerator.iid}",
                    )
                )
    hosts = [(accelerator.iid, accelerator.ip) for accelerator in topology.accelerators]
    return problems + _duplicates("accelerators", "ip", list(hosts))


def problems_of(topology: Topology) -> list[Problem]:
    """Everything that is wrong between the sections of a topology: (path of the field, reason) each."""
    names = {switch.name for switch in topology.switches}
    pods = {pod.name for pod in topology.pods}
    problems: list[Problem] = []
    for section in ("instances", "pods", "switches", "accelerators"):
        problems += _duplicates(section, "name", [item.name for item in getattr(topology, section)])
    problems += _duplicates("instances", "iid", [instance.iid for instance in topology.instances])
    problems += _duplicates("pods", "site_id", [pod.site_id for pod in topology.pods])
    problems += _duplicates("switches", "rloc", [switch.rloc for switch in topology.switches])
    for index, switch in enumerate(topology.switches):
        if switch.pod is not None and switch.pod not in pods:
            problems.append((("switches", index, "pod"), f"{switch.pod} is no pod"))
    for index, link in enumerate(topology.links):
        problems += [(("links", index), f"{end} is no switch") for end in link if end not in names]
        if link[0] == link[1]:
            problems.append((("links", index), f"joins {link[0]} to itself"))
    return problems + _subnet_problems(topology) + _accelerator_problems(topology)


def load(file: Path) -> Topology:
    """Reads and checks a topology file. Raises TopologyError."""
    data, lines = read_yaml(file)
    if not isinstance(data, dict):
        raise TopologyError(f"{place(file, lines, ())}: a mapping of sections is needed, not {type(data).__name__}")
    try:
        topology = Topology.model_validate(data)
    except ValidationError as error:
        found = []
        for detail in error.errors():
            plain = not isinstance(detail["input"], dict | list | tuple) and "secret" not in detail["loc"]
            given = f" = {detail['input']!r}" if plain else ""
            found.append(f"{place(file, lines, tuple(detail['loc']))}{given}: {detail['msg']}")
        raise TopologyError("\n".join(found)) from None
    if problems := problems_of(topology):
        raise TopologyError("\n".join(f"{place(file, lines, path)}: {why}" for path, why in problems))
    return topology
