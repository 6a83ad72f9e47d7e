"""The commands that run one process each: `lispfabric map-server`, `lispfabric xtr`.

What they run is imported when they do: the other commands of the application start without it.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.app.limits import MAX_WORKERS

Config = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).")]
Check = Annotated[bool, typer.Option("--check", help="Only check the configuration file.")]


def map_server(
    config: Config,
    check: Check = False,
    workers: Annotated[
        int, typer.Option(min=1, max=MAX_WORKERS, help="Processes that share the address, by instance-ID.")
    ] = 1,
) -> None:
    """Run a Map-Server and Map-Resolver at UDP 4342 until it is interrupted; logs go to standard error."""
    from controller.app.daemon import run_map_server, run_map_server_workers
    from controller.app.map_server_settings import MapServerSettings, map_server_config
    from controller.app.settings import read
    from controller.mapping import Share

    with _errors():
        file = read(config, MapServerSettings)
        if check:
            map_server_config(file)
        elif workers == 1:
            _run(run_map_server(file))
        else:

            def work(number: int, sock: socket.socket) -> None:
                try:
                    with _errors():
                        _run(run_map_server(file, Share(number, workers), sock))
                except typer.Exit as end:  # said already
                    sys.exit(end.exit_code)

            run_map_server_workers(file, workers, work)


def xtr(
    config: Config,
    switch: Annotated[str | None, typer.Option(help="P4Runtime server of the switch: host:port or unix:path.")] = None,
    check: Check = False,
) -> None:
    """Run the control plane of an xTR at UDP 4342 until it is interrupted; logs go to standard error."""
    from controller.app.daemon import run_xtr
    from controller.app.settings import read
    from controller.app.xtr_settings import XtrSettings, xtr_config

    with _errors():
        file = read(config, XtrSettings)
        if check:
            xtr_config(file)
        else:
            _run(run_xtr(file, switch))


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.command("map-server", epilog="Example: lispfabric map-server -c pod-a.yaml --workers 2")(map_server)
    app.command("xtr", epilog="Example: lispfabric xtr -c a1.yaml --switch 127.0.0.1:9559")(xtr)


def _run(work: Coroutine[Any, Any, None]) -> None:
    import asyncio

    logging.getLogger("controller.app").setLevel(min(logging.INFO, logging.getLogger().level))
    asyncio.run(work)


class _errors:  # noqa: N801 - used as a context manager
    """Turns what a user can do something about into one line and exit code 1."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from controller.app.yaml_source import FileError
        from controller.mapping import StoreError
        from controller.p4rt.errors import P4RuntimeError

        if isinstance(error, (FileError, OSError, StoreError, P4RuntimeError)):
            print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
            raise typer.Exit(1) from None
