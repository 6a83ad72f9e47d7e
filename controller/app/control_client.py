"""The other end of the control socket: asks a running fabric, one request at a time, and waits for the answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from controller.app.control_errors import ControlError
from controller.app.control_path import ControlPathError, default_path, running_paths, runtime_folder

# Whatever JSON can say; what a method answers is known where it is called.
Json: TypeAlias = Any

# Seconds that an answer may take unless a call says otherwise.
ANSWER_TIMEOUT = 60.0


class NotRunningError(Exception):
    """There is no running fabric to talk to, or it has gone away; the text says what to do."""


class ControlClient:
    """A connection to a running fabric; a context manager. Raises NotRunningError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(5.0)
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            reason = "nobody listens there" if isinstance(error, ConnectionRefusedError) else error.strerror or error
            raise NotRunningError(
                f"no fabric is running at {path}: {reason}; start one with: lispfabric up TOPOLOGY --detach"
            ) from None
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; what was asked for and not yet done is given up."""
        self._lines.close()
        self._socket.close()

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, timeout: float | None = ANSWER_TIMEOUT
    ) -> Json:
        """What a method answers; parameters that are None are left out.

        `timeout` in seconds, None for ever. Raises ControlError when it is refused, TimeoutError, NotRunningError when
        the fabric goes away.
        """
        self._next += 1
        given = {name: value for name, value in (params or {}).items() if value is not None}
        request = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": given}
        self._socket.settimeout(timeout)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while line := self._lines.readline():
                answer = json.loads(line)
                if answer.get("id") in (self._next, None):
                    return _outcome(answer)
        except TimeoutError:
            raise TimeoutError(f"{method}: no answer within {timeout} s; look at: lispfabric status") from None
        except (OSError, ValueError) as error:
            raise NotRunningError(f"{self.path}: the fabric went away during {method}: {error}") from None
        raise NotRunningError(f"{self.path}: the fabric went away during {method}")


def _outcome(answer: Mapping[str, Any]) -> Json:
    error = answer.get("error")
    if error is not None:
        raise ControlError(error.get("message", "no reason"), code=error.get("code", 0), data=error.get("data"))
    return answer.get("result")


def find(name: str | None = None, path: Path | None = None) -> Path:
    """The control socket that is meant: `path`, that of the fabric `name`, or that of the only one that runs.

    Raises NotRunningError when there is none, ControlPathError when there are several.
    """
    if path is not None:
        return path
    if name is not None:
        return default_path(name)
    answering = [candidate for candidate in running_paths() if answers(candidate)]
    if not answering:
        raise NotRunningError(
            f"no fabric is running (looked in {runtime_folder()}); start one with: lispfabric up TOPOLOGY --detach"
        )
    if len(answering) > 1:
        names = ", ".join(candidate.parent.name for candidate in answering)
        raise ControlPathError(f"several fabrics are running: {names}; say which one with --fabric NAME")
    return answering[0]


def answers(path: Path) -> bool:
    """Whether somebody listens at a control socket."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(os.fspath(path))
        except OSError:
            return False
    return True
