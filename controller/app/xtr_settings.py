"""The configuration file of an xTR's control plane, and of its switch if it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from controller.app.accelerator_names import AcceleratorNames
from controller.app.settings import (
    Address,
    ConfigurationFile,
    EidSettings,
    InstanceIdNumber,
    KeySettings,
    Settings,
    XtrIdText,
)
from controller.dataplane.codepoints import Domain, Encapsulation
from controller.dataplane.entries import NextHop
from controller.lisp import PROFILES, Eid
from controller.lisp.constants import REGISTER_INTERVAL
from controller.xtr import ConfigError, LocalEid, MappingSystemLink, Probing, XtrConfig

MacText = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
Port = Annotated[int, Field(ge=0, le=510)]

# What configuration files call the code points of the data plane.
ENCAPSULATIONS = {
    "lisp": Encapsulation.LISP,
    "lisp-gpe": Encapsulation.LISP_GPE,
    "vxlan": Encapsulation.VXLAN,
    "vxlan-gpe": Encapsulation.VXLAN_GPE,
}
DOMAINS = {"scale-out": Domain.SCALE_OUT, "scale-up": Domain.SCALE_UP}


class LinkSettings(Settings):
    """As `controller.xtr.config.MappingSystemLink`."""

    name: str
    address: Address
    keys: tuple[KeySettings, ...]
    prefixes: tuple[EidSettings, ...] = ()
    name_iids: tuple[InstanceIdNumber, ...] = ()
    subscribe: tuple[EidSettings, ...] = ()
    profile: Literal["strict", "oor", "lispers"] = "strict"


class LocalEidSettings(EidSettings):
    """An EID-prefix that is advertised without being delivered: a subnet, or the gateway name."""

    links: tuple[str, ...] = ()


class ProbingSettings(Settings):
    """How xTRs watch the RLOCs of their map-caches: fields (seconds) and defaults as in `controller.xtr.Probing`."""

    interval: float | None = None
    jitter: float | None = None
    timeout: float | None = None
    tries: int | None = None
    down_interval: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> ProbingSettings:
        self.probing()
        return self

    def probing(self) -> Probing:
        """The setting. Raises ConfigError, a ValueError."""
        return Probing(**self.model_dump(exclude_none=True))


class HopSettings(Settings):
    """A way to the next switch or accelerator: own port and its address, and the address at the other end."""

    port: Port
    port_mac: MacText
    mac: MacText

    def next_hop(self) -> NextHop:
        """For an entry."""
        return NextHop(self.port, self.port_mac, self.mac)


class AcceleratorSettings(HopSettings):
    """An accelerator at a port of the switch: (`iid`, `ip`) in Scale-Out, (`scale_up_iid`, `acc_id`) in Scale-Up."""

    iid: InstanceIdNumber | None = None
    ip: Address | None = None
    scale_up_iid: InstanceIdNumber | None = None
    acc_id: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] | None = None

    @model_validator(mode="after")
    def _in_some_domain(self) -> AcceleratorSettings:
        if (self.iid is None) != (self.ip is None):
            raise ValueError("iid and ip are given together, or neither of them")
        if (self.scale_up_iid is None) != (self.acc_id is None):
            raise ValueError("scale_up_iid and acc_id are given together, or neither of them")
        if self.iid is None and self.scale_up_iid is None:
            raise ValueError("an accelerator needs iid and ip, or scale_up_iid and acc_id, or all of them")
        return self

    def eids(self, names: AcceleratorNames) -> list[Eid]:
        """What it is known by."""
        found = [] if self.iid is None or self.ip is None else [Eid.of(self.iid, self.ip)]
        if self.scale_up_iid is not None and self.acc_id is not None:
            found.append(names.eid(self.scale_up_iid, self.acc_id))
        return found


class RouteSettings(Settings):
    """The equal-cost ways to another RLOC."""

    rloc: Address
    next_hops: Annotated[tuple[HopSettings, ...], Field(min_length=1)]


class InstanceSettings(Settings):
    """How packets of an instance-ID are carried, and what becomes of those to unknown destinations."""

    iid: InstanceIdNumber
    domain: Literal["scale-out", "scale-up"] = "scale-out"
    encapsulation: Literal["lisp", "lisp-gpe", "vxlan", "vxlan-gpe"] = "vxlan-gpe"
    unknown: Literal["punt", "drop"] = "punt"

    @property
    def tunnel(self) -> Encapsulation:
        """The encapsulation's code point."""
        return ENCAPSULATIONS[self.encapsulation]


