"""The mapping system: Map-Server and Map-Resolver, registrations, subscriptions and their store."""

from controller.mapping.config import (
    AuthorisedXtr,
    ConfiguredSubscription,
    GroupScope,
    MapServerConfig,
    NameScope,
    NegativePolicy,
    Share,
    SiteConfig,
    SitePrefix,
)
from controller.mapping.dump import ContributionView, PendingNotify, RegistrationView
from controller.mapping.extranet import Extranet
from controller.mapping.limits import Limits
from controller.mapping.machine import ConfigError, Event, NonceSource, Send
from controller.mapping.roles import Pod, fabric_map_server, pod_map_server
from controller.mapping.server import MapServer
from controller.mapping.store import (
    Change,
    Contribution,
    Contributions,
    Forgotten,
    Gone,
    MemoryStore,
    NonceFloor,
    Receipt,
    Refresh,
    Snapshot,
    Store,
    StoreError,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
)

__all__ = [
    "AuthorisedXtr",
    "Change",
    "ConfigError",
    "ConfiguredSubscription",
    "Contribution",
    "ContributionView",
    "Contributions",
    "Event",
    "Extranet",
    "Forgotten",
    "Gone",
    "GroupScope",
    "Limits",
    "MapServer",
    "MapServerConfig",
    "MemoryStore",
    "NameScope",
    "NegativePolicy",
    "NonceFloor",
    "NonceSource",
    "PendingNotify",
    "Pod",
    "Receipt",
    "Refresh",
    "RegistrationView",
    "Send",
    "Share",
    "SiteConfig",
    "SitePrefix",
    "Snapshot",
    "Store",
    "StoreError",
    "Subscription",
    "SubscriptionKind",
    "Withdrawn",
    "XtrKey",
    "fabric_map_server",
    "pod_map_server",
]
