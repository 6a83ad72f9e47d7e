"""A Map-Server that is killed with SIGKILL at any moment knows everything that it ever answered (PR-AUTH-6)."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from controller.lisp import Datagram, MapRegister, decode
from controller.mapping import Snapshot
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import Bench, drop_reason, events
from tests.mapping.stores.examples import contents
from tests.mapping.stores.lives import lives

ROUNDS = 10
LONG_LIFE = 300  # turns answered; long enough for the log to be brought into the file and begun anew


@pytest.mark.requirement("PR-AUTH-6")
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    """Also that a replay of any of it is refused, whenever the Map-Server was killed."""
    file = tmp_path / "mapping-system.db"

    def stored() -> Snapshot:
        with SqliteStore(file) as store:
            found = store.load()
            assert not store.damaged
        return found

    random = Random(6)
    answers = (random.choice([0, 1, random.randrange(300)]) if number else LONG_LIFE for number in range(ROUNDS))
    captured: list[Datagram] = []
    for life, _ in lives(file, answers, random, stored):
        captured += [
            datagram
            for datagrams, answer in zip(life.offered, life.answered, strict=False)
            for datagram in datagrams
            if answer and isinstance(decode(datagram.payload), MapRegister)
        ]
        copy = Path(shutil.copy(file, tmp_path / "copy.db"))
        replays_are_refused(copy, captured[-400:])
    assert len(captured) > 200
    last = stored()
    assert last.subscriptions
    assert last.contributions


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
