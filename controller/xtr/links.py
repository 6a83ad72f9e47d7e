"""The mapping systems of an xTR: which one to ask, how to reach it, which key to use."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from controller.lisp import CONTROL_PORT, Datagram, DecodeOptions, Eid, Endpoint, IPAddress, Key
from controller.mapping.machine import EidTable, Send, fail
from controller.xtr.config import MappingSystemLink, XtrConfig, check_keys


class Links:
    """All links of an xTR."""

    def __init__(self, config: XtrConfig) -> None:
        self._by_name = {link.name: link for link in config.links}
        self._by_address = {link.address: link for link in config.links}
        self._options = config.decode_options
        self._by_iid = {iid: link.of for link in config.links for iid in link.name_iids}
        self._by_prefix: EidTable[str] = EidTable()
        self._nodes: dict[str, list[str]] = {}
        for link in config.links:
            self._nodes.setdefault(link.of, []).append(link.name)
            for eid in link.prefixes:
                self._by_prefix[eid] = link.of
        self._asked = {system: nodes[0] for system, nodes in self._nodes.items()}
        self._keys = {link.name: link.keys for link in config.links}
        self._sources = {
            link.name: next(rloc for rloc in config.rlocs if rloc.version == link.address.version)
            for link in config.links
        }

    def named(self, name: str) -> MappingSystemLink:
        """The link with that name; KeyError if there is none."""
        return self._by_name[name]

    def at(self, address: IPAddress) -> MappingSystemLink | None:
        """The link whose Map-Server has that address."""
        return self._by_address.get(address)

    def decode_options(self, source: IPAddress) -> DecodeOptions:
        """How messages from an address are read: by what a Map-Server there has to be forgiven."""
        link = self._by_address.get(source)
        return self._options if link is None else link.profile.decode_options(self._options)

    def responsible(self, eid: Eid) -> MappingSystemLink | None:
        """The link to ask for `eid`: the node that answers, of the mapping system that has the say about it."""
        system = self.system_for(eid)
        return self._by_name[self._asked[system]] if system is not None else None

    def system_for(self, eid: Eid) -> str | None:
        """The mapping system of the longest prefix that matches `eid`; for names that of the instance-ID."""
        if not isinstance(eid.target, (IPv4Network, IPv6Network)):
            return self._by_iid.get(eid.iid)
        found = self._by_prefix.longest_match(eid)
        return found[1] if found else None

    def nodes(self, link: str) -> tuple[str, ...]:
        """The links to all nodes of the mapping system that a link is to."""
        return tuple(self._nodes[self._by_name[link].of])

    def fail_over(self, link: str) -> MappingSystemLink | None:
        """Ask another node than that one from now on, and return it; None if there is none, or it was not asked."""
        nodes = self.nodes(link)
        system = self._by_name[link].of
        if len(nodes) == 1 or self._asked[system] != link:
            return None
        self._asked[system] = nodes[(nodes.index(link) + 1) % len(nodes)]
        return self._by_name[self._asked[system]]

    def signing_key(self, link: MappingSystemLink) -> Key:
        """The key for what is sent to a link."""
        return self._keys[link.name][0]

    def key(self, link: MappingSystemLink, key_id: int) -> Key | None:
        """The key of a link with that Key ID."""
        return next((key for key in self._keys[link.name] if key.key_id == key_id), None)

    def use_keys(self, name: str, keys: tuple[Key, ...]) -> None:
        """From now on these are the keys of a link. Raises ConfigError if they cannot be."""
        if name not in self._keys:
            fail("link", name, "is no link")
        check_keys(f"keys of {name}", keys)
        self._keys[name] = keys

    def source(self, link: MappingSystemLink) -> IPAddress:
        """The own RLOC that speaks to a link."""
        return self._sources[link.name]

    def send(self, link: MappingSystemLink, payload: bytes) -> Send:
        """A control message to the Map-Server of a link."""
        source, destination = Endpoint(self.source(link), CONTROL_PORT), Endpoint(link.address, CONTROL_PORT)
        return Send(Datagram(source, destination, payload))
