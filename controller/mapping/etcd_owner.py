"""The one process that writes below a prefix of an etcd cluster.

It holds the key `owner`, which belongs to a lease that a thread keeps alive. Every transaction asks whether that key
is as this process last wrote it, and writes it anew, with the transaction's number. So

* nothing is written any more by a process that has lost its lease, however late a transaction of it arrives;
* a transaction whose answer was lost, and that is sent again, is carried out once;
* one that was given up, and has not arrived yet, never will once a later one has.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn
from uuid import uuid4

from controller.mapping.etcd_cluster import (
    EtcdCluster,
    Json,
    KeyValue,
    RefusedError,
    get,
    key_values,
    number_in,
    put,
    text,
)
from controller.mapping.store import StoreError

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 3.0  # that a transaction may take; the Map-Server waits for it
_LOOK_SECONDS: Final = 0.2  # between looks at the lease of another owner
_TRIES: Final = 10  # one for each transaction that was given up and arrived meanwhile


class Owner:
    """Holds the key `owner`, of which `lease` is the life in seconds after the process died."""

    def __init__(self, connect: Callable[[], EtcdCluster], key: bytes, lease: int) -> None:
        """`connect` is called for each thread.

        If the present owner died, its lease is waited for. Raises StoreError if it lives, or etcd cannot be reached.
        """
        self._cluster = connect()
        self._keeping = connect()
        self._place = self._cluster.place
        self._key = key
        self._self = f"{socket.gethostname()}, process {os.getpid()}"
        self._token = uuid4().hex
        self._number = 0
        self._lost = ""
        self._created = self._changed = 0
        self._stopped = threading.Event()
        granted = self._cluster.call("lease/grant", {"TTL": lease, "ID": 0}, ANSWER_SECONDS)
        self._lease, self._seconds = (number_in(granted, self._place, name) for name in ("ID", "TTL"))
        try:
            self._acquire()
        except BaseException:
            self._revoke()
            self._keeping.close()
            self._cluster.close()
            raise
        self._thread = threading.Thread(target=self._keep, name="etcd lease", daemon=True)
        self._thread.start()

    def transact(self, operations: list[Json]) -> None:
        """Carry out all operations or none.

        Raises StoreError, after which they may still be carried out until the next transaction is.
        """
        if self._lost:
            raise StoreError(f"{self._place}: {self._lost}")
        self._number += 1
        mine = self._value()
        for _ in range(_TRIES):
            body = {
                "compare": [self._is("MOD", "mod_revision", self._changed)],
                "success": [put(self._key, mine, self._lease), *operations],
                "failure": [get(self._key)],
            }
            try:
                answer = self._cluster.call("kv/txn", body, ANSWER_SECONDS)
            except RefusedError as error:
                if "lease not found" in str(error):
                    self._lose()
                raise
            if answer.get("succeeded"):
                self._changed = number_in(answer, self._place, "header", "revision")
                return
            owner = self._owner(answer)
            if owner is None or owner.created != self._created:
                self._lose()
            self._changed = owner.changed
            if owner.value == mine:
                return  # it had been carried out, and the answer lost
        raise StoreError(f"{self._place}: etcd is too slow: transactions that were given up arrive again and again")

    def release(self) -> None:
        """Let others be the owner; may be called again."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self._lost = "is closed"
        self._revoke()
        self._keeping.close()
        self._cluster.close()

    def _lose(self) -> NoReturn:
        self._lost = (
            "the lease is lost, so another process may write here: nothing is stored any more; restart this Map-Server"
        )
        raise StoreError(f"{self._place}: {self._lost}")

    def _acquire(self) -> None:
        body = {
            "compare": [self._is("CREATE", "create_revision", 0)],
            "success": [put(self._key, self._value(), self._lease)],
            "failure": [get(self._key)],
        }
        first: KeyValue | None = None
        least = deadline = float("inf")
        while True:
            answer = self._cluster.call("kv/txn", body, ANSWER_SECONDS)
            if answer.get("succeeded"):
                self._created = self._changed = number_in(answer, self._place, "header", "revision")
                return
            owner = self._owner(answer)
            if owner is not None and owner.value == self._value():
                self._created, self._changed = owner.created, owner.changed
                return
            if owner is not None:
                left, whole = self._life(owner.lease)
                if first is None:
                    first, deadline = owner, time.monotonic() + whole + 1
                # A living owner writes, or renews its lease long before the end.
                alive = owner.changed != first.changed or left > least or time.monotonic() > deadline
                if alive or not owner.lease:
                    raise StoreError(f"{self._place}: is in use by {_name(owner.value)}")
                least = left
                time.sleep(_LOOK_SECONDS)
                self._renew(self._cluster, ANSWER_SECONDS)

    def _life(self, lease: int) -> tuple[int, int]:
        """Seconds that a lease still has, below 0 if it has ended, and those that it has when it is renewed."""
        answer = self._cluster.call("lease/timetolive", {"ID": lease}, ANSWER_SECONDS)
        return int(answer.get("TTL", 0)), int(answer.get("grantedTTL", 0))

    def _renew(self, cluster: EtcdCluster, seconds: float) -> bool:
        """Whether the lease lives on. Raises StoreError."""
        return "TTL" in cluster.call("lease/keepalive", {"ID": self._lease}, seconds).get("result", {})

    def _keep(self) -> None:
        """Renew the lease until it is lost or released."""
        silent = False
        pause = self._seconds / 3
        while not self._stopped.wait(pause):
            try:
                renewed = self._renew(self._keeping, max(pause, 1.0))
            except StoreError as error:
                if not silent:
                    log.warning("the lease is not renewed: %s", error)
                silent = True
                continue
            silent = False
            if not renewed:
                log.error("%s: the lease is lost", self._place)  # the next transaction finds so too
                return

    def _revoke(self) -> None:
        try:
            self._cluster.call("lease/revoke", {"ID": self._lease}, ANSWER_SECONDS)
        except RefusedError:
            pass  # it had ended
        except StoreError as error:
            log.warning("the lease ends by itself: %s", error)

    def _is(self, target: str, field: str, revision: int) -> Json:
        return {"key": text(self._key), "target": target, "result": "EQUAL", field: revision}

    def _owner(self, answer: Json) -> KeyValue | None:
        (response,) = answer["responses"]
        found = key_values(response["response_range"], self._place)
        return found[0] if found else None

    def _value(self) -> bytes:
        return json.dumps({"owner": self._self, "token": self._token, "transaction": self._number}).encode()


def _name(value: bytes) -> str:
    try:
        return str(json.loads(value)["owner"])
    except (ValueError, KeyError, TypeError):
        return f"an owner that is not ours: {value[:80]!r}"
