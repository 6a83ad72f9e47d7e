"""A durable store beside one in memory: after the same changes, and however often it was opened, both hold the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from controller.mapping import Change, Gone, MemoryStore, Snapshot, Store
from controller.mapping.store_log import DamagedRow
from tests.mapping.stores.examples import contents
from tests.mapping.stores.histories import History


class DurableStore(Store, Protocol):
    damaged: tuple[DamagedRow, ...]

    def close(self) -> None: ...


S = TypeVar("S", bound=DurableStore)


def closed(store: DurableStore) -> None:
    store.close()


def assert_holds_what_memory_holds(
    history: History, open: Callable[[], S], end: Callable[[S], object] = closed
) -> None:
    """After each step of `history`, and once more in a last life that only looks.

    `end` is how a process leaves its store, `open` how the next one finds it.
    """
    memory, store = MemoryStore(), open()
    for changes in [*history, None]:
        if changes is None:
            end(store)
            store = open()
        else:
            memory.commit(changes)
            store.commit(changes)
        assert_alike(store, memory)
    store.close()


def assert_alike(store: DurableStore, memory: MemoryStore) -> None:
    assert contents(store.load()) == contents(memory.load())
    assert not store.damaged


def remembered(snapshot: Snapshot, changes: Iterable[Change] = ()) -> MemoryStore:
    """A memory that holds what a store had, and what `changes` made of it."""
    memory = MemoryStore()
    gone = map(Gone, snapshot.gone)
    memory.commit([*snapshot.contributions, *snapshot.receipts, *snapshot.subscriptions, *snapshot.floors, *gone])
    memory.commit(changes)
    return memory
