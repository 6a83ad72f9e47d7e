"""The control socket: requests and answers, and what a client can do wrong without harm to anybody else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controller.app import control
from controller.app.control import LINE_LIMIT, ControlServer, Session
from controller.app.control_client import ControlClient, NotRunningError, find
from controller.app.control_errors import INVALID_PARAMS, ControlError, invalid, unknown
from controller.app.control_path import ControlPathError


class Methods:
    """What the server under test can do."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.closed: list[str] = []
        self.cancelled = 0

    async def echo(self, params: Mapping[str, Any], session: Session) -> object:
        return dict(params)

    async def wait(self, params: Mapping[str, Any], session: Session) -> object:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "waited"

    async def refuse(self, params: Mapping[str, Any], session: Session) -> object:
        raise invalid("group", params.get("group"), "is taken")

    async def fail(self, params: Mapping[str, Any], session: Session) -> object:
        raise RuntimeError("a fault of ours")

    async def enter(self, params: Mapping[str, Any], session: Session) -> object:
        session.on_close(lambda: self.closed.append(params["name"]))
        return None


class Line:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def ask(self, **request: object) -> None:
        await self.send(json.dumps({"jsonrpc": "2.0", **request}).encode() + b"\n")

    async def answer(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.reader.readline(), 5)
        assert line, "the connection was closed"
        found: dict[str, Any] = json.loads(line)
        return found

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 5) == b""


@pytest.fixture
def methods() -> Methods:
    return Methods()


@pytest_asyncio.fixture
async def path(tmp_path: Path, methods: Methods) -> AsyncIterator[Path]:
    names = ("echo", "wait", "refuse", "fail", "enter")
    async with ControlServer(tmp_path / "run" / "c.sock", {name: getattr(methods, name) for name in names}) as server:
        yield server.path
    assert not server.path.exists()


async def connect(path: Path) -> Line:
    return Line(*await asyncio.open_unix_connection(os.fspath(path), limit=2 * LINE_LIMIT))


async def test_answers_interleave(path: Path, methods: Methods) -> None:
    line = await connect(path)
    await line.ask(id=1, method="wait")
    await line.ask(id="two", method="echo", params={"a": [1, "ü"]})
    assert await line.answer() == {"jsonrpc": "2.0", "id": "two", "result": {"a": [1, "ü"]}}
    methods.gate.set()
    assert await line.answer() == {"jsonrpc": "2.0", "id": 1, "result": "waited"}


async def test_a_notification_has_no_answer(path: Path) -> None:
    line = await connect(path)
    await line.ask(method="echo")
    await line.ask(method="refuse")
    await line.ask(id=3, method="echo")
    assert (await line.answer())["id"] == 3


async def test_an_error_names_field_and_value(path: Path) -> None:
    line = await connect(path)
    await line.ask(id=1, method="refuse", params={"group": "g7"})
    assert (await line.answer())["error"] == {
        "code": INVALID_PARAMS,
        "message": "group g7: is taken",
        "data": {"field": "group", "value": "g7"},
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"\xff\xfe\n", "request: not JSON"),
        (b"GET / HTTP/1.1\r\n", "request: not JSON"),
        (b"[" * 100_000 + b"\n", "request: not JSON"),
        (b"x" * (LINE_LIMIT + 2) + b"\n", f"request: more than {LINE_LIMIT} octets in a line"),
    ],
)
async def test_garbage_is_one_error_and_the_end_of_that_client_only(path: Path, sent: bytes, message: str) -> None:
    other, line = await connect(path), await connect(path)
    await line.send(sent)
    assert message in (await line.answer())["error"]["message"]
    assert await line.ended()
    await other.ask(id=1, method="echo")
    assert (await other.answer())["result"] == {}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], "request: an object is needed"),
        ({"id": 1}, "method: a text is needed"),
        ({"id": 1, "method": "nothing"}, "method nothing: there is none"),
        ({"id": 1, "method": "echo", "params": [1]}, "params: an object"),
        ({"id": [1], "method": "echo"}, "id: a text or a number"),
        ({"jsonrpc": "1.0", "id": 1, "method": "echo"}, "jsonrpc '1.0': must be '2.0'"),
        ({"id": 1, "method": "fail"}, "the request failed: RuntimeError: a fault of ours"),
    ],
)
async def test_a_bad_request_leaves_the_connection(path: Path, request_: object, message: str) -> None:
    line = await connect(path)
    await line.send(json.dumps(request_).encode() + b"\n\n")
    assert message in (await line.answer())["error"]["message"]
    await line.ask(id=2, method="echo")
    assert await line.answer() == {"jsonrpc": "2.0", "id": 2, "result": {}}


