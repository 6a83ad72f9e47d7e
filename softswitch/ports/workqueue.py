"""The queue behind every switch: packets wait here instead of on the call stack.

Switches that are linked in one process share a queue, so a packet that crosses many links uses no stack, and
one that circles for ever only ever costs a bounded slice of the event loop's time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Job = Callable[[], None]


class WorkQueue:
    """Runs jobs one after the other.

    capacity: jobs that may wait; more are refused
    budget:   jobs run before the event loop gets its turn again. Without a running event loop the
              remaining jobs stay until the next post() or run()
    """

    def __init__(self, capacity: int = 65536, budget: int = 4096) -> None:
        self.capacity = capacity
        self.budget = budget
        self.refused = 0
        self._jobs: deque[Job] = deque()
        self._running = False
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._jobs)

    def post(self, job: Job, *, first: bool = False) -> bool:
        """Run a job now, or as soon as those before it are done. False if the queue is full.

        first: ahead of all that wait
        """
        if len(self._jobs) >= self.capacity:
            self.refused += 1
            return False
        if first:
            self._jobs.appendleft(job)
        else:
            self._jobs.append(job)
        if not self._running and not self._scheduled:
            self.run()
        return True

    def run(self) -> None:
        """Run what waits, up to the budget. A job that raises is logged and does not stop the others."""
        self._scheduled = False
        if self._running:
            return
        self._running = True
        try:
            for _ in range(self.budget):
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                try:
                    job()
                except Exception:
                    log.exception("job failed")
        finally:
            self._running = False
            if self._jobs:
                self._continue_later()

    def _continue_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._scheduled = True
        loop.call_soon(self.run)


shared_queue = WorkQueue()
