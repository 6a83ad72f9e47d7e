"""A member of a group for programs without an event loop: it has one in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from accelerator.incc.asynchronous import AsyncGroup
from accelerator.incc.collectives import Collectives
from accelerator.incc.core import Settings
from accelerator.incc.errors import GroupError
from accelerator.incc.handle import Handle
from accelerator.incc.membership import Member
from accelerator.incc.ways import Attach
from accelerator.incc.work import Work

T = TypeVar("T")


class Group(Member[Any]):
    """A member of a group, for programs without an event loop: operations return their results.

    `start` has the same operations and returns handles. Protocol and sockets live in a thread of their own.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, AsyncGroup]]) -> None:
        """`make` is run in the event loop of that thread. Raises what it raises."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="collectives", daemon=True)
        self._thread.start()
        try:
            self._group = self._run(make())
        except BaseException:
            self._stop()
            raise
        super().__init__(self._group._membership)
        self.start: Collectives[Handle] = _Starting(self._group, self._loop)

    @classmethod
    def join(
        cls,
        group: str,
        accelerator: str,
        *,
        fabric: str = "figure1",
        control: str | Path | None = None,
        attach: Attach | None = None,
        settings: Settings | None = None,
    ) -> Group:
        """As AsyncGroup.join."""
        return cls(
            lambda: AsyncGroup.join(
                group, accelerator, fabric=fabric, control=control, attach=attach, settings=settings
            )
        )

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def go_on(self) -> None:
        """As AsyncGroup.go_on."""

        async def there() -> None:
            self._group.go_on()

        self._run(there())

    def close(self) -> None:
        """Leaves the group; what is under way fails."""
        if self._thread.is_alive():
            self._run(self._group.close())
            self._stop()

    def _submit(self, work: Work) -> Any:  # noqa: ANN401 - an array or None
        return self.start._submit(work).wait()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Starting(Member[Handle]):
    """The operations of a group in another thread."""

    def __init__(self, group: AsyncGroup, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(group._membership)
        self._group = group
        self._loop = loop

    def _submit(self, work: Work) -> Handle:
        if self._loop.is_closed():
            raise GroupError(f"{work.name}: the group is closed")
        if self.error is not None:
            raise self.error
        handle = Handle(work, self._loop)
        self._loop.call_soon_threadsafe(self._begin_there, work, handle)
        return handle

    def _begin_there(self, work: Work, handle: Handle) -> None:
        try:
            self._group.begin_with(work, handle)
        except GroupError as error:
            work.error = error
            handle.finish()
