"""The configuration file of a Map-Server process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controller.app.settings import (
    Address,
    ConfigurationFile,
    EidSettings,
    InstanceIdNumber,
    KeySettings,
    Settings,
    XtrIdText,
)
from controller.lisp import PROFILES
from controller.lisp.constants import NOTIFY_RETRY_DELAYS, REGISTER_TIMEOUT
from controller.mapping import AuthorisedXtr, ConfigError, MapServerConfig, NameScope, SiteConfig, SitePrefix


class PrefixSettings(EidSettings):
    """As `controller.mapping.config.SitePrefix`."""

    more_specifics: bool = True
    host_routes: bool = False


class NameScopeSettings(Settings):
    """As `controller.mapping.config.NameScope`."""

    iid: InstanceIdNumber
    begins_with: str = ""


class AuthorisedXtrSettings(Settings):
    """As `controller.mapping.config.AuthorisedXtr`; `xtr_id` in hexadecimal."""

    name: str = ""
    xtr_id: XtrIdText
    rlocs: tuple[Address, ...]
    border: bool = False


class SiteSettings(Settings):
    """As `controller.mapping.config.SiteConfig`."""

    name: str = ""
    site_id: Annotated[int, Field(ge=0, lt=2**64)]
    keys: tuple[KeySettings, ...]
    prefixes: tuple[PrefixSettings, ...] = ()
    names: tuple[NameScopeSettings, ...] = ()
    xtrs: tuple[AuthorisedXtrSettings, ...] = ()
    petr_iids: tuple[InstanceIdNumber, ...] = ()
    profile: Literal["strict", "oor", "lispers"] = "strict"


class StoreSettings(Settings):
    """Where state survives a restart: an SQLite file, or members of an etcd cluster.

    `etcd` is HOST:PORT of each; there, `name` (by default the Map-Server's) tells stores from each other, and
    `ca_file` has it speak TLS. Files are relative to the configuration file.
    """

    file: Path | None = None
    power_safe: bool = False
    etcd: Annotated[tuple[Annotated[str, Field(pattern=r"^[^\s/?#@]+$")], ...], Field(min_length=1)] | None = None
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.etcd is None):
            raise ValueError("exactly one of file and etcd is needed")
        wrong = ("power_safe",) if self.etcd is not None else ("name", "ca_file", "certificate_file", "key_file")
        for field in wrong:
            if getattr(self, field):
                raise ValueError(f"{field} is not for a store with {'file' if self.etcd is None else 'etcd'}")
        for field, needed in (("key_file", "certificate_file"), ("certificate_file", "ca_file")):
            if getattr(self, field) is not None and getattr(self, needed) is None:
                raise ValueError(f"{field} needs {needed}")
        return self


class MapServerSettings(Settings):
    """As `controller.mapping.config.MapServerConfig`. Without `store`, a restarted Map-Server knows nothing."""

    name: str = "map-server"
    address: Address
    sites: tuple[SiteSettings, ...]
    store: StoreSettings | None = None
    registration_timeout: float = REGISTER_TIMEOUT
    notify_delays: tuple[float, ...] = NOTIFY_RETRY_DELAYS
    ack_port: Literal["control", "source"] = "control"
    require_identity: bool = True
    path_mtu: int | None = None


def map_server_config(file: ConfigurationFile[MapServerSettings]) -> MapServerConfig:
    """The Map-Server's configuration. Raises FileError."""
    settings = file.settings
    try:
        return MapServerConfig(
            settings.address,
            tuple(_site(file, index, site) for index, site in enumerate(settings.sites)),
            registration_timeout=settings.registration_timeout,
            notify_delays=settings.notify_delays,
            ack_port=settings.ack_port,
            require_identity=settings.require_identity,
            path_mtu=settings.path_mtu,
        )
    except ConfigError as error:
        file.refuse_config(error)


def _site(file: ConfigurationFile[MapServerSettings], index: int, site: SiteSettings) -> SiteConfig:
    return SiteConfig(
        site.site_id,
        file.keys(site.keys, "sites", index, "keys"),
        tuple(SitePrefix(prefix.eid(), prefix.more_specifics, prefix.host_routes) for prefix in site.prefixes),
        tuple(NameScope(scope.iid, scope.begins_with) for scope in site.names),
        tuple(AuthorisedXtr(bytes.fromhex(xtr.xtr_id), xtr.rlocs, xtr.border, xtr.name) for xtr in site.xtrs),
        frozenset(site.petr_iids),
        name=site.name,
        profile=PROFILES[site.profile],
    )
