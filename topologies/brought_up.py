"""What is brought up as a whole and taken down as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class BroughtUp(ABC):
    """A context manager that takes everything down again, also when bringing it up fails half-way.

    `_stack`: takes down what `_bring_up` has put there, the last first.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    @abstractmethod
    def _bring_up(self) -> None:
        """Starts everything."""

    def __enter__(self) -> Self:
        try:
            self._bring_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
