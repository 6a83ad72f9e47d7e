"""An entity in the form it travels in: encoded once, compared and written many times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """Who may refer to whom: an entity refers only to those of lower rank.

    What is inserted goes up the ranks, what is deleted goes down. Multicast groups and clone sessions are
    the lowest because any action's parameter may be the number of one.
    """

    REPLICATION = 0
    MEMBER = 1
    GROUP = 2
    TABLE = 3


@dataclass(frozen=True, slots=True)
class Encoded:
    """An entity as octets, in canonical form: two are equal exactly if the entities are.

    Attributes:
        key: a serialized p4.v1.Entity with no more than says which one it is; it deletes the entity, and
            resets a resident one.
        wire: the whole serialized p4.v1.Entity.
        rank: where it stands in the order of dependence.
        scope: id of the table or profile in which it takes a place; 0 if it takes none.
        refs: keys of the members and groups it refers to.
        resident: it always exists (default entries, meters, value sets): only MODIFY applies.
    """

    key: bytes
    wire: bytes
    rank: Rank
    scope: int = 0
    refs: tuple[bytes, ...] = ()
    resident: bool = False
