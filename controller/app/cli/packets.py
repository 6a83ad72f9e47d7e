"""`lispfabric trace` and `lispfabric ping`: one packet and its way, or whether there is an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import mean
from typing import Annotated, Any

import typer
from rich.text import Text

from controller.app.cli.connection import (
    NO_WAY,
    Accelerator,
    AsJson,
    Control,
    Destination,
    Fabric,
    ask,
    connected,
    console,
    print_json,
)
from controller.app.control_client import ControlClient, Json

ScaleUp = Annotated[bool, typer.Option("--scale-up", help="By AccID, where an accelerator is named.")]


def trace(
    source: Accelerator,
    destination: Destination,
    scale_up: ScaleUp = False,
    source_port: Annotated[int | None, typer.Option(help="UDP source port: another flow, another way.")] = None,
    destination_port: Annotated[int | None, typer.Option(help="UDP destination port.")] = None,
    entropy: Annotated[int | None, typer.Option(help="Scale-Up: entropy, 16 bits: another flow.")] = None,
    ttl: Annotated[int | None, typer.Option(help="TTL or hop limit to begin with.")] = None,
    size: Annotated[int | None, typer.Option(help="Octets of payload.")] = None,
    changes: Annotated[bool, typer.Option("--changes", help="Show every header field that is written, too.")] = False,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Send one packet and tell its way: every switch, table and action, its headers, and why it was dropped."""
    params = {"source": source, "destination": destination, "scale_up": scale_up, "entropy": entropy, "ttl": ttl}
    params |= {"source_port": source_port, "destination_port": destination_port, "size": size}
    found = ask(fabric, control, "trace", params, doing="on its way ...")
    if as_json:
        print_json(found)
    else:
        _print_trace(found, changes)
    if not found["delivered"]:
        raise typer.Exit(NO_WAY)


def _print_trace(found: Mapping[str, Any], changes: bool) -> None:
    out = console()
    out.print(Text.assemble((f"{found['packet']}, from {found['source']}", "bold")))
    for number, hop in enumerate(found["hops"], start=1):
        sent = ", ".join(f"{one['to']} (port {one['port']})" for one in hop["out"]) or "nowhere"
        where = f" ({hop['role']}) from {hop['from']} to {sent}"
        out.print(Text.assemble(f"{number}. ", (hop["switch"], "bold"), where))
        out.print(Text(f"  in    {' / '.join(hop['headers'])}", "dim"))
        for lookup in hop["lookups"]:
            out.print(_lookup(lookup))
        for change in hop["changes"] if changes else ():
            out.print(Text(f"  set   {change['field']} {change['old']:#x} -> {change['new']:#x}", "dim"))
        for one in hop["out"]:
            end = f"  ({one['state']})" if one["state"] != "sent" else ""
            out.print(Text(f"  out   {' / '.join(one['headers'])}{end}"))
        if hop["dropped"] is not None:
            out.print(Text(f"  drop  {hop['dropped']['reason']}", "bold red"))
    for one in found["dropped"]:
        at = f" at {one['switch']}" if one["switch"] else ""
        out.print(Text(f"dropped{at}: {one['reason']} ({one['text']})", "red"))
    for name in dict.fromkeys(found["delivered"]):
        out.print(Text(f"delivered to {name}", "green"))


def _lookup(lookup: Mapping[str, Any]) -> Text:
    key = ", ".join(lookup["key"].values())
    params = ", ".join(f"{name}={value}" for name, value in lookup["params"].items())
    action = f"{lookup['action']}({params})" if lookup["action"] else "-"
    mark = "hit " if lookup["hit"] else "miss"
    return Text.assemble(f"  {mark}  ", (lookup["table"], "cyan"), f" [{key}] -> ", (action, "green"))


def ping(
    source: Accelerator,
    destination: Destination,
    count: Annotated[int, typer.Option("-c", "--count", min=1, help="How many times.")] = 3,
    interval: Annotated[float, typer.Option("-i", "--interval", min=0, help="Seconds between two.")] = 0.2,
    timeout: Annotated[float, typer.Option("-W", "--timeout", help="Seconds that an answer may take.")] = 2.0,
    size: Annotated[int, typer.Option("-s", "--size", help="Octets of payload.")] = 56,
    scale_up: ScaleUp = False,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """See whether one accelerator hears another: ICMP echo over IP, a load and its response over Scale-Up."""
    params = {"source": source, "destination": destination, "timeout": timeout, "size": size, "scale_up": scale_up}
    answers: list[Json] = []
    with connected(fabric, control) as client:
        for number in range(count):
            if number:
                time.sleep(interval)
            answers.append(_one(client, params, number + 1, quiet=as_json))
    times = [answer["milliseconds"] for answer in answers if answer["milliseconds"] is not None]
    if as_json:
        print_json({"sent": count, "received": len(times), "answers": answers})
    else:
        spread = f"; {min(times):.2f}/{mean(times):.2f}/{max(times):.2f} ms min/mean/max" if times else ""
        console().print(f"{len(times)} of {count} answered{spread}")
        if not times:
            console().print(f"why not? lispfabric trace {source} {destination}")
    if not times:
        raise typer.Exit(NO_WAY)


def _one(client: ControlClient, params: Mapping[str, Any], sequence: int, *, quiet: bool) -> Json:
    answer = client.call("ping", params)
    if not quiet:
        if answer["milliseconds"] is None:
            console().print(f"{sequence}: no answer from {answer['destination']} within {params['timeout']:g} s")
        else:
            life = f"TTL {answer['ttl']}"
            console().print(f"{sequence}: {answer['destination']} answered in {answer['milliseconds']:.2f} ms, {life}")
    return answer


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.command(epilog="Example: lispfabric trace acc1 acc7; lispfabric trace acc1 2 (by AccID)")(trace)
    app.command(epilog="Example: lispfabric ping acc1 acc7 -c 5; lispfabric ping acc1 acc2 --scale-up")(ping)
