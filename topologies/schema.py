"""What a topology file may say: its sections and their fields. How they have to fit together is in `checks`."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, IPvAnyNetwork, model_validator

from controller.app.settings import KeySettings
from controller.app.xtr_settings import ProbingSettings

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]
InstanceIdNumber = Annotated[int, Field(ge=1, le=0xFFFFFF)]  # 24 bits: C12
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]


class Model(BaseModel):
    """Base of all sections: unknown fields are errors, values are what the file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyConfig(KeySettings):
    """A pre-shared key between xTRs and a mapping system; for an example the secret itself may stand in the file.

    `secret_file` is relative to the folder of the process. The secret stays in memory, never in a dump.
    """

    secret: Annotated[str | None, Field(repr=False, min_length=8)] = None

    _sources = ("secret", "secret_env", "secret_file")

    def _secret(self, folder: Path) -> bytes:
        return super()._secret(folder) if self.secret is None else self.secret.encode()


class InstanceConfig(Model):
    """One Instance-ID: a tenant's segment in one domain.

    `spray`: packets are spread by flow, or one by one where they say that they tolerate it, or always.
    `sample_share`: of 65 536 packets so many have a copy sent to the controller. `octets_per_second`: what is
    above that is dropped by each xTR.
    """

    iid: InstanceIdNumber
    name: Name
    domain: Literal["scale-out", "scale-up"]
    encapsulation: Literal["lisp", "lisp-gpe", "vxlan", "vxlan-gpe"] = "vxlan-gpe"
    spray: Literal["flow", "tolerant", "every"] = "flow"
    unknown: Literal["punt", "drop"] = "punt"
    sample_share: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    octets_per_second: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _frames_need_a_next_protocol(self) -> InstanceConfig:
        if self.domain == "scale-up" and self.encapsulation == "lisp":
            raise ValueError("encapsulation lisp carries IP only; Scale-Up frames need one with a Next Protocol")
        return self


class NodeConfig(Model):
    """One Map-Server and Map-Resolver: its name and the address of its UDP port 4342."""

    name: Name
    address: IPvAnyAddress


class MappingSystemConfig(NodeConfig):
    """A mapping system: its Map-Server and, in `nodes`, further ones that stand in for it and for each other.

    xTRs register with all of them (draft sections 4.5.3 and 5.5.3).
    """

    nodes: tuple[NodeConfig, ...] = ()

    @property
    def all_nodes(self) -> tuple[NodeConfig, ...]:
        """The Map-Server itself, then the others."""
        return (self, *self.nodes)


class SubnetConfig(Model):
    """An EID-prefix of a PoD in one Instance-ID."""

    iid: InstanceIdNumber
    prefix: IPvAnyNetwork


class ExtranetConfig(Model):
    """What `subscriber` may use of `provider`, both Scale-Out Instance-IDs: what is registered inside `prefixes`.

    For the way back a second one is needed. The addresses stay as they are, so they have to be free at the subscriber.
    """

    provider: InstanceIdNumber
    subscriber: InstanceIdNumber
    prefixes: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _are_two(self) -> ExtranetConfig:
        if self.provider == self.subscriber:
            raise ValueError(f"Instance-ID {self.provider} cannot be provider and subscriber")
        return self


class PodConfig(Model):
    """A PoD: a LISP Site with its own Scale-Up mapping system.

    `subnets`: its Scale-Out EID-prefixes. `scale_up_subnets`: IP packets to them stay in the PoD, in their Scale-Up
    Instance-ID (draft section 5.5.5).
    """

    name: Name
    site_id: Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
    mapping_system: MappingSystemConfig
    key: KeyConfig
    subnets: tuple[SubnetConfig, ...] = ()
    scale_up_subnets: tuple[SubnetConfig, ...] = ()


class SwitchConfig(Model):
    """A switch of the fabric. Access and border switches are xTRs and have an RLOC."""

    name: Name
    role: Literal["access", "border", "pod-switch", "fabric-switch"]
    pod: Name | None = None
    rloc: IPvAnyAddress | None = None

    @model_validator(mode="after")
    def _role_fits(self) -> SwitchConfig:
        if (self.rloc is not None) != (self.role in ("access", "border")):
            raise ValueError(f"a {self.role} switch {'has no' if self.rloc else 'needs an'} rloc")
        if (self.pod is None) != (self.role == "fabric-switch"):
            raise ValueError(f"a {self.role} switch {'belongs to no' if self.pod else 'needs a'} pod")
        return self


