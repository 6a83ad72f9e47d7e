"""What a collective that was begun is to PyTorch: something to wait for, and a future."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import torch
import torch.distributed as dist

# Callbacks of futures may themselves wait for collectives, so they never run in the thread that drives these.
_CALLBACKS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="incc-callbacks")


class InccWork(dist.Work):
    """A collective under way.

    Attributes:
        name: of the collective, for messages.
        outputs: its tensors.
    """

    def __init__(self, name: str, outputs: Sequence[torch.Tensor], timeout: timedelta) -> None:
        """`outputs`: what the future and `result` give. `timeout`: how long `wait` waits if it is not told."""
        super().__init__()
        self.name = name
        self.outputs = list(outputs)
        self._timeout = timeout
        # A future whose exception was set in Python is to C++ one that has a result, which DistributedDataParallel then
        # takes for tensors and crashes. One whose callback raises has failed for both.
        self._ended: torch.futures.Future = torch.futures.Future()
        self._future = self._ended.then(self._outcome)
        self._finished = threading.Event()
        self._error: BaseException | None = None

    def finish(self, error: BaseException | None = None) -> None:
        """The collective is done, or has failed."""
        self._error = error
        self._finished.set()
        try:
            _CALLBACKS.submit(self._complete)
        except RuntimeError:  # the interpreter is ending
            self._complete()

    def _complete(self) -> None:
        self._ended.set_result(None)

    def _outcome(self, _: torch.futures.Future) -> list[torch.Tensor]:
        if self._error is not None:
            raise self._failure(self._error)
        return self.outputs

    def wait(self, timeout: timedelta = timedelta(0)) -> bool:
        """Blocks until the outputs are there. Raises DistBackendError if it fails or takes too long."""
        limit = timeout if timeout > timedelta(0) else self._timeout
        if not self._finished.wait(limit.total_seconds()):
            raise dist.DistBackendError(f"incc {self.name}: not done after {limit.total_seconds():g} s")
        if self._error is not None:
            raise self._failure(self._error) from self._error
        return True

    def _failure(self, error: BaseException) -> Exception:
        failure: Exception = dist.DistBackendError(f"incc {self.name}: {error or type(error).__name__}")
        return failure

    def synchronize(self) -> None:
        """As `wait`: outputs are in this process's memory, and no stream is involved."""
        self.wait()

    def is_completed(self) -> bool:
        """Whether it is done or has failed."""
        return self._finished.is_set()

    def is_success(self) -> bool:
        """Whether it is done and has not failed."""
        return self._finished.is_set() and self._error is None

    def exception(self) -> Exception | None:
        """Why it failed; None if it did not."""
        return None if self._error is None else self._failure(self._error)

    def result(self) -> list[torch.Tensor]:
        """The outputs. Raises as `wait`."""
        self.wait()
        return self.outputs

    def get_future(self) -> torch.futures.Future:
        """A future of the outputs."""
        return self._future

    def source_rank(self) -> int:
        """Raises NotImplementedError: nothing is received from just anybody."""
        raise NotImplementedError("incc: receiving from any rank is not supported")
