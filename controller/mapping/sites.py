"""The configured sites, indexed for the questions that messages raise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from controller.lisp import (
    STRICT,
    DecodeOptions,
    DistinguishedName,
    Eid,
    IPAddress,
    Key,
    NoAddress,
    Profile,
    is_group,
)
from controller.mapping.config import (
    AuthorisedXtr,
    ConfiguredSubscription,
    GroupScope,
    MapServerConfig,
    SiteConfig,
    SitePrefix,
    check_keys,
)
from controller.mapping.extranet import Extranets
from controller.mapping.machine import EidTable, fail
from controller.mapping.store import XtrKey


class SiteDirectory:
    """Who may register what, and which xTRs there are."""

    def __init__(self, config: MapServerConfig) -> None:
        self._petr_name = DistinguishedName(config.petr_name)
        self._sites = {site.site_id: site for site in config.sites}
        self._xtrs = {XtrKey(site.site_id, xtr.xtr_id): (site, xtr) for site in config.sites for xtr in site.xtrs}
        self._borders = {
            site.site_id: frozenset(XtrKey(site.site_id, xtr.xtr_id) for xtr in site.xtrs if xtr.border)
            for site in config.sites
        }
        self._options = config.decode_options
        self._options_of = {
            rloc: site.profile.decode_options(config.decode_options)
            for site in config.sites
            for xtr in site.xtrs
            for rloc in xtr.rlocs
            if site.profile is not STRICT
        }
        self._by_rloc = {rloc: key for key, (_, xtr) in self._xtrs.items() for rloc in xtr.rlocs}
        self._site_of_xtr_id = {xtr.xtr_id: site.site_id for site in config.sites for xtr in site.xtrs}
        self._prefixes: EidTable[tuple[SiteConfig | None, SitePrefix]] = EidTable()
        for site in config.sites:
            for prefix in site.prefixes:
                self._prefixes[prefix.eid] = (site, prefix)
        self._keys = {site.site_id: site.keys for site in config.sites}
        configured = self.configured_subscriptions()
        self._locked = frozenset((xtr, one.eid) for xtr, one in configured if one.locked)
        for theirs, ours in Extranets(config.extranets).prefixes():
            known = self._prefixes.longest_match(theirs)
            host_routes = known is not None and known[1][1].host_routes
            self._prefixes[ours] = (None, SitePrefix(ours, host_routes=host_routes))  # nobody registers there
        self._groups = frozenset(scope for site in config.sites for scope in site.groups)
        self._petr_iids = frozenset(iid for site in config.sites for iid in site.petr_iids)
        self._petrs = frozenset(
            eid for iid in self._petr_iids for version in (4, 6) for eid in self.petr_eids(iid, version)
        )

    def site(self, site_id: int) -> SiteConfig | None:
        """The site with that Site-ID."""
        return self._sites.get(site_id)

    def profile(self, site_id: int) -> Profile:
        """Which implementation the xTRs of a site are."""
        site = self._sites.get(site_id)
        return site.profile if site is not None else STRICT

    def profile_at(self, address: IPAddress) -> Profile:
        """Which implementation the xTR at an address is."""
        xtr = self._by_rloc.get(address)
        return self.profile(xtr.site_id) if xtr is not None else STRICT

    def decode_options(self, source: IPAddress) -> DecodeOptions:
        """How messages from an address are read: by what its owner has to be forgiven."""
        return self._options_of.get(source, self._options)

    def xtr(self, key: XtrKey) -> AuthorisedXtr | None:
        """The authorised xTR with that Site-ID and xTR-ID."""
        found = self._xtrs.get(key)
        return found[1] if found else None

    def site_of_xtr_id(self, xtr_id: bytes) -> int | None:
        """The Site-ID that an xTR-ID belongs to."""
        return self._site_of_xtr_id.get(xtr_id)

    def xtr_at(self, rloc: IPAddress) -> XtrKey | None:
        """The authorised xTR that owns an RLOC."""
        return self._by_rloc.get(rloc)

    def is_rloc_of(self, site: SiteConfig, rloc: IPAddress) -> bool:
        """Whether an xTR of `site` owns an RLOC: nobody can register somebody else's as the way to an EID."""
        owner = self._by_rloc.get(rloc)
        return owner is not None and owner.site_id == site.site_id

    def borders(self, site_id: int) -> frozenset[XtrKey]:
        """The pxTRs of a site."""
        return self._borders.get(site_id, frozenset())

    def key(self, site_id: int, key_id: int) -> Key | None:
        """The key of a site with that Key ID."""
        return next((key for key in self.keys(site_id) if key.key_id == key_id), None)

    def keys(self, site_id: int) -> tuple[Key, ...]:
        """The keys of a site; none if there is no such site."""
        return self._keys.get(site_id, ())

    def use_keys(self, site_id: int, keys: tuple[Key, ...]) -> None:
        """From now on these are the keys of a site. Raises ConfigError if they cannot be."""
        if site_id not in self._keys:
            fail("site_id", site_id, "is no site")
        changed = {**self._keys, site_id: keys}
        check_keys([(f"keys of site {one}", held) for one, held in changed.items()])
        self._keys = changed

    def configured_subscriptions(self) -> Iterator[tuple[XtrKey, ConfiguredSubscription]]:
        """The subscriptions of the configuration, and whose they are."""
        for site in self._sites.values():
            for one in site.subscriptions:
                yield XtrKey(site.site_id, one.xtr_id), one

    def is_locked(self, xtr: XtrKey, eid: Eid) -> bool:
        """Whether a subscription is one that its xTR must not change."""
        return (xtr, eid) in self._locked

    def registrable_by(self, eid: Eid) -> SiteConfig | None:
        """The first site that may register `eid`."""
        return next((site for site in self._sites.values() if self.permits(site, eid)), None)

    def permits(self, site: SiteConfig, eid: Eid) -> bool:
        """Whether `site` may register `eid` (RFC 9301 §8.2, requirement PR-AUTH-4)."""
        if eid.iid in site.petr_iids and self.is_petr(eid):
            return True
        if is_group(eid):
            return any(scope.contains(eid) for scope in site.groups)
        if any(scope.contains(eid) for scope in site.names):
            return True
        return any(
            owner is site and (prefix.more_specifics or prefix.eid == eid)
            for _, (owner, prefix) in self._prefixes.covering(eid)
        )

    def prefix_of(self, eid: Eid) -> SitePrefix | None:
        """The most specific configured prefix that `eid` lies in."""
        found = self._prefixes.longest_match(eid)
        return found[1][1] if found else None

    def is_table(self, eid: Eid) -> bool:
        """Whether `eid` is or covers a configured prefix, or all names of a site: it is a table of routes.

        A group is too: it can be followed before anybody has joined.
        """
        if is_group(eid):
            return any(scope.contains(eid) or self._covers(eid, scope) for scope in self._groups)
        if next(self._prefixes.inside(eid), None) is not None:
            return True
        return isinstance(eid.target, NoAddress) and any(
            scope.iid == eid.iid for site in self._sites.values() for scope in site.names
        )

    def shared_bits(self, eid: Eid) -> int:
        """The leading bits that `eid` has in common with the nearest configured prefix; -1 without any."""
        return self._prefixes.shared_bits(eid)

    def petr_eids(self, iid: int, version: int) -> tuple[Eid, Eid]:
        """The EIDs under which pETRs register in an instance: the name, and the default prefix (choice C17)."""
        default = ip_network("0.0.0.0/0" if version == 4 else "::/0")
        return Eid(iid, self._petr_name), Eid(iid, default)

    def is_petr(self, eid: Eid) -> bool:
        """Whether `eid` is one under which pETRs register, in an instance-ID where that is configured."""
        return eid in self._petrs

    def has_petr(self, eids: Iterable[Eid]) -> bool:
        """Whether one of `eids` is."""
        return not self._petrs.isdisjoint(eids)

    def is_petr_default(self, eid: Eid) -> bool:
        """Whether `eid` is the default prefix of pETRs: an answer for unknown EIDs, and no route."""
        return eid.iid in self._petr_iids and self._is_default(eid)

    @staticmethod
    def _covers(eid: Eid, scope: GroupScope) -> bool:
        return scope.eid is not None and eid.covers(scope.eid)

    @staticmethod
    def _is_default(eid: Eid) -> bool:
        return isinstance(eid.target, (IPv4Network, IPv6Network)) and eid.target.prefixlen == 0
