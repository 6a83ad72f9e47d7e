"""Stores in an etcd that a test runs, and what can happen to them there."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from controller.mapping import etcd_store
from controller.mapping.etcd_cluster import EtcdCluster, delete, put
from controller.mapping.etcd_store import EtcdStore
from tests.mapping.etcd_process import Etcd


def opened(etcd: Etcd, name: str, **options: Any) -> EtcdStore:
    return EtcdStore([etcd.endpoint], name, **options)


def place(etcd: Etcd, name: str) -> str:
    return f"etcd://{etcd.endpoint}/{name}"


class Raw:
    """The keys of a store, as another client of etcd sees and changes them."""

    def __init__(self, etcd: Etcd, name: str) -> None:
        self._cluster = EtcdCluster([etcd.endpoint], "raw")
        self._prefix = f"/lispfabric/{name}/".encode()

    def content(self, begin: bytes = b"") -> dict[bytes, bytes]:
        at, first = len(self._prefix), self._prefix + begin
        end = first[:-1] + bytes([first[-1] + 1])
        return {found.key[at:]: found.value for found in self._cluster.scan(first, end)}

    def put(self, key: bytes, value: bytes) -> None:
        self._cluster.call("kv/txn", {"success": [put(self._prefix + key, value)]}, 5.0)

    def delete(self, key: bytes) -> None:
        self._cluster.call("kv/txn", {"success": [delete(self._prefix + key)]}, 5.0)


def small(stretch: int, part: int) -> Any:
    """Limits of the store with which few commits are long."""
    return patch.multiple(etcd_store, _STRETCH_KEYS=stretch, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1, _PART_OCTETS=part)


def die(store: EtcdStore) -> None:
    """End as a killed process does: without a word, and without renewing the lease."""
    store._owner._stopped.set()
    store._owner._thread.join()


def lease_ends(etcd: Etcd, name: str) -> None:
    """What etcd does when the lease has run out, at once."""
    Raw(etcd, name).delete(b"owner")
