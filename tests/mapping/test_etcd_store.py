"""The etcd store, against a real etcd: it holds what memory would, also after a kill and when requests fail."""

from __future__ import annotations

from base64 import b64decode
from contextlib import ExitStack
from itertools import count
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.mapping import Change, MemoryStore, NonceFloor, Snapshot, StoreError, XtrKey, etcd_store
from controller.mapping.etcd_cluster import EtcdCluster
from controller.mapping.etcd_store import EtcdStore
from tests.mapping.etcd_process import Etcd, needs_etcd
from tests.mapping.harness import assert_restarts
from tests.mapping.stores.etcd import Raw, die, lease_ends, opened, place, small
from tests.mapping.stores.examples import CONTRIBUTION, ONE_OF_EACH, RECEIPT, XTR, contents, long_refresh
from tests.mapping.stores.histories import History, histories
from tests.mapping.stores.lives import lives
from tests.mapping.stores.mirror import assert_holds_what_memory_holds, remembered

pytestmark = needs_etcd
_numbers = count()


@given(histories(), st.sampled_from([1, 2, 1 << 16]), st.sampled_from([50, 1 << 19]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_it_holds_what_memory_holds(etcd: Etcd, history: History, stretch: int, part: int, killed: bool) -> None:
    """However much of the log is in the tables, in however many parts commits are, and however the process ended."""
    name = f"history-{next(_numbers)}"

    def end(store: EtcdStore) -> None:
        if killed:
            die(store)
            lease_ends(etcd, name)
        else:
            store.close()

    with small(stretch, part):
        assert_holds_what_memory_holds(history, lambda: opened(etcd, name), end)


@given(histories(), st.randoms(use_true_random=False), st.sampled_from([1, 1 << 16]), st.sampled_from([50, 1 << 19]))
@settings(max_examples=25, deadline=None)
def test_a_commit_that_failed_is_whole_or_not_there(
    etcd: Etcd, history: History, random: Random, stretch: int, part: int
) -> None:
    """Requests that never arrived, and answers that did not: the next commit undoes what was given up."""
    memory, name = MemoryStore(), f"faults-{next(_numbers)}"
    call = EtcdCluster.call

    def unreliable(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        fault = random.random() if method == "kv/txn" and faults else 1.0
        if fault < 0.2:
            raise StoreError("never sent")
        answer = call(self, method, body, seconds)
        if fault < 0.4:
            raise StoreError("the answer is lost")
        if fault < 0.5:
            return call(self, method, body, seconds)  # sent again to another member
        return answer

    with small(stretch, part), patch.object(EtcdCluster, "call", unreliable):
        faults = False
        store = opened(etcd, name)
        failed: list[list[Change]] = []
        for changes in filter(None, history):
            faults = True
            try:
                store.commit(changes)
            except StoreError:
                failed.append(changes)
            else:
                memory.commit(changes)
                failed = []
            faults = False
            assert contents(store.load()) == contents(memory.load())
            if random.random() < 0.5:  # as if it were killed at this moment
                die(store)
                lease_ends(etcd, name)
                store = opened(etcd, name)
                found = contents(store.load())
                assert not store.damaged
                if found != contents(memory.load()):
                    also = [remembered(memory.load(), given_up) for given_up in failed]
                    (memory, *_) = [one for one in also if contents(one.load()) == found]
                failed = []
        store.close()


def test_a_commit_that_was_given_up_never_counts_after_a_later_one(etcd: Etcd, name: str) -> None:
    late: list[dict[str, Any]] = []

    def on_its_way(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        late.append(body)
        raise StoreError("no answer")

    with opened(etcd, name) as store:
        store.commit([RECEIPT._replace(nonce=1)])
        with patch.object(EtcdCluster, "call", on_its_way), pytest.raises(StoreError, match="no answer"):
            store.commit([CONTRIBUTION])
        store.commit([RECEIPT._replace(nonce=2)])
        (body,) = late
        assert not store._cluster.call("kv/txn", body, 5.0).get("succeeded")
    with opened(etcd, name) as store:
        assert store.load() == Snapshot((), (RECEIPT._replace(nonce=2),))


@pytest.mark.parametrize("part", [50, 1 << 19])
def test_a_commit_whose_answer_is_lost_is_undone_by_the_next(etcd: Etcd, name: str, part: int) -> None:
    call = EtcdCluster.call

    def unheard(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        answer = call(self, method, body, seconds)
        if any(b"log/" in b64decode(one["request_put"]["key"])[-20:] for one in body.get("success", ())):
            raise StoreError("no answer")
        return answer

    with patch.object(etcd_store, "_PART_OCTETS", part), opened(etcd, name) as store:
        store.commit([RECEIPT._replace(nonce=1)])
        with patch.object(EtcdCluster, "call", unheard), pytest.raises(StoreError, match="no answer"):
            store.commit([CONTRIBUTION])
        store.commit([RECEIPT._replace(nonce=2)])
    with opened(etcd, name) as store:
        assert store.load() == Snapshot((), (RECEIPT._replace(nonce=2),))
        assert not store.damaged
        assert len([key for key in Raw(etcd, name).content(b"log/") if b"/" not in key[4:]]) == 2


def test_a_large_commit_is_there_whole_and_beyond_what_etcd_takes_at_once(etcd: Etcd, name: str) -> None:
    many: list[Change] = [RECEIPT._replace(xtr=XtrKey(number, bytes(16)), reply=bytes(5000)) for number in range(700)]
    with opened(etcd, name) as store:
        store.commit(many)
        die(store)
    lease_ends(etcd, name)
    with opened(etcd, name) as store:
        assert set(store.load().receipts) == set(many)
        keys = [key for key in Raw(etcd, name).content(b"log/") if b"/" in key[4:]]
        assert len(keys) >= 6
        Raw(etcd, name).delete(keys[2])
    with opened(etcd, name) as store:
        assert store.load() == Snapshot()
        assert [str(row) for row in store.damaged] == [
            "log 0000000000000001: is no commit of ours, or parts of it are missing"
        ]


def test_what_etcd_can_never_take_is_refused(etcd: Etcd, name: str) -> None:
    with (
        patch.multiple(etcd_store, _LARGEST_BODY=40),
        opened(etcd, name) as store,
        pytest.raises(StoreError, match=f"^{place(etcd, name)}: cannot hold a contribution of "),
    ):
        store.commit([*ONE_OF_EACH])


@pytest.mark.parametrize("change", [CONTRIBUTION._replace(xtr=XtrKey(40, b"short")), RECEIPT._replace(nonce=-1)])
def test_what_has_no_place_is_refused_with_its_whole_commit(etcd: Etcd, name: str, change: Change) -> None:
    with opened(etcd, name) as store:
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: cannot hold {type(change).__name__}"):
            store.commit([*ONE_OF_EACH, change])
        assert store.load() == Snapshot()


def test_the_log_stays_short_and_refreshes_in_it_small(etcd: Etcd, name: str) -> None:
    with patch.multiple(etcd_store, _STRETCH_OCTETS=5000, _TAKE_OVER_LEAST=4), opened(etcd, name) as store:
        for nonce in range(1, 200):
            store.commit([long_refresh(nonce, bytes(1000))])
        log = Raw(etcd, name).content(b"log/")
        assert 0 < len(log) < 50
        assert sum(map(len, log.values())) < 6000
        assert [receipt.nonce for receipt in store.load().receipts] == [199]
    with opened(etcd, name) as store:
        assert [receipt.nonce for receipt in store.load().receipts] == [199]
        assert not store.damaged


def test_names_share_nothing(etcd: Etcd, name: str) -> None:
    with opened(etcd, name) as one, opened(etcd, f"{name}.0-of-2") as other:
        one.commit([NonceFloor(XTR, 1)])
        other.commit([NonceFloor(XTR, 2)])
        assert (one.load().floors, other.load().floors) == ((NonceFloor(XTR, 1),), (NonceFloor(XTR, 2),))


def test_a_fabric_restarts_its_mapping_systems_from_etcd(etcd: Etcd) -> None:
    with ExitStack() as stack:
        stores: list[EtcdStore] = []

        def next_store() -> EtcdStore:
            stores.append(stack.enter_context(opened(etcd, f"fabric-{next(_numbers)}")))
            return stores[-1]

        assert_restarts(next_store)
        assert not any(store.damaged for store in stores)


@pytest.mark.requirement("PR-AUTH-6")
def test_what_was_answered_is_there_after_a_kill(etcd: Etcd, name: str) -> None:
    """As `test_killed_server` has it with a file."""

    def stored() -> Snapshot:
        lease_ends(etcd, name)
        with opened(etcd, name) as store:
            found = store.load()
            assert not store.damaged
        return found

    random = Random(7)
    answers = (random.randrange(60) if number else 100 for number in range(5))
    *_, (_, last) = lives((etcd.endpoint, name), answers, random, stored)
    assert last.contributions
    assert last.subscriptions
    assert any(key.startswith(b"receipt/") for key in Raw(etcd, name).content())
