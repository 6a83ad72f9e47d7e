"""From groups of the control plane to replication lists of the data plane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from controller.app.accelerator_names import AcceleratorNames
from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.changes import Changes
from controller.dataplane.entries import NextHop
from controller.dataplane.replication import ListKey, Receiver, ReplicaRouter, ReplicationList
from controller.dataplane.router_tables import RouterTables
from controller.lisp import Eid, MulticastInfo
from controller.lisp.replication import is_broadcast, scale_up_group_number
from controller.xtr import ReplicationChange, XtrConfig

log = logging.getLogger(__name__)

_SITE_MASK = 0xFFFFFFFF  # site_id_t of the data plane has the low 32 bits


def list_key(group: Eid) -> ListKey | None:
    """Instance-ID, source and group as the data plane has them; None for what it cannot tell apart.

    That is a range of groups or of sources, a single source of a broadcast, and the IPv6 group of all nodes.
    """
    target = group.target
    if is_broadcast(group):
        plain = not isinstance(target, MulticastInfo) or (
            target.source_mask_len == 0 and isinstance(target.group, IPv4Address)
        )
        return (group.iid, None, None) if plain else None
    number = scale_up_group_number(group)
    if number is not None:
        return group.iid, None, AccId(number)
    if not isinstance(target, MulticastInfo) or not isinstance(target.group, (IPv4Address, IPv6Address)):
        return None
    if target.group_mask_len != target.group.max_prefixlen:
        return None
    if target.source_mask_len == 0:
        return group.iid, None, target.group
    if (
        not isinstance(target.source, (IPv4Address, IPv6Address))
        or target.source_mask_len != target.source.max_prefixlen
    ):
        return None
    return group.iid, target.source, target.group


class GroupForwarding:
    """The replication lists of one router."""

    def __init__(self, tables: RouterTables, config: XtrConfig, names: AcceleratorNames) -> None:
        """Routers of an IP version that this one has no RLOC of cannot be tunnelled to, and are left out."""
        self._tables = tables
        self._names = names
        self._site = config.site_id & _SITE_MASK
        self._versions = {rloc.version for rloc in config.rlocs}

    def changed(self, change: ReplicationChange, attached: Callable[[Eid], NextHop | None]) -> Changes:
        """What a change of a group's replication means to the switch; `attached`: where an accelerator is."""
        key = list_key(change.group)
        if key is None:
            log.info("%s: no replication list in the data plane", change.group)
            return Changes()
        entry = change.entry
        if entry is None:
            return self._tables.remove_replication(key)
        iid, source, group = key
        receivers = (
            Receiver(next_hop, self._endpoint(receiver))
            for receiver in entry.receivers
            if (next_hop := attached(receiver)) is not None
        )
        routers = {ReplicaRouter(rloc, self._site) for rloc in entry.pod if rloc.version in self._versions}
        routers |= {ReplicaRouter(rloc) for rloc in entry.fabric if rloc.version in self._versions}
        wanted = ReplicationList(iid, group, source, frozenset(receivers), frozenset(routers))
        return self._tables.set_replication(wanted)

    def _endpoint(self, receiver: Eid) -> Endpoint | None:
        """The address that an accelerator sends from; None where its EID does not say it."""
        target = receiver.target
        if isinstance(target, (IPv4Network, IPv6Network)):
            return target.network_address
        number = self._names.acc_id(receiver)
        return AccId(number) if number is not None else None
