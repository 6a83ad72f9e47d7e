"""A collective under way, as whoever called it sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from accelerator.incc.errors import CollectiveError
from accelerator.incc.work import Work


class CancelledError(CollectiveError):
    """The caller cancelled the collective."""


class Handle:
    """A collective under way: await it, or, from another thread than the event loop's, wait().

    The result is an array, or None where a rank gets none.
    """

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop
        self._future: Future[Any] = Future()
        self._future.add_done_callback(self._abandoned)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()

    def wait(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - an array or None
        """The result. Raises CollectiveError; TimeoutError after `timeout` seconds, and the collective goes on."""
        try:
            return self._future.result(timeout)
        except FutureTimeoutError:
            if self._future.done():
                raise
            done, chunks = self.progress
            raise TimeoutError(f"{self._work.describe()}: {done} of {chunks} chunks after {timeout} s") from None

    def cancel(self) -> None:
        """The result is not wanted; waiting raises CancelledError, and the arrays are the caller's again.

        This member goes on taking part, or the others could not finish theirs. To stop them all, close the group.
        """
        self._loop.call_soon_threadsafe(self._cancel)

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._future.done()

    @property
    def progress(self) -> tuple[int, int]:
        """Chunks that have their results, and all chunks."""
        return self._work.chunks - self._work.remaining, self._work.chunks

    @property
    def seconds(self) -> float | None:
        """From the call to the last result; None while there is none."""
        if self._work.started is None or self._work.ended is None:
            return None
        return self._work.ended - self._work.started

    def _abandoned(self, future: Future[Any]) -> None:
        if future.cancelled():  # a task that awaited it was
            self._work.abandon()

    def _cancel(self) -> None:
        if not self._future.done():
            self._work.abandon()
            self._future.set_exception(CancelledError(f"{self._work.describe()}: cancelled"))

    def finish(self) -> None:
        """The work is done: hands over its result or error."""
        work = self._work
        if not self._future.done():
            if work.error is not None:
                self._future.set_exception(work.error)
            else:
                self._future.set_result(work.result)
        work.result = None
