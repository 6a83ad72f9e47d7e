"""`lispfabric web`: a running fabric in a browser."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from controller.app.cli.connection import Control, Fabric, console, errors, fail
from controller.app.control_client import find


def web(
    listen: Annotated[str, typer.Option(help="Where, as HOST:PORT.")] = "127.0.0.1:8080",
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Show a fabric's state to browsers until interrupted: map-caches, registrations, drops. It can change nothing."""
    from controller.app.web import WebServer

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise fail(f"--listen {listen}: must be HOST:PORT")
    with errors():
        find(fabric, control)  # whether there is one to show; it may be another after a while
    try:
        server = WebServer((host.strip("[]"), int(port)), lambda: find(fabric, control))
    except OSError as error:
        raise fail(f"--listen {listen}: {error.strerror or error}") from None
    with server:
        console().print(f"http://{host}:{server.server_address[1]}/  Ctrl-C ends", markup=False)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def add_to(app: typer.Typer) -> None:
    """Make the command part of an application."""
    app.command(epilog="Example: lispfabric web; curl -s 'http://127.0.0.1:8080/api/map-cache?xtr=A1'")(web)
