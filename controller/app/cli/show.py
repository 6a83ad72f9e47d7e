"""`lispfabric show ...`: the state of the mapping systems, the xTRs and the switches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from controller.app.cli.connection import AsJson, Control, Fabric, ask, complete, print_json
from controller.app.cli.tables import print_table

app = typer.Typer(no_args_is_help=True, help="Show the state of a running fabric.")

Pod = Annotated[str | None, typer.Option("--pod", help="Only of this PoD.", autocompletion=complete("pods"))]
XtrName = Annotated[str | None, typer.Option("--xtr", help="Only of this xTR.", autocompletion=complete("xtrs"))]
SwitchName = Annotated[
    str | None, typer.Option("--switch", help="Only of this switch.", autocompletion=complete("switches"))
]
Iid = Annotated[int | None, typer.Option("--iid", help="Only in this Instance-ID.")]


def _rlocs(rlocs: Iterable[Mapping[str, Any]]) -> str:
    """`D1 (1/100), D2 (1/100, down)`."""
    return ", ".join(
        f"{one['name']} ({one['priority']}/{one['weight']}{'' if one.get('reachable', True) else ', down'})"
        for one in rlocs
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


@app.command(epilog="Example: lispfabric show registrations --pod D --iid 8193")
def registrations(
    pod: Pod = None,
    xtr: XtrName = None,
    iid: Iid = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Which EIDs are registered with which Map-Server, by whom, and for how long."""
    rows = ask(fabric, control, "show.registrations", {"pod": pod, "xtr": xtr, "iid": iid})
    if as_json:
        print_json(rows)
        return
    shown = (
        (
            row["map_server"],
            row["iid"],
            row["eid"],
            _rlocs(row["rlocs"]),
            ", ".join(f"{one['xtr']} ({_seconds(one['expires_s'])})" for one in row["registered_by"]),
        )
        for row in rows
    )
    columns = ("MAP-SERVER", "IID", "EID", "RLOC-SET (PRIORITY/WEIGHT)", "REGISTERED BY (EXPIRES IN)")
    print_table(columns, shown, "nothing is registered")


@app.command("map-cache", epilog="Example: lispfabric show map-cache --xtr A1 --json")
def map_cache(
    pod: Pod = None,
    xtr: XtrName = None,
    iid: Iid = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """What each xTR does with packets to which EIDs."""
    rows = ask(fabric, control, "show.map-cache", {"pod": pod, "xtr": xtr, "iid": iid})
    if as_json:
        print_json(rows)
        return
    shown = (
        (
            row["xtr"],
            row["iid"],
            row["eid"],
            row["kind"] if row["action"] is None else row["action"].lower().replace("_", "-"),
            _rlocs(row["rlocs"]),
            row["source"],
            _seconds(row["expires_s"]),
        )
        for row in rows
    )
    columns = ("XTR", "IID", "EID", "ACTION", "RLOC-SET (PRIORITY/WEIGHT)", "FROM", "EXPIRES IN")
    print_table(columns, shown, "no xTR has an entry")


@app.command(epilog="Example: lispfabric show subscriptions --xtr A1")
def subscriptions(
    pod: Pod = None,
    xtr: XtrName = None,
    iid: Iid = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Which xTR is told of changes of which EID-prefixes, and how many notifications it has not acknowledged."""
    rows = ask(fabric, control, "show.subscriptions", {"pod": pod, "xtr": xtr, "iid": iid})
    if as_json:
        print_json(rows)
        return
    fields = ("map_server", "iid", "eid", "xtr", "kind", "unacknowledged")
    columns = ("MAP-SERVER", "IID", "EID", "XTR", "KIND", "UNACKNOWLEDGED")
    print_table(columns, ([row[field] for field in fields] for row in rows), "nobody has subscribed to anything")


@app.command(epilog="Example: lispfabric show groups --iid 4097")
def groups(
    pod: Pod = None,
    xtr: XtrName = None,
    iid: Iid = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Where each xTR sends copies of packets to which groups."""
    rows = ask(fabric, control, "show.groups", {"pod": pod, "xtr": xtr, "iid": iid})
    if as_json:
        print_json(rows)
        return
    shown = (
        (row["xtr"], row["iid"], row["group"], *(", ".join(row[part]) for part in ("receivers", "pod", "fabric")))
        for row in rows
    )
    columns = ("XTR", "IID", "GROUP", "TO ACCELERATORS", "TO XTRS OF THE POD", "TO OTHER PODS")
    print_table(columns, shown, "no group has receivers")


@app.command(epilog="Example: lispfabric show rlocs --xtr A4")
def rlocs(
    pod: Pod = None,
    xtr: XtrName = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """Which RLOCs each xTR uses: whether they can be reached, and what was sent to them."""
    rows = ask(fabric, control, "show.rlocs", {"pod": pod, "xtr": xtr})
    if as_json:
        print_json(rows)
        return
    shown = (
        (
            row["xtr"],
            row["rloc"],
            row["name"],
            row["eids"],
            "yes" if row["routed"] else "NO",
            "not probed" if row["answers"] is None else "yes" if row["answers"] else "NO",
            row["packets"],
            row["octets"],
        )
        for row in rows
    )
    columns = ("XTR", "RLOC", "OF", "EIDS", "ROUTED", "ANSWERS", "PACKETS", "OCTETS")
    print_table(columns, shown, "no xTR uses an RLOC")


@app.command(epilog="Example: lispfabric show drops --pod A")
def drops(
    pod: Pod = None,
    switch: SwitchName = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """What switches dropped, by reason, since the fabric came up."""
    rows = ask(fabric, control, "show.drops", {"pod": pod, "switch": switch})
    if as_json:
        print_json(rows)
        return
    fields = ("switch", "where", "reason", "packets", "octets")
    columns = ("SWITCH", "WHERE", "REASON", "PACKETS", "OCTETS")
    print_table(columns, ([row[field] for field in fields] for row in rows), "nothing was dropped")
