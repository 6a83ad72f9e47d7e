"""What an xTR asks of the world: datagrams, changes of its tables for the data plane, packets to send again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from controller.lisp import Eid, IPAddress
from controller.mapping.machine import Event, Send
from controller.xtr.entries import DatabaseEntry, MapCacheEntry
from controller.xtr.multicast.entries import ReplicationChange


@dataclass(frozen=True, slots=True)
class MapCacheChange:
    """The map-cache has this entry for `eid` from now on; None: it has none.

    Not repeated when only the lifetime is extended. All changes in a row make up the map-cache.
    """

    eid: Eid
    entry: MapCacheEntry | None


@dataclass(frozen=True, slots=True)
class DatabaseChange:
    """The local database has this entry for `eid` from now on; None: it has none."""

    eid: Eid
    entry: DatabaseEntry | None


@dataclass(frozen=True, slots=True)
class Replay:
    """Packets that missed the map-cache can go now: `eid` has an entry. In the order in which they came."""

    eid: Eid
    packets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RlocReachability:
    """Packets can, or cannot, go to `rloc` from now on, whichever EIDs are behind it.

    The map-cache stays as it is: mappings say where EIDs are, and do not change because a way is cut off.
    """

    rloc: IPAddress
    reachable: bool


Output: TypeAlias = Send | Event | MapCacheChange | DatabaseChange | Replay | RlocReachability | ReplicationChange
