"""`lispfabric status` and `lispfabric down`."""

from __future__ import annotations

import time
from datetime import timedelta

import typer
from rich.console import Console

from controller.app.cli.connection import AsJson, Control, Fabric, ask, connected, console, fail, print_json

# Seconds that a fabric may take to end.
END_TIMEOUT = 30.0


def status(as_json: AsJson = False, fabric: Fabric = None, control: Control = None) -> None:
    """What runs, and what of it is not as it should be."""
    found = ask(fabric, control, "status")
    if as_json:
        print_json(found)
        return
    out = console()
    up = timedelta(seconds=int(time.time() - found["since"]))
    out.print(f"[bold]{found['name']}[/] is up for {up}, process {found['pid']}")
    out.print(
        f"{found['pods']} PoDs, {found['xtrs']} xTRs, {found['switches']} switches ({found['engine']}), "
        f"{found['accelerators']} accelerators, {found['mapping_systems']} mapping systems"
    )
    out.print(f"{found['control_messages']} control messages so far; P4Runtime at {found['p4runtime']}", markup=False)
    for field, words in (
        ("failed", "failed"),
        ("ports_down", "ports down"),
        ("detached", "attached nowhere"),
        ("elsewhere", "accelerators in other processes"),
    ):
        if found[field]:
            out.print(f"{words}: {', '.join(found[field])}", markup=False, style="yellow")


def down(fabric: Fabric = None, control: Control = None) -> None:
    """Take a running fabric down."""
    with connected(fabric, control) as client:
        name = client.call("status")["name"]
        client.call("stop")
        path = client.path
    with Console(stderr=True).status("down ..."):
        until = time.monotonic() + END_TIMEOUT
        while path.exists():
            if time.monotonic() > until:
                raise fail(f"{name} has not ended after {END_TIMEOUT:g} s; look at its log, or end its process")
            time.sleep(0.05)
    console().print(f"{name} is down", markup=False)


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.command(epilog="Example: lispfabric status --json")(status)
    app.command(epilog="Example: lispfabric down --fabric figure1")(down)
