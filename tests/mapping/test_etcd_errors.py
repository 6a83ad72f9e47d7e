"""What the etcd store says without an etcd: each error is one line that names the place and what to do."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from controller.app.map_server_settings import MapServerSettings
from controller.app.settings import read
from controller.app.yaml_source import FileError
from controller.mapping import StoreError, etcd_owner
from controller.mapping.etcd_cluster import EtcdCluster, Tls
from controller.mapping.etcd_store import EtcdStore
from tests.interop.processes import write
from tests.interop.test_processes import server_settings


def test_without_the_extra_it_says_how_to_get_it() -> None:
    advice = r"^etcd://h:2379/ms: needs the package etcd3gw: pip install 'lispfabric\[etcd\]'$"
    with patch.dict(sys.modules, {"etcd3gw": None}), pytest.raises(StoreError, match=advice):
        EtcdStore(["h:2379"], "ms")


@pytest.mark.parametrize("name", ["", "a/b", "ä", "a b", "x" * 129])
def test_a_name_that_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(StoreError, match=r"^etcd://h/.*: a name has letters, digits and \. _ : - only$"):
        EtcdStore(["h"], name)


class Gateway(BaseHTTPRequestHandler):
    """Answers every request with what the test says."""

    status, answer = 200, b""

    def do_POST(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[str]:
    _need_client()
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _need_client() -> None:
    pytest.importorskip("etcd3gw", reason="NOT RUN: etcd3gw is not installed (pip install '.[etcd]')")


def refused(*endpoints: str, tls: Tls | None = None) -> str:
    _need_client()
    with pytest.raises(StoreError) as caught:
        EtcdStore(endpoints, "ms", tls=tls)
    text = str(caught.value)
    assert text.startswith(f"etcd://{','.join(endpoints)}/ms: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("endpoint", ["", "a b", "h:x", "h:99999", "http://h:2379", "h/x", "u@h"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    assert "is not HOST:PORT of a member of an etcd cluster" in refused(endpoint)


def test_members_that_are_gone_are_all_named() -> None:
    assert refused("127.0.0.1:1", "127.0.0.1:2").endswith(
        ": 127.0.0.1:1: Connection refused; 127.0.0.1:2: Connection refused:"
        " is etcd running, with a majority of its members, there?"
    )


def test_one_that_never_answers_is_waited_for_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, patch.object(EtcdCluster, "call", limited(0.2)):
        begin = time.monotonic()
        assert "no answer within 0.2 s" in refused(f"127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < etcd_owner.ANSWER_SECONDS


def limited(most: float) -> Any:
    call = EtcdCluster.call
    return lambda self, method, body, seconds: call(self, method, body, min(seconds, most))


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (200, b"<html>a web server", "is no etcd 3.4 or later"),
        (200, b"{}", "is no etcd 3.4 or later"),
        (200, b"[]", "is no etcd 3.4 or later"),
        (200, b'{"header":{}}', "an answer is not etcd's"),
        (404, b"404 page not found", "404 page not found"),
        (503, b'{"error":"etcdserver: no leader","code":14}', "no leader.*: is etcd running, with a majority"),
        (
            429,
            b'{"error":"etcdserver: mvcc: database space exceeded","code":8}',
            "database space exceeded: compact and defragment etcd",
        ),
        (400, b'{"error":"etcdserver: user name is empty","code":3}', "user name is empty: .*store.certificate_file"),
        (403, b'{"error":"etcdserver: permission denied","code":7}', "/ms: etcdserver: permission denied$"),
    ],
)
def test_what_another_server_or_a_sick_etcd_says(gateway: str, status: int, answer: bytes, says: str) -> None:
    with patch.multiple(Gateway, status=status, answer=answer), pytest.raises(StoreError, match=says) as caught:
        EtcdStore([gateway], "ms")
    assert gateway in str(caught.value)


def test_a_missing_certificate_is_named(gateway: str, tmp_path: Path) -> None:
    assert "nowhere.pem" in refused(gateway, tls=Tls(tmp_path / "nowhere.pem"))


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ({}, "exactly one of file and etcd is needed"),
        ({"file": "a", "etcd": ["h:1"]}, "exactly one of file and etcd is needed"),
        ({"etcd": ["h:1"], "power_safe": True}, "power_safe is not for a store with etcd"),
        ({"file": "a", "name": "n"}, "name is not for a store with file"),
        ({"etcd": ["h:1"], "key_file": "k"}, "key_file needs certificate_file"),
        ({"etcd": ["h:1"], "certificate_file": "k"}, "certificate_file needs ca_file"),
        ({"etcd": []}, "etcd"),
        ({"etcd": ["http://h:1"]}, "etcd"),
        ({"etcd": ["h:1"], "name": "a/b"}, "name"),
    ],
)
def test_a_wrong_store_in_a_file_is_one_error(tmp_path: Path, store: dict[str, object], reason: str) -> None:
    file = write(tmp_path / "ms.yaml", server_settings(tmp_path, store=store))
    with pytest.raises(FileError, match=f"{file.name}.*store.*{reason}"):
        read(file, MapServerSettings)
