"""No long pauses: what a Map-Server keeps is not visited by the collector, and its work leaves it nothing to find."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from controller.app import pauses
from controller.app.pauses import avoid_long_pauses
from controller.lisp import MapNotify
from tests.mapping.harness import Bench, drop_reason, eid

HOSTS = [eid(f"40.0.{number >> 8}.{number & 255}") for number in range(300)]


@pytest.fixture
def restored() -> Iterator[None]:
    before = list(gc.callbacks)
    yield
    gc.callbacks[:] = before
    gc.unfreeze()


@pytest.mark.usefixtures("restored")
def test_what_has_survived_is_visited_no_more() -> None:
    avoid_long_pauses()
    avoid_long_pauses()
    assert gc.callbacks.count(pauses._set_survivors_aside) == 1
    kept = [[number] for number in range(1000)]
    gc.collect(1)
    assert not any(found is kept[500] for found in gc.get_objects())
    assert gc.get_freeze_count() >= 1000


def test_the_work_of_a_map_server_leaves_no_cycles() -> None:
    bench = Bench()
    gc.collect()
    gc.disable()
    try:
        assert isinstance(bench.subscribe(bench.d4, eid("40.0.0.0/16"))[0], MapNotify)
        for number, host in enumerate(HOSTS):
            peer = (bench.d1, bench.d2)[number % 2]
            for outputs in (bench.register(peer, host), bench.register(peer, host), bench.request(bench.d3, host)):
                bench.d4.ack_all(bench.server, outputs, 0.0)
            bench.d4.ack_all(bench.server, bench.withdraw(peer, host), 0.0)
        bad = bench.d1.register(bench.endpoint, HOSTS[0])
        assert drop_reason(bench.server.receive(bad._replace(payload=bad.payload[:40]), 0.0)) == "malformed"
        bench.server.tick(1000.0)
        del bad, outputs
        assert gc.collect() == 0
    finally:
        gc.enable()
