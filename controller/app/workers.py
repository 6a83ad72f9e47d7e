"""Several processes that share the work at one address, and end together.

A worker that is gone leaves its instance-IDs without a Map-Server, so the others are stopped too, and whoever started
them all sees it by the exit code. The sockets stay open here, so that no worker's number changes meanwhile.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Final

log = logging.getLogger(__name__)

Work = Callable[[int, socket.socket], None]
"""What a worker does until a signal ends it, given its number and its socket."""

_STOP: Final = frozenset({signal.SIGINT, signal.SIGTERM})
_PATIENCE: Final = 10.0  # seconds that a worker has for closing its store


class WorkerError(OSError):
    """A worker ended by itself."""


def run_workers(sockets: Sequence[socket.socket], work: Work) -> None:
    """Run `work` in a process for each of the sockets, until SIGINT or SIGTERM. No thread may have been started.

    Raises WorkerError when one of them ends before that; then none of them runs any more.
    """
    # Workers are copies of this process: a signal must find either none of them or all.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP, signal.SIGCHLD})
    workers: list[BaseProcess] = []
    try:
        context = multiprocessing.get_context("fork")
        for number in range(len(sockets)):
            worker = context.Process(target=_worker, args=(sockets, number, work, before), name=f"worker {number}")
            worker.start()
            workers.append(worker)
        _wait(workers)
    finally:
        for process in workers:
            process.terminate()
        for process in workers:
            process.join(_PATIENCE)
            if process.is_alive():
                log.warning("%s does not stop and is killed", process.name)
                process.kill()
                process.join()
        for sock in sockets:
            sock.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(workers: Sequence[BaseProcess]) -> None:
    while signal.sigwait({*_STOP, signal.SIGCHLD}) == signal.SIGCHLD:
        if signal.sigpending() & _STOP:
            continue  # it has ended because everything is to end
        for process in workers:
            if not process.is_alive():
                raise WorkerError(f"{process.name} ended with {process.exitcode}: all are stopped")


def _worker(sockets: Sequence[socket.socket], number: int, work: Work, mask: set[signal.Signals]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for index, sock in enumerate(sockets):
        if index != number:
            sock.close()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(number, sockets[number])


def _end_with_parent() -> None:
    """Without its parent a worker would hold the address, and nobody would know of it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
