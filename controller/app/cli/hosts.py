"""`lispfabric exec`: a command at an accelerator that is a Linux host."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer

from controller.app.cli.connection import Accelerator, Control, Fabric, ask, fail

Command = Annotated[list[str], typer.Argument(help="What to run there, with its own options.")]


def execute(accelerator: Accelerator, command: Command, fabric: Fabric = None, control: Control = None) -> None:
    """Run a command at an accelerator of a fabric in namespaces; exits as the command does. Options come first."""
    host = ask(fabric, control, "host", {"accelerator": accelerator})
    try:
        ended = subprocess.run([*host["prefix"], *command], check=False)
    except OSError as error:
        raise fail(f"{host['prefix'][0]}: {error.strerror}") from None
    raise typer.Exit(ended.returncode)


def add_to(app: typer.Typer) -> None:
    """Make the command part of an application."""
    app.command(
        "exec",
        epilog="Example: lispfabric exec acc1 ping -c 2 40.0.0.7; lispfabric exec acc7 iperf3 -s -1",
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )(execute)
