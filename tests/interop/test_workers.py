"""A Map-Server of two processes at one address: what a peer sees, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.lisp import Eid, EidRecord, MapNotify, MapRegister, MapReply, RlocRecord, sign, verify
from tests.interop.processes import Daemon, daemon, write
from tests.interop.test_processes import D1, IID, KEY, SERVER, Peer, peer, server_settings

EIDS = [Eid.of(IID + number, "40.0.0.7") for number in range(4)]


def _file(folder: Path) -> Path:
    settings = server_settings(folder, store={"file": "state.sqlite"})
    settings["sites"][0]["prefixes"] = [{"iid": eid.iid, "prefix": "40.0.0.0/16", "host_routes": True} for eid in EIDS]
    return write(folder / "ms.yaml", settings)


@contextmanager
def _workers(file: Path) -> Iterator[Daemon]:
    with daemon("map-server", "--config", str(file), "--workers", "2") as server:
        server.says("SU-MS-D.0: listening")
        server.says("SU-MS-D.1: listening")
        yield server


def _children(server: Daemon) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.child.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def _ask_all(xtr: Peer, nonce: int) -> None:
    for number, eid in enumerate(EIDS):
        xtr.ask(nonce + number, eid)
        reply, _ = xtr.hears()
        assert isinstance(reply, MapReply)
        assert (reply.nonce, reply.records[0].key.iid) == (nonce + number, eid.iid)
        assert [loc.rloc for loc in reply.records[0].locators] == [D1]


def test_every_instance_has_one_worker_that_knows_it(tmp_path: Path) -> None:
    file = _file(tmp_path)
    with peer(D1) as d1:
        with _workers(file) as server:
            for number, eid in enumerate(EIDS):
                d1.register(7 + number, eid=eid)
                message, payload = d1.hears()
                assert isinstance(message, MapNotify)
                verify(payload, message, KEY)
                assert (message.nonce, message.records[0].key) == (7 + number, eid)
            _ask_all(d1, 200)
            assert server.end() == 0
        assert {file.name for file in tmp_path.glob("state.sqlite.?-of-2")} == {
            "state.sqlite.0-of-2",
            "state.sqlite.1-of-2",
        }
        with _workers(file) as server:
            _ask_all(d1, 300)
            assert server.end(signal.SIGINT) == 0


def test_a_message_about_instances_of_two_workers_is_refused_whole(tmp_path: Path) -> None:
    with _workers(_file(tmp_path)) as server, peer(D1) as d1:
        records = tuple(
            EidRecord.for_eid(eid, 1440, [RlocRecord(D1, local=True)], authoritative=True) for eid in EIDS[:2]
        )
        d1.send(sign(MapRegister(7, records, proxy_reply=True, merge=True, want_notify=True, xtr=d1.xtr), KEY))
        assert f"[{EIDS[1].iid}] 40.0.0.7/32" in server.says("reason=other-worker")
        d1.hears_nothing()


@pytest.mark.parametrize("number", [0, 1])
def test_when_a_worker_dies_all_end_and_say_so(tmp_path: Path, number: int) -> None:
    with _workers(_file(tmp_path)) as server:
        children = _children(server)
        assert len(children) == 2
        os.kill(children[number], signal.SIGKILL)
        assert server.child.wait(timeout=10) == 1
        assert f"error: worker {number} ended with -9: all are stopped" in server.says("error: worker")
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with _workers(_file(tmp_path)) as server:
        children = _children(server)
        server.child.kill()
        until = time.monotonic() + 10
        while any(_runs(child) for child in children):
            assert time.monotonic() < until
            time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_group_at_the_address_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path)
    with _workers(file):
        with daemon("map-server", "--config", str(file), "--workers", "2", ready="cannot listen at") as second:
            assert second.child.wait(timeout=10) == 1
        assert f"cannot listen at {SERVER}:4342" in second.log
