"""What a member of a group says of itself, whoever runs its collectives."""

from __future__ import annotations

from dataclasses import dataclass

from accelerator.incc.collectives import Collectives, HandleT
from accelerator.incc.core import Core
from accelerator.incc.errors import GroupError
from accelerator.incc.packets import Place
from accelerator.incc.statistics import Statistics
from accelerator.incc.ways import place_of
from accelerator.rendezvous import Descriptor


@dataclass(slots=True)
class Membership:
    """How the group is formed now, and the member's side of the protocol."""

    descriptor: Descriptor
    core: Core


class Member(Collectives[HandleT]):
    """The operations of a member. Several may share a membership, and give other handles."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    @property
    def rank(self) -> int:
        """This member's, 0 to size - 1."""
        return self.descriptor.rank

    @property
    def size(self) -> int:
        """How many members there are."""
        return self.descriptor.size

    @property
    def descriptor(self) -> Descriptor:
        """The group as it is formed now."""
        return self._membership.descriptor

    @property
    def error(self) -> GroupError | None:
        """Why the group cannot go on; None while it can."""
        return self._membership.core.error

    @property
    def statistics(self) -> Statistics:
        """What has been sent and received until now."""
        return self._membership.core.snapshot()

    @property
    def _place(self) -> Place:
        return place_of(self.descriptor)