class AcceleratorConfig(Model):
    """An accelerator and the access switches it is attached to.

    In the Scale-Out domain it is (`iid`, `ip`), in the Scale-Up domain (`scale_up_iid`, `acc_id`) and, where that
    serves IP, (`scale_up_iid`, `scale_up_ip`); it can be in one of the domains or in both, but has one address.
    """

    name: Name
    acc_id: Annotated[int, Field(ge=0, lt=0xF0000000)]
    iid: InstanceIdNumber | None = None
    ip: IPvAnyAddress | None = None
    scale_up_iid: InstanceIdNumber | None = None
    scale_up_ip: IPvAnyAddress | None = None
    mac: Mac
    attached_to: Annotated[tuple[Name, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_some_domain(self) -> AcceleratorConfig:
        if (self.iid is None) != (self.ip is None):
            raise ValueError("iid and ip are given together, or neither of them")
        if self.iid is None and self.scale_up_iid is None:
            raise ValueError("an accelerator needs iid and ip, or scale_up_iid, or all of them")
        if self.scale_up_ip is not None and self.scale_up_iid is None:
            raise ValueError("scale_up_ip needs a scale_up_iid")
        if None not in (self.ip, self.scale_up_ip) and self.ip != self.scale_up_ip:
            raise ValueError(f"ip {self.ip} and scale_up_ip {self.scale_up_ip}: an accelerator has one address")
        return self

    @property
    def address(self) -> IPvAnyAddress | None:
        """Its IP address, in whichever domain it has one."""
        return self.ip if self.ip is not None else self.scale_up_ip


class GroupConfig(Model):
    """A multicast group of a Scale-Out Instance-ID, and its members, if they do not join by themselves.

    With `source`, only what that accelerator sends. The address 255.255.255.255 is broadcast in the Instance-ID:
    everybody is a member. Accelerators may join the groups that are listed here, and no others, by IGMP or MLD.
    """

    iid: InstanceIdNumber
    address: IPvAnyAddress
    source: IPvAnyAddress | None = None
    members: tuple[Name, ...] = ()

    @property
    def broadcast(self) -> bool:
        """Whether everybody is a member."""
        return self.address == IPv4Address("255.255.255.255")

    @model_validator(mode="after")
    def _is_group(self) -> GroupConfig:
        if self.broadcast:
            if self.members or self.source is not None:
                raise ValueError("everybody receives broadcast, from everybody: it has no members and no source")
        elif not self.address.is_multicast:
            raise ValueError(f"{self.address} is no multicast address")
        elif _stays_on_link(self.address):
            raise ValueError(f"{self.address} stays on its link (RFC 5771, RFC 4291): it cannot be joined")
        elif self.source is not None and self.source.version != self.address.version:
            raise ValueError(f"{self.source} cannot send to {self.address}")
        return self


class ScaleUpGroupConfig(Model):
    """A group of a Scale-Up Instance-ID, in every PoD for itself: `number` from 0xF0000000 on, and its members.

    All ones is broadcast in the Instance-ID: everybody is a member.
    """

    iid: InstanceIdNumber
    number: Annotated[int, Field(ge=0xF0000000, le=0xFFFFFFFF)]
    members: tuple[Name, ...] = ()

    @property
    def broadcast(self) -> bool:
        """Whether everybody is a member."""
        return self.number == 0xFFFFFFFF

    @model_validator(mode="after")
    def _everybody_has_no_list(self) -> ScaleUpGroupConfig:
        if self.broadcast and self.members:
            raise ValueError("everybody receives broadcast: it has no members")
        return self


def _stays_on_link(group: IPv4Address | IPv6Address) -> bool:
    return group in IPv4Network("224.0.0.0/24") if isinstance(group, IPv4Address) else group.packed[1] & 15 <= 2


Share = Annotated[float, Field(ge=0, le=1)]


class LinkEffects(Model):
    """What a link does to packets on their way, in both directions: as `softswitch.ports.Effects`.

    `between`: its ends, a switch and a switch or accelerator. Times in milliseconds, probabilities 0 to 1, `rate_mbps`
    in 10^6 bits a second (0: unlimited), `queue` in packets. The same `seed` gives the same fates.
    """

    between: tuple[Name, Name]
    delay_ms: Annotated[float, Field(ge=0, le=60_000)] = 0
    jitter_ms: Annotated[float, Field(ge=0, le=60_000)] = 0
    loss: Share = 0
    duplicate: Share = 0
    reorder: Share = 0
    rate_mbps: Annotated[float, Field(ge=0, le=10_000_000)] = 0
    queue: Annotated[int, Field(ge=1)] = 1000
    seed: int = 0

    @model_validator(mode="after")
    def _make_sense(self) -> LinkEffects:
        if self.jitter_ms > self.delay_ms:
            raise ValueError(f"jitter_ms {self.jitter_ms} is more than delay_ms {self.delay_ms}")
        if self.reorder and not self.delay_ms:
            raise ValueError(f"reorder {self.reorder} needs a delay_ms: a packet overtakes those that are under way")
        return self


class PuntConfig(Model):
    """What accelerators may ask of the controller: so many packets a second from each port.

    A destination that the controller has just been told of is not told again for `window_ms` milliseconds.
    """

    packets_per_second: Annotated[int, Field(ge=1)] = 1000
    burst: Annotated[int, Field(ge=1)] = 256
    window_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class AccIdRange(Model):
    """AccIDs from `first` to `last`, which no accelerator has."""

    first: Annotated[int, Field(ge=1, lt=0xF0000000)]
    last: Annotated[int, Field(ge=1, lt=0xF0000000)]

    @model_validator(mode="after")
    def _ascends(self) -> AccIdRange:
        if self.last < self.first:
            raise ValueError(f"last {self.last} is before first {self.first}")
        return self


SlotCount = Annotated[int, Field(ge=1, le=0x8000)]


class CollectiveDomainConfig(Model):
    """An INCC domain: an Instance-ID whose accelerators form groups, and the EIDs that groups get.

    `eids`: prefixes of a Scale-Out Instance-ID, each in the subnet of a PoD, whose xTRs can be the root of a group with
    an EID of it; `acc_ids` in a Scale-Up Instance-ID. `segment`: the Instance-ID is shared by many groups, or dedicated
    to one. `slots`: of a group that does not say how many it wants.
    """

    name: Name
    iid: InstanceIdNumber
    segment: Literal["shared", "dedicated"] = "shared"
    eids: tuple[IPvAnyNetwork, ...] = ()
    acc_ids: AccIdRange | None = None
    slots: SlotCount | None = None

    @model_validator(mode="after")
    def _has_eids(self) -> CollectiveDomainConfig:
        if (not self.eids) == (self.acc_ids is None):
            raise ValueError("either eids or acc_ids is needed")
        return self


class CollectiveGroupConfig(Model):
    """A group of an INCC domain, its members in the order of their ranks. It is formed when all have joined.

    With `start` they count as having joined from the start.
    """

    name: Name
    domain: Name
    members: Annotated[tuple[Name, ...], Field(min_length=1)]
    slots: SlotCount | None = None
    start: bool = False


class CollectivesConfig(Model):
    """Collectives that switches compute (docs/incc.md). `slots`: of a group, where its domain does not say."""

    slots: SlotCount = 64
    domains: tuple[CollectiveDomainConfig, ...] = ()
    groups: tuple[CollectiveGroupConfig, ...] = ()


class Topology(Model):
    """A whole fabric. Without a Scale-Out mapping system its PoDs are Scale-Up networks of their own.

    With `probing`, xTRs probe each other's RLOCs.
    """

    name: Name
    instances: Annotated[tuple[InstanceConfig, ...], Field(min_length=1)]
    scale_out_mapping_system: MappingSystemConfig | None = None
    pods: Annotated[tuple[PodConfig, ...], Field(min_length=1)]
    switches: Annotated[tuple[SwitchConfig, ...], Field(min_length=1)]
    links: tuple[tuple[Name, Name], ...]
    link_effects: tuple[LinkEffects, ...] = ()
    accelerators: tuple[AcceleratorConfig, ...] = ()
    punt: PuntConfig = PuntConfig()
    groups: tuple[GroupConfig, ...] = ()
    scale_up_groups: tuple[ScaleUpGroupConfig, ...] = ()
    probing: ProbingSettings | None = None
    collectives: CollectivesConfig = CollectivesConfig()
    extranets: tuple[ExtranetConfig, ...] = ()

    @cached_property
    def _switches(self) -> dict[str, SwitchConfig]:
        return {switch.name: switch for switch in self.switches}

    @cached_property
    def _accelerators(self) -> dict[str, AcceleratorConfig]:
        return {accelerator.name: accelerator for accelerator in self.accelerators}

    @cached_property
    def _pods(self) -> dict[str, PodConfig]:
        return {pod.name: pod for pod in self.pods}

    def switch(self, name: str) -> SwitchConfig:
        """The switch of that name; KeyError if there is none."""
        return self._switches[name]

    def pod(self, name: str) -> PodConfig:
        """The PoD of that name; KeyError if there is none."""
        return self._pods[name]

    def accelerator(self, name: str) -> AcceleratorConfig:
        """The accelerator of that name; KeyError if there is none."""
        return self._accelerators[name]

    def neighbour(self, accelerator: str) -> str | None:
        """Another accelerator that is in the same PoD and Scale-Up Instance-ID; None if there is none."""
        here = self.accelerator(accelerator)
        pod = self.switch(here.attached_to[0]).pod
        for other in self.accelerators:
            same = other.scale_up_iid == here.scale_up_iid and self.switch(other.attached_to[0]).pod == pod
            if other.name != accelerator and other.scale_up_iid is not None and same:
                return other.name
        return None

    def mapping_systems(self) -> list[NodeConfig]:
        """Every Map-Server: those of the PoDs, and those of the Scale-Out fabric if there are any."""
        systems = [pod.mapping_system for pod in self.pods]
        if self.scale_out_mapping_system is not None:
            systems.append(self.scale_out_mapping_system)
        return [node for system in systems for node in system.all_nodes]

    def instance_ids(self, domain: str) -> frozenset[int]:
        """The Instance-IDs of a domain."""
        return frozenset(instance.iid for instance in self.instances if instance.domain == domain)

    def xtrs(self, pod: str, role: str | None = None) -> list[SwitchConfig]:
        """The xTRs of a PoD, all or those of one role."""
        return [
            switch
            for switch in self.switches
            if switch.pod == pod and switch.rloc is not None and role in (None, switch.role)
        ]
