"""Machines wired together over a simulated network, and a peer that is driven by hand.

`Network` carries datagrams between MapServers and Xtrs, loses, repeats and delays them under a seed, and calls
`tick` when a machine asked for it. Time is simulated: nothing sleeps. Everything that was sent is kept, decoded,
so that a test sees what a capture on the wire would show.

`Peer` is an xTR without a machine behind it: it signs what a test tells it to say.
"""

from __future__ import annotations

from tests.mapping.harness.bench import Bench, StubbornStore
from tests.mapping.harness.fabric import (
    GROUPS,
    POD_LETTERS,
    SCALE_UP_IID,
    Fabric,
    assert_restarts,
    assert_synchronised,
    link_for,
    server_of,
    view_of_server,
    view_of_xtr,
)
from tests.mapping.harness.network import Machine, Network, Node, Weather
from tests.mapping.harness.observe import IID, M, Seen, drop_reason, eid, events, ip, nonce_source, rlocs, sends, unwrap
from tests.mapping.harness.peer import Peer, identity, messages, secret_key

__all__ = [
    "GROUPS",
    "IID",
    "POD_LETTERS",
    "SCALE_UP_IID",
    "Bench",
    "Fabric",
    "M",
    "Machine",
    "Network",
    "Node",
    "Peer",
    "Seen",
    "StubbornStore",
    "Weather",
    "assert_restarts",
    "assert_synchronised",
    "drop_reason",
    "eid",
    "events",
    "identity",
    "ip",
    "link_for",
    "messages",
    "nonce_source",
    "rlocs",
    "secret_key",
    "sends",
    "server_of",
    "unwrap",
    "view_of_server",
    "view_of_xtr",
]
