"""`lispfabric capture`: what passes a link or a switch, as lines or as a pcapng file."""

from __future__ import annotations

import base64
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from controller.app.cli.connection import Control, Fabric, complete, connected, console, fail
from controller.app.control_client import ControlClient
from controller.app.pcapng import PcapngWriter

DISSECTOR = Path(__file__).resolve().parent / "lispfabric.lua"

Where = Annotated[
    str,
    typer.Argument(
        help="A link (ONE-OTHER), a switch, or `control` for the control messages.",
        autocompletion=complete("links", "switches"),
    ),
]


def capture(
    where: Where,
    file: Annotated[
        Path | None, typer.Option("-w", "--write", help="Write a pcapng file; - for standard output.")
    ] = None,
    count: Annotated[int | None, typer.Option("-c", "--count", min=1, help="End after so many packets.")] = None,
    seconds: Annotated[float | None, typer.Option("-t", "--time", min=0.01, help="End after so many seconds.")] = None,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Show what passes a link, a switch or the control network, until interrupted; or write it for Wireshark.

    While it runs, packets of these links take a slower way through Python.
    """
    with connected(fabric, control) as client, ExitStack() as stack:
        opened = client.call("capture.open", {"where": where})
        writer = None
        if file is not None:
            try:
                out = sys.stdout.buffer if str(file) == "-" else stack.enter_context(file.open("wb"))
            except OSError as error:
                raise fail(f"--write {file}: {error.strerror}") from None
            writer = PcapngWriter(out)
            for interface in opened["interfaces"]:
                writer.add_interface(interface["name"], interface["description"], interface["link_type"])
        notes = Console(stderr=True, highlight=False)
        notes.print(f"capturing at {where}; Ctrl-C ends", markup=False)
        done = 0
        try:
            for packet in _packets(client, opened["capture"], count, seconds, notes):
                if writer is None:
                    console().print(f"{packet['about']}", markup=False)
                else:
                    data = base64.b64decode(packet["data"])
                    writer.write(packet["interface"], data, packet["at"], packet["direction"], packet["about"])
                done += 1
        except KeyboardInterrupt:
            pass
        except OSError as error:
            raise fail(f"--write {file}: {error.strerror}; {done} packets were written") from None
        if writer is not None:
            notes.print(f"{done} packets written to {file}; read them with: wireshark -X lua_script:{DISSECTOR} {file}")


def _packets(
    client: ControlClient, number: int, count: int | None, seconds: float | None, notes: Console
) -> Iterator[dict[str, Any]]:
    ends = None if seconds is None else time.monotonic() + seconds
    given = 0
    while ends is None or (left := ends - time.monotonic()) > 0:
        wait = 1.0 if ends is None else min(1.0, left)
        answer = client.call("capture.read", {"capture": number, "wait": wait})
        if answer["lost"]:
            notes.print(f"{answer['lost']} packets were lost: there are more than can be captured", style="yellow")
        for packet in answer["packets"]:
            yield packet
            given += 1
            if given == count:
                return


def dissector(
    install: Annotated[bool, typer.Option("--install", help="Copy it to Wireshark's personal plugins.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Another folder to copy it to.")] = None,
) -> None:
    """Print the path of the Lua dissector that explains Scale-Up and INCC headers to Wireshark, or install it."""
    if not install and folder is None:
        print(DISSECTOR)
        return
    target = folder or Path.home() / ".local" / "lib" / "wireshark" / "plugins"
    try:
        target.mkdir(parents=True, exist_ok=True)
        copied = shutil.copy(DISSECTOR, target)
    except OSError as error:
        raise fail(f"{target}: {error.strerror}") from None
    console().print(f"{copied}: Wireshark loads it when it starts", markup=False)


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.command(epilog="Example: lispfabric capture A3-F1 -w a3.pcapng -c 100; lispfabric capture control")(capture)
    app.command(epilog="Example: wireshark -X lua_script:$(lispfabric dissector) a3.pcapng")(dissector)
