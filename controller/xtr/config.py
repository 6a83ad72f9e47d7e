"""What an xTR is told: who it is, which mapping systems it speaks to, and what it advertises."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from controller.lisp import STRICT, DecodeOptions, Eid, IPAddress, Key, Metadata, NoAddress, Profile, RlocRecord
from controller.lisp.auth import MacScope
from controller.lisp.constants import (
    DEFAULT_OUI,
    MAP_REQUEST_INTERVAL,
    MAP_REQUEST_PAUSE,
    MAP_REQUEST_RETRIES,
    QUICK_REGISTER_INTERVAL,
    REGISTER_INTERVAL,
    REGISTER_RETRY_FIRST,
    REGISTER_RETRY_MAX,
    REGISTER_TIMEOUT,
    XTR_ID_LENGTH,
)
from controller.mapping.machine import COUNTER_LIMIT, check_iid, check_path_mtu, check_profile_keys, check_unique, fail
from controller.xtr.multicast.config import MulticastConfig
from controller.xtr.probing_config import Probing


@dataclass(frozen=True, slots=True)
class MappingSystemLink:
    """A mapping system that the xTR uses: its Map-Server and Map-Resolver at `address`, UDP 4342.

    `keys`: the first one signs, each is accepted. `prefixes` and `name_iids`: the EIDs it is asked for, by
    prefix (the longest match among all links decides) or, for names, by instance-ID. `subscribe`: the
    EID-prefixes, or whole instance-IDs, subscribed to at the start and for good. `configured`: those that the
    mapping system knows of by configuration, with their initial nonces (RFC 9437 §5); they are not asked for.
    `profile`: which implementation it is, where that has to be tolerated.

    `system`: the mapping system that it is a node of, its own name unless given. The nodes of one mapping system
    have equal `prefixes` and `name_iids`. An EID is registered with all of them, what is followed is subscribed
    to at all of them, and what is asked for is asked of one that answers (requirements SO-MS-4, SU-MS-3).
    """

    name: str
    address: IPAddress
    keys: tuple[Key, ...]
    prefixes: tuple[Eid, ...] = ()
    name_iids: frozenset[int] = frozenset()
    subscribe: tuple[Eid, ...] = ()
    configured: tuple[tuple[Eid, int], ...] = ()
    profile: Profile = STRICT
    system: str = ""

    @property
    def of(self) -> str:
        """The name of its mapping system."""
        return self.system or self.name


@dataclass(frozen=True, slots=True)
class LocalEid:
    """An EID of the local database.

    `links`: names of the mapping systems it is registered with; empty means the one responsible for it.
    `locators`: how this xTR is described, empty for its RLOCs with the configured priority and weight.
    `metadata`: what is told of the accelerator beside the RLOCs, where `locators` is empty (SO-REG-6).
    `deliver`: packets to it are delivered at a port here. A pxTR advertises subnets and the gateway EID
    without delivering them: the hosts of a subnet are behind other xTRs. `cabled`: RLOCs of all xTRs that it
    has a port at, as far as known; none of them will forward multicast to it at the same time.
    """

    eid: Eid
    links: tuple[str, ...] = ()
    locators: tuple[RlocRecord, ...] = ()
    deliver: bool = True
    metadata: Metadata | None = None
    cabled: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class XtrConfig:
    """An xTR: ITR, ETR and, by what it advertises, pxTR. Times in seconds unless named otherwise.

    `xtr_id` has 16 octets, `site_id` 64 bits: the PoD. `rlocs`: own addresses, IPv4 or IPv6.
    `database`: advertised from the start. `record_ttl`: minutes, of own registrations; `default_ttl`:
    minutes, where a record leaves it to the receiver. `use_ttl`: the Map-Server shall let registrations
    expire after `record_ttl` (T bit). `quick_register_for`: that long after a change, registrations are
    refreshed every `quick_register_interval` (RFC 9301 §8.2); 0 for never. `metadata`: what Map-Requests say
    of this xTR, under the vendor's `oui` (SO-SUB-4). `extranets`: the mapping systems may have IP packets
    encapsulated with another instance-ID than that of their EID; else locators that want that are refused.
    `path_mtu`: None keeps every message in a packet that no path fragments.

    `request_tries` Map-Requests go out `request_interval` apart, then nothing for `request_pause` (RFC 9301
    §5.3). `subscribe_on_miss`: Map-Requests carry the N bit. A subscription is renewed after
    `resubscribe_after` or when `resubscribe_share` of the shortest TTL it brought is over, whichever is
    first; what such a renewal did not confirm within `sweep_after` is removed (None: stays until its TTL).

    `accept_unsolicited`: notifications for EIDs not subscribed to are believed, for at most
    `unsolicited_lifetime`. `queue_per_eid`, `queue_total`: packets kept while an EID is being resolved.
    `mac_scope`, `full_mac`, `strict_scope`: choices C2 and C2b. `probing`: how the RLOCs of the map-cache are
    watched; None for not at all. `probe_answers`: probes of own RLOCs that are answered a second.

    Raises ConfigError for the first thing that does not fit together.
    """

    xtr_id: bytes
    site_id: int
    rlocs: tuple[IPAddress, ...]
    links: tuple[MappingSystemLink, ...]
    database: tuple[LocalEid, ...] = ()
    name: str = ""
    priority: int = 1
    weight: int = 100
    record_ttl: int = 1440
    default_ttl: int = 1440
    use_ttl: bool = False
    extranets: bool = False
    metadata: Metadata | None = None
    oui: int = DEFAULT_OUI
    path_mtu: int | None = None
    register_interval: float = REGISTER_INTERVAL
    quick_register_interval: float = QUICK_REGISTER_INTERVAL
    quick_register_for: float = 0.0
    register_retry_first: float = REGISTER_RETRY_FIRST
    register_retry_max: float = REGISTER_RETRY_MAX
    request_interval: float = MAP_REQUEST_INTERVAL
    request_tries: int = MAP_REQUEST_RETRIES
    request_pause: float = MAP_REQUEST_PAUSE
    subscribe_on_miss: bool = True
    resubscribe_after: float = 900.0
    resubscribe_share: float = 0.8
    sweep_after: float | None = 120.0
    accept_unsolicited: bool = True
    unsolicited_lifetime: float = REGISTER_TIMEOUT
    queue_per_eid: int = 4
    queue_total: int = 256
    mac_scope: MacScope = "records"
    full_mac: bool = False
    strict_scope: MacScope | None = None
    probing: Probing | None = None
    probe_answers: int = 1000
    decode_options: DecodeOptions = field(default_factory=DecodeOptions)
    multicast: MulticastConfig = field(default_factory=MulticastConfig)

    def __post_init__(self) -> None:
        _check_identity(self)
        _check_numbers(self)
        _check_links(self)
        names = {link.name for link in self.links}
        for index, local in enumerate(self.database):
            for link in local.links:
                if link not in names:
                    fail(f"database[{index}].links", link, "is no link")
        check_unique("database.eid", [local.eid for local in self.database])
        for name in (self.multicast.pod_link, self.multicast.fabric_link):
            if name and name not in names:
                fail("multicast", name, "is no link")

    def link(self, name: str) -> MappingSystemLink:
        """The link with that name. Raises ConfigError if there is none."""
        found = next((link for link in self.links if link.name == name), None)
        return found if found is not None else fail("link", name, "is no link")


def _check_identity(config: XtrConfig) -> None:
    if len(config.xtr_id) != XTR_ID_LENGTH:
        fail("xtr_id", config.xtr_id.hex(), f"must have {XTR_ID_LENGTH} octets")
    if not 0 <= config.site_id < 2**64:
        fail("site_id", config.site_id, "must have 64 bits")
    if not 1 <= len(config.rlocs) <= 32:
        fail("rlocs", len(config.rlocs), "an xTR has 1 to 32 RLOCs")
    for rloc in config.rlocs:
        if rloc.is_multicast or rloc.is_unspecified:
            fail("rlocs", rloc, "is no unicast address")
    check_unique("rlocs.address", config.rlocs)


def _check_numbers(config: XtrConfig) -> None:
    for name in ("priority", "weight"):
        if not 0 <= getattr(config, name) <= 255:
            fail(name, getattr(config, name), "has 8 bits")
    for name in ("record_ttl", "default_ttl"):
        if not 1 <= getattr(config, name) < 2**31:
            fail(name, getattr(config, name), "must be 1 minute or more")
    positive = (
        "register_interval",
        "quick_register_interval",
        "register_retry_first",
        "register_retry_max",
        "request_interval",
        "request_tries",
        "request_pause",
        "resubscribe_after",
        "unsolicited_lifetime",
        "probe_answers",
    )
    for name in positive:
        if getattr(config, name) <= 0:
            fail(name, getattr(config, name), "must be positive")
    if config.quick_register_for < 0:
        fail("quick_register_for", config.quick_register_for, "must not be negative")
    if config.use_ttl and config.record_ttl * 60 <= config.register_interval:
        fail("record_ttl", config.record_ttl, "with use_ttl, registrations would expire between two refreshes")
    check_path_mtu(config.path_mtu, min(rloc.version for rloc in config.rlocs))
    if config.oui not in config.decode_options.known_ouis:
        fail("oui", f"{config.oui:#08x}", "is not in decode_options.known_ouis")
    if config.sweep_after is not None and config.sweep_after <= 0:
        fail("sweep_after", config.sweep_after, "must be positive")
    if not 0 < config.resubscribe_share < 1:
        fail("resubscribe_share", config.resubscribe_share, "must be between 0 and 1")
    for name in ("queue_per_eid", "queue_total"):
        if getattr(config, name) < 0:
            fail(name, getattr(config, name), "must not be negative")


def _check_links(config: XtrConfig) -> None:
    if not config.links:
        fail("links", "()", "an xTR needs a mapping system")
    check_unique("links.name", [link.name for link in config.links])
    check_unique("links.address", [link.address for link in config.links])
    first = {link.of: link for link in reversed(config.links)}
    check_unique("links.prefixes", [eid for link in first.values() for eid in link.prefixes])
    check_unique("links.name_iids", [iid for link in first.values() for iid in link.name_iids])
    for index, link in enumerate(config.links):
        head = first[link.of]
        if (set(link.prefixes), link.name_iids) != (set(head.prefixes), head.name_iids):
            fail(f"links[{index}].prefixes", link.name, f"differ from those of {head.name}, another node of {link.of}")
    versions = {rloc.version for rloc in config.rlocs}
    for index, link in enumerate(config.links):
        place = f"links[{index}]"
        if link.address.version not in versions:
            fail(f"{place}.address", link.address, "no RLOC has this IP version")
        check_keys(f"{place}.keys", link.keys)
        _check_profile(place, link)
        for eid, nonce in link.configured:
            if not 0 <= nonce <= COUNTER_LIMIT:
                fail(f"{place}.configured", nonce, f"leaves no nonces to continue with for {eid}")
            if eid in link.subscribe:
                fail(f"{place}.configured", eid, "is subscribed to as well")
        for eid in link.prefixes:
            if not isinstance(eid.target, (IPv4Network, IPv6Network)):
                fail(f"{place}.prefixes", eid, "is no prefix; names go by instance-ID")
        for iid in link.name_iids:
            check_iid(f"{place}.name_iids", iid)
        for eid in link.subscribe:
            if isinstance(eid.target, NoAddress) and eid.iid not in link.name_iids:
                fail(f"{place}.subscribe", eid, "is no instance-ID of its names")


def _check_profile(place: str, link: MappingSystemLink) -> None:
    profile = link.profile
    check_profile_keys(f"{place}.keys", link.keys, profile)
    if link.name_iids and not profile.names:
        fail(f"{place}.name_iids", min(link.name_iids), f"profile {profile.name} knows no names")
    if link.subscribe and not profile.subscriptions:
        fail(f"{place}.subscribe", link.subscribe[0], f"profile {profile.name} knows no subscriptions")


def check_keys(place: str, keys: tuple[Key, ...]) -> None:
    """A link needs keys, with key ids of their own. Raises ConfigError."""
    if not keys:
        fail(place, "()", "a link needs a key")
    check_unique(f"{place}.key_id", [key.key_id for key in keys])
