"""Hands a stream of items to any number of readers, none of which can hold up the others or the source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription(Generic[T]):
    """One reader's share of a feed: an async iterator, and a context manager that ends the share.

    Attributes:
        dropped: items lost because this reader was too slow; the oldest go first.
    """

    def __init__(self, feed: Feed[T], limit: int) -> None:
        self._feed = feed
        self._items: deque[T] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item, in place of the oldest if there is no room."""
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._ready.set()

    def end(self) -> None:
        """No item follows; readers get what is left, and then the end."""
        self._ended = True
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.unsubscribe(self)


class Feed(Generic[T]):
    """A source of items; see `subscribe`.

    Args:
        limit: items a reader may be behind.
    """

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._readers: set[Subscription[T]] = set()

    def subscribe(self) -> Subscription[T]:
        """A reader of everything published from now on."""
        reader = Subscription(self, self._limit)
        self._readers.add(reader)
        return reader

    def unsubscribe(self, reader: Subscription[T]) -> None:
        """End a reader."""
        self._readers.discard(reader)
        reader.end()

    def publish(self, item: T) -> None:
        """Give `item` to every reader."""
        for reader in self._readers:
            reader.put(item)

    def close(self) -> None:
        """End every reader."""
        for reader in list(self._readers):
            self.unsubscribe(reader)
