"""A Map-Server that is killed with SIGKILL at any moment knows everything that it ever answered (PR-AUTH-6)."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from controller.lisp import Datagram, Ecm, MapRegister, decode
from controller.mapping import Gone, MemoryStore, Snapshot
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import Bench, drop_reason, events, sends, unwrap
from tests.mapping.killed_server import Answered, Offered, serve_until_killed

ROUNDS = 10
LONG_LIFE = 300  # turns answered; long enough for the log to be brought into the file and begun anew


@dataclass(slots=True)
class Life:
    """What a Map-Server was given and what it answered, until it was killed; the last turn it may not have answered."""

    offered: list[tuple[Datagram, ...]] = field(default_factory=list)
    answered: list[tuple[Datagram, ...]] = field(default_factory=list)


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


def contents(snapshot: Snapshot) -> tuple[frozenset[object], ...]:
    return tuple(map(frozenset, (snapshot.contributions, snapshot.receipts, snapshot.subscriptions, snapshot.gone)))


def remembered(snapshot: Snapshot) -> MemoryStore:
    memory = MemoryStore()
    gone = map(Gone, snapshot.gone)
    memory.commit([*snapshot.contributions, *snapshot.receipts, *snapshot.subscriptions, *gone])
    return memory


def stored(file: Path) -> Snapshot:
    with SqliteStore(file) as store:
        snapshot = store.load()
        assert not store.damaged
    return snapshot


@pytest.mark.requirement("PR-AUTH-6")
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    """Lives of one Map-Server, each ended by SIGKILL. What its file then holds is what memory holds after the same
    datagrams: all those that were answered, and perhaps the one that was not yet.
    """
    file = tmp_path / "mapping-system.db"
    random = Random(6)
    before = Snapshot()
    captured: list[Datagram] = []
    nonce = 0
    for number in range(ROUNDS):
        answers = random.choice([0, 1, random.randrange(300)]) if number else LONG_LIFE
        life = live(file, number, nonce, answers, random.uniform(0, 0.02))
        memory = remembered(before)
        reference = Bench(memory)
        for datagrams, answer in zip(life.offered, life.answered, strict=False):
            assert tuple(sends(reference.server.receive_all(datagrams, 0.0))) == answer
        found = stored(file)
        if contents(found) != contents(memory.load()):
            (unanswered,) = life.offered[len(life.answered) :]
            reference.server.receive_all(unanswered, 0.0)
            assert contents(found) == contents(memory.load())
        before = found
        captured += [
            datagram
            for datagrams, answer in zip(life.offered, life.answered, strict=False)
            for datagram in datagrams
            if answer and isinstance(decode(datagram.payload), MapRegister)
        ]
        nonce = max([nonce, *(nonce_of(datagram) for datagrams in life.offered for datagram in datagrams)])
        copy = Path(shutil.copy(file, tmp_path / "copy.db"))
        replays_are_refused(copy, captured[-400:])
    assert len(captured) > 200
    assert before.subscriptions
    assert before.contributions


def nonce_of(datagram: Datagram) -> int:
    message = unwrap(datagram.payload)
    assert not isinstance(message, Ecm)
    return message.nonce


def replays_are_refused(file: Path, captured: list[Datagram]) -> None:
    """Every registration that was answered, sent again to a Map-Server that starts from the file."""
    with SqliteStore(file) as store:
        bench = Bench(store)
        bench.server.tick(0.0)  # subscribers are told what they may have missed
        before, told = contents(store.load()), bench.state()
        latest = {one.source.address: one for one in captured}
        for one in captured:
            outputs = bench.server.receive(one, 0.0)
            if latest[one.source.address] is one and events(outputs, "map-register-repeated"):
                continue  # it was the very last: the same answer again
            assert drop_reason(outputs) == "replay"
        assert (contents(store.load()), bench.state()) == (before, told)
