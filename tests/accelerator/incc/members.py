"""Members over the oracle as programs see them: operations that return works, and what they came to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelerator.incc.collectives import Collectives
from accelerator.incc.packets import Place
from accelerator.incc.work import Work
from tests.accelerator.incc.oracle import VALUES, World


class Member(Collectives[Work]):
    """The operations of one rank; each is submitted at once."""

    def __init__(self, world: World, rank: int) -> None:
        self._world, self._rank = world, rank

    @property
    def rank(self) -> int:
        return self._rank

    @property
    def size(self) -> int:
        return self._world.size

    @property
    def _place(self) -> Place:
        return Place(7, self._rank, self._world.generation, self._world.slots, VALUES)

    def _submit(self, work: Work) -> Work:
        self._world.cores[self._rank].submit(work, self._world.now)
        return work


def members(world: World) -> list[Member]:
    return [Member(world, rank) for rank in range(world.size)]


def outcome(work: Work) -> Any:
    """The result; raises the work's error."""
    assert work.finished, f"{work.describe()}: {work.remaining} of {work.chunks} chunks lack"
    if work.error is not None:
        raise work.error
    return work.result


def everybody(world: World, call: Callable[[Member], Work]) -> list[Any]:
    """All members make a call; their results when all are done."""
    works = [call(member) for member in members(world)]
    world.run()
    return [outcome(work) for work in works]
