"""A page that shows a running fabric to a browser, and the same as JSON. It only reads, over the control socket.

`/` is the page; `/api/NAME` what `lispfabric show NAME --json` or `status --json` prints, `/table/NAME` the same as
heads and cells; filters go into the query (`?xtr=A1&iid=4097`). Requests with the name of another host are refused:
a page of somebody else could else have its name resolved to this address, and read along.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from controller.app.cli.show import VIEWS
from controller.app.control_client import ControlClient, NotRunningError
from controller.app.control_errors import ControlError
from controller.app.control_path import ControlPathError

PAGE = Path(__file__).with_name("web.html")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_METHODS = {"status": "status", **{view.name: f"show.{view.name}" for view in VIEWS}}
_TABLES = {view.name: view for view in VIEWS}


class WebServer(ThreadingHTTPServer):
    """Serves one fabric."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], control: Callable[[], Path]) -> None:
        """`control` says for each request where the control socket is. Raises OSError when it cannot listen."""
        self.control = control
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def ask(self, name: str, query: str) -> Any:  # noqa: ANN401 - whatever JSON can say
        """The answer to a request for `name`. Raises KeyError for an unknown one, ControlError, NotRunningError."""
        method = _METHODS[name]
        params: dict[str, Any] = dict(parse_qsl(query))
        if params.get("iid", "").isdecimal():
            params["iid"] = int(params["iid"])
        with ControlClient(self.control()) as client:
            return client.call(method, params, timeout=10.0)


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    timeout = 30.0

    def do_GET(self) -> None:
        """Answers one request."""
        if not self._is_meant():
            self._json(
                HTTPStatus.FORBIDDEN, {"error": f"Host {self.headers.get('Host', '')}: not the name of this page"}
            )
            return
        parts = urlsplit(self.path)
        kind, _, name = parts.path.removeprefix("/").partition("/")
        try:
            if not parts.path.strip("/"):
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
            elif kind == "api":
                self._json(HTTPStatus.OK, self.server.ask(name, parts.query))
            elif kind == "table":
                view = _TABLES[name]
                rows = view.rows(self.server.ask(name, parts.query))
                cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
                self._json(HTTPStatus.OK, {"columns": list(view.columns), "rows": cells, "empty": view.empty})
            else:
                raise KeyError(name)
        except KeyError:
            known = ", ".join(["/", *(f"/api/{one}" for one in _METHODS), *(f"/table/{one}" for one in _TABLES)])
            self._json(HTTPStatus.NOT_FOUND, {"error": f"{parts.path}: there is no such page; there are {known}"})
        except ControlError as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": error.message})
        except (NotRunningError, ControlPathError, TimeoutError) as error:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})

    def _is_meant(self) -> bool:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return host in ("localhost", self.server.server_address[0])
        return True

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, "application/json", json.dumps(value, ensure_ascii=False).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: whoever wants to know who reads asks the kernel."""
