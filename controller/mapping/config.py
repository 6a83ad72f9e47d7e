"""What a Map-Server is told: the sites it serves, who may speak for them, and its answers' lifetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from controller.lisp import (
    STRICT,
    Action,
    DecodeOptions,
    DistinguishedName,
    Eid,
    EncodeError,
    IPAddress,
    Key,
    Prefix,
    Profile,
    group_eid,
)
from controller.lisp.auth import MacScope
from controller.lisp.constants import (
    MAP_REPLY_INTERVAL,
    NEGATIVE_TTL_NOT_LISP,
    NEGATIVE_TTL_UNREGISTERED,
    NOTIFY_RETRY_DELAYS,
    REGISTER_TIMEOUT,
    XTR_ID_LENGTH,
)
from controller.lisp.replication import scale_up_group_number
from controller.mapping.extranet import Extranet, check_extranets
from controller.mapping.limits import Limits
from controller.mapping.machine import COUNTER_LIMIT, check_iid, check_path_mtu, check_profile_keys, check_unique, fail


@dataclass(frozen=True, slots=True)
class SitePrefix:
    """A prefix that a site may register.

    `more_specifics`: prefixes and hosts inside it may be registered too. `host_routes`: every host that can
    be reached registers its own EID, so a host that has not is unknown even while a covering prefix is
    registered. A PoD's own Map-Server has both; the one of the Scale-Out fabric, which must not learn hosts
    (choice C24), has neither.
    """

    eid: Eid
    more_specifics: bool = True
    host_routes: bool = False


@dataclass(frozen=True, slots=True)
class NameScope:
    """Distinguished names that a site may register: all in instance-ID `iid` that begin with `begins_with`."""

    iid: int
    begins_with: str = ""

    def contains(self, eid: Eid) -> bool:
        """Whether `eid` is a name of this scope."""
        return (
            eid.iid == self.iid
            and isinstance(eid.target, DistinguishedName)
            and eid.target.name.startswith(self.begins_with)
        )


@dataclass(frozen=True, slots=True)
class GroupScope:
    """Groups that a site may join: multicast addresses in `groups`, or Scale-Up groups, `groups` None.

    Any number of sites may join the same groups. The broadcast address of an instance-ID is a scope of its own.
    """

    iid: int
    groups: Prefix | None = None

    @property
    def eid(self) -> Eid | None:
        """The EID that covers all its groups, from any source; None for Scale-Up groups."""
        return group_eid(self.iid, self.groups) if self.groups is not None else None

    def contains(self, eid: Eid) -> bool:
        """Whether `eid` is a group, or range of groups, of this scope."""
        covering = self.eid
        if covering is not None:
            return covering.covers(eid)
        return eid.iid == self.iid and scale_up_group_number(eid) is not None


@dataclass(frozen=True, slots=True)
class AuthorisedXtr:
    """An xTR that a site has: its 16-octet `xtr_id` and the RLOCs it may show and be reached at.

    `border`: it is a pxTR of the PoD, and is told of every change of the site's EIDs (requirement SO-MS-5).
    """

    xtr_id: bytes
    rlocs: tuple[IPAddress, ...]
    border: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class ConfiguredSubscription:
    """A subscription that an xTR of the site has without asking for it (RFC 9437 §5).

    `nonce`: the initial one, which the xTR is configured with too. `locked`: the xTR can neither change nor end
    it, and it is never given up.
    """

    xtr_id: bytes
    eid: Eid
    itr_rlocs: tuple[IPAddress, ...]
    nonce: int
    locked: bool = True


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """A LISP site, here a PoD: `site_id` 64 bits, what it may register, its keys and its xTRs.

    `keys` serve registrations and publications alike (choice of wire reference 3.6); the first one is used
    towards an xTR that has not registered anything yet. `petr_iids`: instance-IDs in which the site's pxTRs
    may register the gateway for unknown destinations (choice C17). `groups`: what its xTRs may join.
    `subscriptions`: what its xTRs are subscribed to by configuration. `profile`: which implementation its xTRs
    are, where that has to be tolerated.
    """

    site_id: int
    keys: tuple[Key, ...]
    prefixes: tuple[SitePrefix, ...] = ()
    names: tuple[NameScope, ...] = ()
    xtrs: tuple[AuthorisedXtr, ...] = ()
    petr_iids: frozenset[int] = frozenset()
    name: str = ""
    groups: tuple[GroupScope, ...] = ()
    subscriptions: tuple[ConfiguredSubscription, ...] = ()
    profile: Profile = STRICT


@dataclass(frozen=True, slots=True)
class NegativePolicy:
    """Answers for what is not registered (choice C8): actions, and lifetimes in minutes.

    `unregistered`: an EID of a PoD or a Scale-Up name. `outside`: any other EID. `refused`: lifetime of a
    refused subscription. `placeholder`: lifetime of a prefix subscribed to before anybody registered it.
    `temporary`: subscriptions for what nobody registered are taken for `temporary_ttl` (choice C8b).
    """

    unregistered_action: Action = Action.DROP
    unregistered_ttl: int = NEGATIVE_TTL_UNREGISTERED
    outside_action: Action = Action.DROP
    outside_ttl: int = NEGATIVE_TTL_NOT_LISP
    refused_ttl: int = NEGATIVE_TTL_NOT_LISP
    placeholder_ttl: int = NEGATIVE_TTL_NOT_LISP
    temporary: bool = False
    temporary_ttl: int = NEGATIVE_TTL_NOT_LISP


@dataclass(frozen=True, slots=True)
class Share:
    """The instance-IDs of one of several Map-Servers at one address: those that are `number` modulo `of`."""

    number: int = 0
    of: int = 1

    def has(self, eid: Eid) -> bool:
        """Whether an EID belongs to this Map-Server."""
        return eid.iid % self.of == self.number


@dataclass(frozen=True, slots=True)
class MapServerConfig:
    """A Map-Server and Map-Resolver at `address`, UDP 4342. Times in seconds, sizes in octets.

    `petr_name`: the name under which pETRs register. `ack_port`: where the acknowledgement of a Map-Register
    goes, 4342 or the register's source port (choice C7). `mac_scope`, `full_mac`, `strict_scope`: how
    authentication data is made and what is accepted (choices C2, C2b). `require_identity`: a Map-Register
    without xTR-ID and Site-ID is refused (requirement MH-FWD-7). `path_mtu`: None keeps every message in a
    packet that no path fragments (RFC 9301 §5). `window`: unacknowledged publications per subscription; what
    does not fit waits and is merged. `reply_table`: destinations whose Map-Reply rate is remembered.
    `refresh_table` and `inquiry_table`: Map-Registers and Map-Requests whose repetitions are recognized without
    reading them; 0 for none.
    `limits`: what xTRs may occupy. `extranets`: what instance-IDs may use of each other, by default nothing.
    `share`: the instance-IDs that are served here, by default all; a message about another is refused whole.

    Raises ConfigError for the first thing that does not fit together.
    """

    address: IPAddress
    sites: tuple[SiteConfig, ...]
    petr_name: str = "pETR"
    negative: NegativePolicy = NegativePolicy()
    registration_timeout: float = REGISTER_TIMEOUT
    reply_interval: float = MAP_REPLY_INTERVAL
    notify_delays: tuple[float, ...] = NOTIFY_RETRY_DELAYS
    ack_port: Literal["control", "source"] = "control"
    mac_scope: MacScope = "records"
    full_mac: bool = False
    strict_scope: MacScope | None = None
    require_identity: bool = True
    path_mtu: int | None = None
    window: int = 64
    reply_table: int = 65536
    refresh_table: int = 65536
    inquiry_table: int = 65536
    limits: Limits = field(default_factory=Limits)
    extranets: tuple[Extranet, ...] = ()
    decode_options: DecodeOptions = field(default_factory=DecodeOptions)
    share: Share = Share()

    def __post_init__(self) -> None:
        _check_server(self)
        for index, site in enumerate(self.sites):
            _check_site(f"sites[{index}]", site)
        _check_between_sites(self.sites)
        check_extranets(self.extranets, [prefix.eid for site in self.sites for prefix in site.prefixes])


def _check_server(config: MapServerConfig) -> None:
    if not 1 <= len(config.petr_name) <= 30:
        fail("petr_name", config.petr_name, "must have 1 to 30 characters")
    for name in ("registration_timeout", "reply_interval"):
        if getattr(config, name) <= 0:
            fail(name, getattr(config, name), "must be positive")
    if not config.notify_delays or min(config.notify_delays) <= 0:
        fail("notify_delays", config.notify_delays, "must be positive times")
    check_path_mtu(config.path_mtu, config.address.version)
    for name in ("window", "reply_table"):
        if getattr(config, name) < 1:
            fail(name, getattr(config, name), "must be at least 1")
    for name in ("refresh_table", "inquiry_table"):
        if getattr(config, name) < 0:
            fail(name, getattr(config, name), "must be at least 0")
    if not 0 <= config.share.number < config.share.of:
        fail("share", config.share, "the number must be below the count")
    if config.share.of > 1 and config.extranets:
        fail("extranets", len(config.extranets), "not where instance-IDs are shared out")
    config.limits.check("limits")
    policy = config.negative
    for name in ("unregistered_ttl", "outside_ttl", "refused_ttl", "placeholder_ttl", "temporary_ttl"):
        if not 1 <= getattr(policy, name) < 2**31:
            fail(f"negative.{name}", getattr(policy, name), "must be 1 minute or more")


def _check_profile(place: str, site: SiteConfig) -> None:
    profile = site.profile
    check_profile_keys(f"{place}.keys", site.keys, profile)
    if profile is not STRICT and not site.xtrs:
        fail(f"{place}.profile", profile.name, "is for xTRs that are listed")
    if site.names and not profile.names:
        fail(f"{place}.names", site.names[0].begins_with, f"profile {profile.name} knows no names")
    if site.subscriptions and not profile.subscriptions:
        fail(f"{place}.subscriptions", site.subscriptions[0].eid, f"profile {profile.name} knows no subscriptions")


def _check_site(place: str, site: SiteConfig) -> None:
    if not 0 <= site.site_id < 2**64:
        fail(f"{place}.site_id", site.site_id, "must have 64 bits")
    for index, prefix in enumerate(site.prefixes):
        if not isinstance(prefix.eid.target, (IPv4Network, IPv6Network)):
            fail(f"{place}.prefixes[{index}]", prefix.eid, "is no prefix; names go to `names`")
    for index, scope in enumerate(site.names):
        check_iid(f"{place}.names[{index}].iid", scope.iid)
    for index, groups in enumerate(site.groups):
        check_iid(f"{place}.groups[{index}].iid", groups.iid)
        try:
            _ = groups.eid
        except EncodeError as error:
            fail(f"{place}.groups[{index}]", groups.groups, error.reason)
    for iid in site.petr_iids:
        check_iid(f"{place}.petr_iids", iid)
    _check_profile(place, site)
    for index, xtr in enumerate(site.xtrs):
        here = f"{place}.xtrs[{index}]"
        if len(xtr.xtr_id) != XTR_ID_LENGTH:
            fail(f"{here}.xtr_id", xtr.xtr_id.hex(), f"must have {XTR_ID_LENGTH} octets")
        if not xtr.rlocs:
            fail(f"{here}.rlocs", "()", "an xTR needs an RLOC")
        for rloc in xtr.rlocs:
            if rloc.is_multicast or rloc.is_unspecified:
                fail(f"{here}.rlocs", rloc, "is no unicast address")
    known = {xtr.xtr_id: xtr.rlocs for xtr in site.xtrs}
    for index, one in enumerate(site.subscriptions):
        here = f"{place}.subscriptions[{index}]"
        if one.xtr_id not in known:
            fail(f"{here}.xtr_id", one.xtr_id.hex(), "is no xTR of the site")
        if not one.itr_rlocs or not set(one.itr_rlocs) <= set(known[one.xtr_id]):
            fail(f"{here}.itr_rlocs", " ".join(map(str, one.itr_rlocs)), "are not RLOCs of that xTR")
        if not 0 <= one.nonce <= COUNTER_LIMIT:
            fail(f"{here}.nonce", one.nonce, "leaves no nonces to continue with")


def _check_between_sites(sites: tuple[SiteConfig, ...]) -> None:
    check_unique("sites.site_id", [site.site_id for site in sites])
    xtrs = [xtr for site in sites for xtr in site.xtrs]
    check_unique("sites.xtrs.xtr_id", [xtr.xtr_id.hex() for xtr in xtrs])
    check_unique("sites.xtrs.rloc", [rloc for xtr in xtrs for rloc in xtr.rlocs])
    check_keys([(f"sites[{index}].keys", site.keys) for index, site in enumerate(sites)])
    owned: list[tuple[int, Eid]] = []
    scopes: list[tuple[int, NameScope]] = []
    for index, site in enumerate(sites):
        for number, prefix in enumerate(site.prefixes):
            for other, taken in owned:
                if other != index and (taken.covers(prefix.eid) or prefix.eid.covers(taken)):
                    fail(f"sites[{index}].prefixes[{number}]", prefix.eid, f"overlaps {taken} of sites[{other}]")
            owned.append((index, prefix.eid))
        check_unique(f"sites[{index}].prefixes", [prefix.eid for prefix in site.prefixes])
        for number, scope in enumerate(site.names):
            for other, held in scopes:
                if other != index and held.iid == scope.iid and _nested(held.begins_with, scope.begins_with):
                    fail(
                        f"sites[{index}].names[{number}]",
                        scope.begins_with,
                        f"overlaps {held.begins_with!r} of sites[{other}] in instance-ID {scope.iid}",
                    )
            scopes.append((index, scope))


def check_keys(by_place: list[tuple[str, tuple[Key, ...]]]) -> None:
    """Every site has keys, with key ids of their own and secrets that no other site has (RFC 9301 §5.6)."""
    owner: dict[bytes, str] = {}
    for place, keys in by_place:
        if not keys:
            fail(place, "()", "a site needs a key")
        check_unique(f"{place}.key_id", [key.key_id for key in keys])
        for key in keys:
            if owner.setdefault(key.secret, place) != place:
                fail(place, f"key {key.key_id}", f"has the secret of {owner[key.secret]} (9301 §5.6)")


def _nested(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
