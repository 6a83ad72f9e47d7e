"""Where collectives run: one thread with an event loop for the whole process, and a queue for each group.

PyTorch calls from any of its threads and goes on; the collectives of a group run here, one after the other in the order
in which they were called, those of different groups side by side.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from accelerator.torch_backend.communicator import Communicator
from accelerator.torch_backend.work import InccWork

log = logging.getLogger(__name__)

Job = Callable[[Communicator], Awaitable[None]]
_T = TypeVar("_T")


class Engine:
    """A thread with an event loop; it lasts as long as the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="incc", daemon=True).start()

    def run(self, work: Coroutine[object, object, _T], seconds: float | None = None) -> _T:
        """Runs something there and waits for it. Raises what it raises, and TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def call(self, function: Callable[[], object]) -> None:
        """Has something done there, soon."""
        self._loop.call_soon_threadsafe(function)


class GroupQueue:
    """The collectives of one group, in their order.

    One that fails or takes too long leaves nobody knowing what the others have seen, so all later ones fail too.
    """

    def __init__(self, engine: Engine, communicator: Communicator) -> None:
        self.communicator = communicator
        self.failed: BaseException | None = None
        self._engine = engine
        self._jobs: asyncio.Queue[tuple[InccWork, Job, float]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        engine.run(self._start())

    def put(self, work: InccWork, job: Job, seconds: float) -> None:
        """Begins a collective when those before it are done; `work` is told when it is done itself."""
        self._engine.call(lambda: self._jobs.put_nowait((work, job, seconds)))

    def close(self, seconds: float) -> None:
        """Ends the membership; collectives under way fail."""
        self._engine.run(self._close(), seconds)

    async def _start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="incc collectives")

    async def _serve(self) -> None:
        while True:
            work, job, seconds = await self._jobs.get()
            if self.failed is not None:
                work.finish(RuntimeError(f"the group has failed before: {self.failed}"))
                continue
            try:
                async with asyncio.timeout(seconds):
                    await job(self.communicator)
            except TimeoutError:
                self.failed = TimeoutError(f"{work.name} was not done after {seconds:g} s")
                work.finish(self.failed)
            except asyncio.CancelledError:
                self.failed = RuntimeError("the group was closed")
                work.finish(self.failed)
                raise
            except Exception as error:
                self.failed = error
                work.finish(error)
            else:
                work.finish()

    async def _close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        while not self._jobs.empty():
            self._jobs.get_nowait()[0].finish(RuntimeError("the group was closed"))
        try:
            await self.communicator.close()
        except (OSError, RuntimeError) as error:
            log.info("a group could not be left: %s", error)


_engine: Engine | None = None
_lock = threading.Lock()


def engine() -> Engine:
    """The process's engine."""
    global _engine
    with _lock:
        _engine = _engine or Engine()
        return _engine
