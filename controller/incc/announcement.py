"""What the mapping system is told of a group beside its root's RLOC: accelerator metadata (RFC 9306), triple type 8.

Group (16 bits), generation (8), members (16), slots (16).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from controller.incc.outputs import GroupView
from controller.lisp import Metadata

TYPE = 8
_FORMAT = struct.Struct("!HBHH")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A group as a mapping describes it."""

    number: int
    generation: int
    members: int
    slots: int

    @classmethod
    def of(cls, view: GroupView) -> Announcement:
        """What is told of a group that is formed."""
        return cls(view.number, view.generation, len(view.members), view.slots)

    @classmethod
    def find(cls, metadata: Metadata | None) -> Announcement | None:
        """What metadata tells of a group; None if they tell of none."""
        for kind, value in () if metadata is None else metadata.other:
            if kind == TYPE and len(value) == _FORMAT.size:
                return cls(*_FORMAT.unpack(value))
        return None

    def metadata(self, acc_id: int | None = None) -> Metadata:
        """The metadata of the group's mapping; `acc_id`: the group's, where it has one."""
        packed = _FORMAT.pack(self.number, self.generation, self.members, self.slots)
        return Metadata(acc_id=acc_id, other=((TYPE, packed),))
