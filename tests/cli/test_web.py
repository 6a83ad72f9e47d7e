"""`lispfabric web`: what a browser and a program are told, and what they are not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from controller.app.web import WebServer
from tests.cli.conftest import Commands


@pytest.fixture(scope="module")
def web(fabric: Commands) -> Iterator[WebServer]:
    with WebServer(("127.0.0.1", 0), lambda: fabric.control) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(web: WebServer, path: str, method: str = "GET", host: str | None = None) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", web.server_port, timeout=20)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_json_is_that_of_the_commands(web: WebServer, fabric: Commands) -> None:
    answer, body = get(web, "/api/registrations?pod=D&iid=8193")
    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")
    told = [(row["eid"], [one["name"] for one in row["rlocs"]]) for row in json.loads(body)]
    shown = fabric.json("show", "registrations", "--pod", "D", "--iid", "8193")
    assert told == [(row["eid"], [one["name"] for one in row["rlocs"]]) for row in shown] != []
    assert json.loads(get(web, "/api/status")[1])["name"] == "figure1"


def test_tables_have_the_cells_of_the_commands(web: WebServer, fabric: Commands) -> None:
    table = json.loads(get(web, "/table/registrations?pod=D&iid=8193")[1])
    lines = fabric.ok("show", "registrations", "--pod", "D", "--iid", "8193").splitlines()
    assert all(column in lines[0] for column in table["columns"])
    for cells, line in zip(table["rows"], lines[1:], strict=True):
        assert line.split()[:3] == cells[:3]
    for name in ("map-cache", "subscriptions", "groups", "rlocs", "drops"):
        answer, body = get(web, f"/table/{name}")
        assert answer.status == 200, body


def test_the_page_needs_nothing_from_elsewhere(web: WebServer) -> None:
    answer, body = get(web, "/")
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    page = body.decode()
    assert "http://" not in page
    assert "https://" not in page
    assert "innerHTML" not in page  # names of a topology are text


@pytest.mark.parametrize(
    "path", ["/api/stop", "/api/fail", "/api/", "/table/status", "/etc/passwd", "/../web.py", "/x"]
)
def test_only_what_shows_is_there(web: WebServer, fabric: Commands, path: str) -> None:
    answer, body = get(web, path)
    assert answer.status == 404
    assert "/table/map-cache" in json.loads(body)["error"]
    assert fabric.json("status")["name"] == "figure1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(web: WebServer, method: str) -> None:
    assert get(web, "/api/status", method)[0].status == 501


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/map-cache?xtr=A9", "xtr A9: no such xTR"),
        ("/api/map-cache?iid=red", "iid red: an integer from 0 to 16777215 is needed"),
        ("/table/drops?iid=4097", "iid 4097: no such parameter; there are pod, switch"),
    ],
)
def test_bad_filters_are_named(web: WebServer, path: str, message: str) -> None:
    answer, body = get(web, path)
    assert answer.status == 400
    assert message in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8080", 200), ("[::1]", 200), ("rebound.example", 403), ("", 403)]
)
def test_other_names_are_refused(web: WebServer, host: str, status: int) -> None:
    assert get(web, "/api/status", host=host)[0].status == status


def test_a_fabric_that_has_gone_is_said(tmp_path: Path) -> None:
    with WebServer(("127.0.0.1", 0), lambda: tmp_path / "control.sock") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        answer, body = get(server, "/api/status")
        server.shutdown()
        thread.join()
    assert answer.status == 503
    assert "no fabric is running" in json.loads(body)["error"]


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http", "192.0.2.77:8080"])
def test_where_it_cannot_listen(fabric: Commands, listen: str) -> None:
    assert fabric.error("web", "--listen", listen).startswith(f"error: --listen {listen}: ")
