"""The xTR: ITR, ETR and pxTR control plane of one switch."""

from controller.mapping.machine import ConfigError, Event, NonceSource, Send
from controller.xtr.config import LocalEid, MappingSystemLink, XtrConfig
from controller.xtr.entries import DatabaseEntry, DatabaseState, Kind, Locator, MapCacheEntry, Source
from controller.xtr.multicast.config import MulticastConfig
from controller.xtr.multicast.entries import Designation, Replication, ReplicationChange
from controller.xtr.nonces import LinkNonces, MemoryNonceStore, NonceStore
from controller.xtr.outputs import DatabaseChange, MapCacheChange, Output, Replay, RlocReachability
from controller.xtr.probing import RlocHealth
from controller.xtr.probing_config import Probing
from controller.xtr.roles import access_xtr, border_xtr
from controller.xtr.subscriptions import Subscription
from controller.xtr.xtr import Cause, PendingView, Xtr

__all__ = [
    "Cause",
    "ConfigError",
    "DatabaseChange",
    "DatabaseEntry",
    "DatabaseState",
    "Designation",
    "Event",
    "Kind",
    "LinkNonces",
    "LocalEid",
    "Locator",
    "MapCacheChange",
    "MapCacheEntry",
    "MappingSystemLink",
    "MemoryNonceStore",
    "MulticastConfig",
    "NonceSource",
    "NonceStore",
    "Output",
    "PendingView",
    "Probing",
    "Replay",
    "Replication",
    "ReplicationChange",
    "RlocHealth",
    "RlocReachability",
    "Send",
    "Source",
    "Subscription",
    "Xtr",
    "XtrConfig",
    "access_xtr",
    "border_xtr",
]