class PipelineSettings(Settings):
    """What p4c made of the program, relative to the configuration file."""

    p4info: Path
    device_config: Path


class SwitchSettings(Settings):
    """The switch that this xTR controls over P4Runtime; `address`: `host:port` or `unix:path`."""

    address: str = "127.0.0.1:9559"
    device_id: Annotated[int, Field(ge=0, lt=2**64)] = 1
    pipeline: PipelineSettings | None = None
    hash_rotation: Annotated[int, Field(ge=0, le=31)] = 0
    core_ports: tuple[Port, ...] = ()
    instances: tuple[InstanceSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()


class XtrSettings(Settings):
    """As `controller.xtr.config.XtrConfig`; `xtr_id` in hexadecimal.

    Without `switch` the xTR registers, subscribes and resolves, and keeps its map-cache to itself.
    `withdraw_on_exit`: what is registered is deregistered at the end; otherwise it stays until its lease is over, so
    that a restart disturbs no traffic. `nonces_file`: where nonces outlive the process, relative to this file.
    `accelerator_prefix`: what the names of the PoD's accelerators begin with; the AccID follows.
    """

    name: str = "xtr"
    xtr_id: XtrIdText
    site_id: Annotated[int, Field(ge=0, lt=2**64)]
    rlocs: tuple[Address, ...]
    links: tuple[LinkSettings, ...]
    database: tuple[LocalEidSettings, ...] = ()
    accelerators: tuple[AcceleratorSettings, ...] = ()
    switch: SwitchSettings | None = None
    probing: ProbingSettings | None = None
    priority: Annotated[int, Field(ge=0, le=255)] = 1
    weight: Annotated[int, Field(ge=0, le=255)] = 100
    record_ttl: int = 1440
    register_interval: float = REGISTER_INTERVAL
    subscribe_on_miss: bool = True
    path_mtu: int | None = None
    withdraw_on_exit: bool = False
    nonces_file: Path | None = None
    accelerator_prefix: Annotated[str, Field(max_length=20)] = "AccID-"

    @property
    def names(self) -> AcceleratorNames:
        """How the PoD's accelerators are called."""
        return AcceleratorNames(self.accelerator_prefix)


def xtr_config(file: ConfigurationFile[XtrSettings]) -> XtrConfig:
    """The xTR's configuration. Raises FileError."""
    settings = file.settings
    links = tuple(
        MappingSystemLink(
            link.name,
            link.address,
            file.keys(link.keys, "links", index, "keys"),
            tuple(prefix.eid() for prefix in link.prefixes),
            frozenset(link.name_iids),
            tuple(prefix.eid() for prefix in link.subscribe),
            profile=PROFILES[link.profile],
        )
        for index, link in enumerate(settings.links)
    )
    try:
        return XtrConfig(
            bytes.fromhex(settings.xtr_id),
            settings.site_id,
            settings.rlocs,
            links,
            tuple(LocalEid(local.eid(), local.links, deliver=False) for local in settings.database),
            settings.name,
            priority=settings.priority,
            weight=settings.weight,
            record_ttl=settings.record_ttl,
            register_interval=settings.register_interval,
            subscribe_on_miss=settings.subscribe_on_miss,
            path_mtu=settings.path_mtu,
            probing=settings.probing.probing() if settings.probing is not None else None,
        )
    except ConfigError as error:
        file.refuse_config(error)
