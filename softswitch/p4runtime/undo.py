"""What makes an update, or a whole batch, all or nothing: every change leaves the step that takes it back."""

from __future__ import annotations

from collections.abc import Callable


class UndoLog:
    """Steps that undo what was done, the latest last."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def push(self, step: Callable[[], object]) -> None:
        """Something was just done; `step` undoes it, given that everything later has been undone."""
        self._steps.append(step)

    def mark(self) -> int:
        """A point to go back to."""
        return len(self._steps)

    def roll_back(self, mark: int = 0) -> None:
        """Undoes everything done since the mark."""
        while len(self._steps) > mark:
            self._steps.pop()()
