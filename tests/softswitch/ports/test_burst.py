"""Packets that come together are processed together."""

from __future__ import annotations

from softswitch.ports.burst import Burst


def test_work_is_put_off_to_the_end_of_the_outermost_burst_and_done_once() -> None:
    burst, done = Burst(), list[str]()

    def work() -> None:
        done.append("work")
        if len(done) < 2:
            with burst:
                assert burst.put_off(work)

    assert not burst.put_off(work)
    with burst:
        with burst:
            assert burst.put_off(work)
            assert burst.put_off(work)
        assert done == []
    assert done == ["work", "work"]
    assert not burst.put_off(work)
