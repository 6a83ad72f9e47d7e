"""The control socket of a running fabric: JSON-RPC 2.0 over a Unix stream socket, one JSON object a line.

Requests of a connection are answered as they are done, so answers may come in another order than the requests; the
`id` tells which is which. Whoever may open the socket may do everything, so its mode is 0600.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.app.control_errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    ControlError,
)
from controller.app.control_path import PATH_LIMIT, ControlPathError, make_folder

log = logging.getLogger(__name__)

# Octets of a request's line; and requests of one connection that may be under way.
LINE_LIMIT = 1 << 20
REQUESTS_LIMIT = 64


class Session:
    """One connection of a client.

    Attributes:
        closed: whether it has ended.
    """

    def __init__(self) -> None:
        self.closed = False
        self._callbacks: list[Callable[[], object]] = []

    def on_close(self, callback: Callable[[], object]) -> None:
        """When the connection ends, for whatever reason, `callback` is called; the last one first."""
        self._callbacks.append(callback)

    def close(self) -> None:
        """The connection has ended."""
        self.closed = True
        while self._callbacks:
            try:
                self._callbacks.pop()()
            except Exception:
                log.exception("control: what was to be done at the end of a connection failed")


# Is given a request's parameters and its connection; what it returns has to be JSON. Raises ControlError to refuse.
Method = Callable[[Mapping[str, Any], Session], Awaitable[object]]


class ControlServer:
    """Serves `methods` at the socket `path`; an async context manager.

    Attributes:
        path: of the socket.
        methods: what can be asked for, by name; more may be added at any time.
    """

    def __init__(self, path: Path, methods: Mapping[str, Method] | None = None) -> None:
        self.path = path
        self.methods: dict[str, Method] = dict(methods or {})
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ControlServer:
        """Raises ControlPathError when no socket can be there or a running fabric has it."""
        sock = _bind(self.path)
        found = self.path.stat()
        self._identity = found.st_dev, found.st_ino
        self._server = await asyncio.start_unix_server(self._accept, sock=sock, limit=LINE_LIMIT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all connections, and removes the socket; may be called more than once."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with contextlib.suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Connection(self.methods, reader, writer).serve()
        except asyncio.CancelledError:
            pass  # the fabric is taken down
        finally:
            self._connections.discard(task)


class _Connection:
    """Reads requests, and writes answers as they are ready."""

    def __init__(
        self, methods: Mapping[str, Method], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._methods = methods
        self._reader = reader
        self._writer = writer
        self._session = Session()
        self._room = asyncio.Semaphore(REQUESTS_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the client ends, or says what cannot be understood; requests under way then are given up."""
        try:
            while line := await self._line():
                if line.isspace():
                    continue
                await self._room.acquire()
                try:
                    request = _parse(line)
                except ControlError as error:
                    await self._answer(None, error=error)
                    break
                task = asyncio.create_task(self._perform(request))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        except ConnectionError:
            pass
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._session.close()
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:
            too_long = ControlError(f"request: more than {LINE_LIMIT} octets in a line", code=INVALID_REQUEST)
            await self._answer(None, error=too_long)
            return b""

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _perform(self, request: object) -> None:
        identifier: object = None
        silent = False
        try:
            identifier, silent = _identifier(request)
            method, params = self._resolve(request)
            result = await method(params, self._session)
            if not silent:
                await self._answer(identifier, result=result)
        except ControlError as error:
            if not silent:
                await self._answer(identifier, error=error)
        except ConnectionError:
            pass
        except Exception as error:
            log.exception("control: a request failed")
            problem = ControlError(f"the request failed: {type(error).__name__}: {error}", code=INTERNAL_ERROR)
            with contextlib.suppress(ConnectionError):
                await self._answer(identifier, error=problem)

    def _resolve(self, request: object) -> tuple[Method, Mapping[str, Any]]:
        assert isinstance(request, dict)
        name, params = request.get("method"), request.get("params", {})
        if request.get("jsonrpc", "2.0") != "2.0":
            version = {"field": "jsonrpc", "value": request["jsonrpc"]}
            raise ControlError(f"jsonrpc {request['jsonrpc']!r}: must be '2.0'", code=INVALID_REQUEST, data=version)
        if not isinstance(name, str):
            raise ControlError(
                "method: a text is needed", code=INVALID_REQUEST, data={"field": "method", "value": name}
            )
        if name not in self._methods:
            known = {"field": "method", "value": name}
            raise ControlError(f"method {name[:100]}: there is none of that name", code=METHOD_NOT_FOUND, data=known)
        if not isinstance(params, dict):
            wrong = {"field": "params", "value": params}
            raise ControlError("params: an object with named parameters is needed", code=INVALID_PARAMS, data=wrong)
        return self._methods[name], params

    async def _answer(self, identifier: object, *, result: object = None, error: ControlError | None = None) -> None:
        outcome = {"result": result} if error is None else {"error": error.as_json()}
        answer = json.dumps({"jsonrpc": "2.0", "id": identifier, **outcome}, separators=(",", ":"))
        self._writer.write(answer.encode() + b"\n")
        await self._writer.drain()


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"request: not JSON, one object a line: {error}", code=PARSE_ERROR) from None


def _identifier(request: object) -> tuple[object, bool]:
    """The id of a request, and whether it wants no answer (a notification)."""
    if not isinstance(request, dict):
        raise ControlError("request: an object is needed, one a line", code=INVALID_REQUEST)
    identifier = request.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, (str, int, float, type(None))):
        raise ControlError(
            "id: a text or a number is needed", code=INVALID_REQUEST, data={"field": "id", "value": None}
        )
    return identifier, "id" not in request


def _bind(path: Path) -> socket.socket:
    """A listening socket at a path that only this user can open; a stale one there is replaced."""
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise ControlPathError(f"{path}: longer than the {PATH_LIMIT} octets a socket's path can have; use --control")
    make_folder(path.parent)
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
    except OSError as error:
        sock.close()
        raise ControlPathError(f"{path}: no socket can be made there: {error.strerror}; use --control") from None
    finally:
        os.umask(before)
    sock.listen(128)
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlPathError(f"{path}: there is something that is no socket; remove it, or use --control")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                path.unlink(missing_ok=True)
                return
            if not isinstance(error, TimeoutError):
                raise ControlPathError(f"{path}: {error.strerror}; use --control") from None
    raise ControlPathError(f"{path}: a running fabric has it; take it down first (lispfabric down), or use --control")
