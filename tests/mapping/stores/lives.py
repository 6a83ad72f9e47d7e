"""Lives of a Map-Server in a process of its own, each ended by SIGKILL, and whether its store explains its answers."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from controller.lisp import Datagram, Ecm
from controller.mapping import Snapshot
from tests.mapping.harness import Bench, sends, unwrap
from tests.mapping.killed_server import Answered, Offered, serve_until_killed
from tests.mapping.stores.examples import contents
from tests.mapping.stores.mirror import remembered


@dataclass(slots=True)
class Life:
    """What a Map-Server was given and what it answered, until it was killed; the last turn it may not have answered."""

    offered: list[tuple[Datagram, ...]] = field(default_factory=list)
    answered: list[tuple[Datagram, ...]] = field(default_factory=list)


def lives(
    place: Path | tuple[str, str], answers: Iterable[int], random: Random, stored: Callable[[], Snapshot]
) -> Iterator[tuple[Life, Snapshot]]:
    """One life after the other with the same store, each killed some time after so many answers.

    Yields each with what is `stored` then, which is what memory holds after the same datagrams: all those that were
    answered, and perhaps those of the one turn that was not yet.
    """
    before, nonce = Snapshot(), 0
    for number, answered in enumerate(answers):
        life = live(place, number, nonce, answered, random.uniform(0, 0.02))
        found = stored()
        assert_explained(found, before, life)
        yield life, found
        before = found
        nonce = max([nonce, *(nonce_of(datagram) for datagrams in life.offered for datagram in datagrams)])


def live(place: Path | tuple[str, str], seed: int, nonce: int, answers: int, seconds: float) -> Life:
    """Let a Map-Server run until it gave so many answers and `seconds` passed, then kill it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.mapping.killed_server"])
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=serve_until_killed, args=(place, seed, nonce, sending), daemon=True)
    process.start()
    sending.close()
    life = Life()
    assert receiving.recv() == "ready"
    kill_at: float | None = None
    try:
        while True:
            if kill_at is None and len(life.answered) >= answers:
                kill_at = time.monotonic() + seconds
            if kill_at is not None and time.monotonic() >= kill_at:
                process.kill()
                kill_at = float("inf")
            if receiving.poll(0.0005):
                match receiving.recv():
                    case Offered(datagrams=datagrams):
                        life.offered.append(datagrams)
                    case Answered(datagrams=datagrams):
                        life.answered.append(datagrams)
    except (EOFError, OSError):
        pass
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(life.offered) - len(life.answered) in (0, 1)
    return life


def assert_explained(found: Snapshot, before: Snapshot, life: Life) -> None:
    memory = remembered(before)
    reference = Bench(memory)
    for datagrams, answer in zip(life.offered, life.answered, strict=False):
        assert tuple(sends(reference.server.receive_all(datagrams, 0.0))) == answer
    if contents(found) != contents(memory.load()):
        (unanswered,) = life.offered[len(life.answered) :]
        reference.server.receive_all(unanswered, 0.0)
        assert contents(found) == contents(memory.load())


def nonce_of(datagram: Datagram) -> int:
    message = unwrap(datagram.payload)
    assert not isinstance(message, Ecm)
    return message.nonce
