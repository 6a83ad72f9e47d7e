"""A feed's readers: each gets everything, none holds up another."""

from __future__ import annotations

import asyncio

from controller.p4rt.feed import Feed


async def test_every_reader_gets_what_is_published_while_it_reads() -> None:
    feed: Feed[int] = Feed()
    with feed.subscribe() as early:
        feed.publish(1)
        with feed.subscribe() as late:
            feed.publish(2)
            feed.close()
            assert [item async for item in early] == [1, 2]
            assert [item async for item in late] == [2]


async def test_a_reader_waits_for_what_comes() -> None:
    feed: Feed[str] = Feed()
    with feed.subscribe() as reader:
        waiting = asyncio.create_task(anext(reader))
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.publish("now")
        assert await waiting == "now"


async def test_a_slow_reader_loses_the_oldest_and_knows_how_many() -> None:
    feed: Feed[int] = Feed(limit=3)
    with feed.subscribe() as slow:
        for item in range(10):
            feed.publish(item)
        feed.close()
        assert [item async for item in slow] == [7, 8, 9]
        assert slow.dropped == 7


async def test_who_has_left_gets_nothing() -> None:
    feed: Feed[int] = Feed()
    with feed.subscribe() as reader:
        pass
    feed.publish(1)
    assert [item async for item in reader] == []