async def test_the_end_of_a_connection_is_noticed(path: Path, methods: Methods) -> None:
    line = await connect(path)
    for name in ("first", "second"):
        await line.ask(id=1, method="enter", params={"name": name})
        await line.answer()
    await line.ask(id=2, method="wait")
    await asyncio.sleep(0.05)
    line.writer.close()
    async with asyncio.timeout(5):
        while len(methods.closed) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (methods.closed, methods.cancelled) == (["second", "first"], 1)


async def test_requests_of_a_connection_are_bounded(path: Path, methods: Methods) -> None:
    line = await connect(path)
    for number in range(control.REQUESTS_LIMIT + 1):
        await line.ask(id=number, method="wait" if number < control.REQUESTS_LIMIT else "echo")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.reader.readline(), 0.2)
    methods.gate.set()
    assert len([await line.answer() for _ in range(control.REQUESTS_LIMIT + 1)]) == control.REQUESTS_LIMIT + 1


async def test_only_its_owner_can_open_it(path: Path) -> None:
    modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (path, path.parent)]
    assert modes == [0o600, 0o700]


async def test_a_second_fabric_does_not_take_the_socket(path: Path) -> None:
    with pytest.raises(ControlPathError, match="a running fabric has it"):
        await ControlServer(path).__aenter__()
    assert await asyncio.to_thread(lambda: ControlClient(path).call("echo")) == {}


async def test_a_stale_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fspath(stale))
    async with ControlServer(stale):
        pass
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(ControlPathError, match="no socket; remove it"):
        await ControlServer(file).__aenter__()
    assert file.read_text() == "precious"
    with pytest.raises(ControlPathError, match="longer than the 107 octets"):
        await ControlServer(tmp_path / ("x" * 108)).__aenter__()


async def test_the_client(path: Path) -> None:
    def talk() -> None:
        with ControlClient(path) as client:
            assert client.call("echo", {"a": 1, "b": None}) == {"a": 1}
            with pytest.raises(ControlError, match="group g: is taken") as refused:
                client.call("refuse", {"group": "g"})
            assert refused.value.data == {"field": "group", "value": "g"}
            with pytest.raises(TimeoutError, match=r"wait: no answer within 0\.05 s"):
                client.call("wait", timeout=0.05)

    await asyncio.to_thread(talk)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NotRunningError, match="start one with: lispfabric up"):
        ControlClient(tmp_path / "nothing")
    with pytest.raises(NotRunningError, match="no fabric is running"):
        find()
    assert find("lab") == tmp_path / "lispfabric" / "lab" / "control.sock"


async def test_the_only_running_fabric_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with ControlServer(find("one")):
        assert await asyncio.to_thread(find) == find("one")
        async with ControlServer(find("two")):
            with pytest.raises(ControlPathError, match="several fabrics are running: one, two; say which"):
                await asyncio.to_thread(find)


def test_close_matches() -> None:
    assert "did you mean acc1" in str(unknown("accelerator", "ac1", ["acc1", "acc2", "S-A"], "accelerator"))
    assert "there are A1, A2" in str(unknown("switch", "zzz", ["A1", "A2"], "switch"))
