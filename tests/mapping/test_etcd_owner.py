"""The etcd store has one writer in the whole network, and another machine can go on where one died."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from controller.mapping import NonceFloor, StoreError
from tests.interop.processes import write
from tests.interop.test_processes import D1, peer, server_settings, survives_a_kill
from tests.mapping.etcd_process import Etcd, needs_etcd
from tests.mapping.stores.etcd import Raw, die, lease_ends, opened, place
from tests.mapping.stores.examples import ONE_OF_EACH, RECEIPT, XTR

pytestmark = needs_etcd


def test_one_process_at_a_time(etcd: Etcd, name: str) -> None:
    with opened(etcd, name, lease=3) as store:
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: is in use by .*, process [0-9]+$"):
            opened(etcd, name, lease=3)
        store.commit(ONE_OF_EACH)
    store.close()
    for use in (store.load, lambda: store.commit(ONE_OF_EACH)):
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: is closed$"):
            use()
    with opened(etcd, name) as store:
        assert len(store.load().receipts) == 1


def test_the_place_of_one_that_died_is_free_when_its_lease_ends(etcd: Etcd, name: str) -> None:
    dead = opened(etcd, name, lease=1)
    dead.commit(ONE_OF_EACH)
    die(dead)
    begin = time.monotonic()
    with opened(etcd, name, lease=1) as store:
        assert time.monotonic() - begin < 8.0
        assert len(store.load().receipts) == 1
        with pytest.raises(StoreError, match="the lease is lost"):
            dead.commit([RECEIPT._replace(nonce=1)])
        assert store.load().receipts == (RECEIPT,)


def test_whoever_lost_its_lease_writes_nothing_any_more(etcd: Etcd, name: str) -> None:
    with opened(etcd, name) as store:
        store.commit(ONE_OF_EACH)
        lease_ends(etcd, name)
        for _ in range(2):
            with pytest.raises(StoreError, match=f"^{place(etcd, name)}: the lease is lost.* restart this Map-Server"):
                store.commit([RECEIPT._replace(nonce=1)])
        with opened(etcd, name) as other:
            other.commit([NonceFloor(XTR, 5)])
            with pytest.raises(StoreError, match="the lease is lost"):
                store.commit([RECEIPT._replace(nonce=1)])
            store.close()
            other.commit([NonceFloor(XTR, 6)])
            assert other.load().receipts == (RECEIPT,)


def test_an_idle_store_keeps_its_lease(etcd: Etcd, name: str) -> None:
    with opened(etcd, name, lease=1) as store:
        time.sleep(2.5)
        store.commit(ONE_OF_EACH)


@pytest.mark.requirement("PR-AUTH-5", "PR-AUTH-6")
def test_a_map_server_on_another_machine_goes_on(etcd: Etcd, name: str, tmp_path: Path) -> None:
    """Two configuration files without anything in common but etcd, and two processes."""
    files = []
    for machine in ("one", "other"):
        (tmp_path / machine).mkdir()
        store = {"etcd": [etcd.endpoint], "name": name}
        files.append(write(tmp_path / machine / "ms.yaml", server_settings(tmp_path / machine, store=store)))
    with peer(D1) as d1:
        survives_a_kill(d1, files[0], files[1], lambda: lease_ends(etcd, name))
    assert b"owner" not in Raw(etcd, name).content()
