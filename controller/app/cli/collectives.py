"""`lispfabric incc ...`: the groups whose collectives the switches compute."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.app.cli.connection import Accelerator, AsJson, Control, Fabric, ask, connected, console, print_json
from controller.app.cli.tables import print_table

app = typer.Typer(no_args_is_help=True, help="Collectives that the switches compute: their groups.")

Group = Annotated[str, typer.Argument(help="Name of a group.")]


@app.command(epilog="Example: lispfabric incc create ring acc1 acc2; lispfabric incc create ring --size 2")
def create(
    group: Group,
    members: Annotated[list[str] | None, typer.Argument(help="Accelerators, in the order of their ranks.")] = None,
    size: Annotated[int | None, typer.Option(help="Without members: the first so many that join.")] = None,
    at_least: Annotated[int | None, typer.Option(help="Begin with so many members; the others may come late.")] = None,
    domain: Annotated[str | None, typer.Option(help="INCC domain of the topology, if there are several.")] = None,
    slots: Annotated[int | None, typer.Option(help="Slots in each switch.")] = None,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """A new group in an INCC domain of the topology; it is formed when all its members have joined."""
    params = {"group": group, "members": members or [], "size": size, "domain": domain, "slots": slots}
    ask(fabric, control, "incc.create", params | ({} if at_least is None else {"at_least": at_least}))
    console().print(f"group {group} is there; its members join it, with their processes or: lispfabric incc join")


@app.command(epilog="Example: lispfabric incc join ring acc1")
def join(group: Group, accelerator: Accelerator, fabric: Fabric = None, control: Control = None) -> None:
    """Be a member until interrupted: waits until the group is complete, and tells what a member is told."""
    with connected(fabric, control) as client:
        try:
            told = client.call("incc.join", {"group": group, "accelerator": accelerator}, timeout=None)
            while True:
                print_json(told)
                params = {"group": group, "accelerator": accelerator, "generation": told["generation"]}
                told = client.call("incc.wait", params, timeout=None)
        except KeyboardInterrupt:
            client.call("incc.leave", {"group": group, "accelerator": accelerator})


@app.command(epilog="Example: lispfabric incc leave ring acc1")
def leave(group: Group, accelerator: Accelerator, fabric: Fabric = None, control: Control = None) -> None:
    """A member leaves; the others form the group anew."""
    ask(fabric, control, "incc.leave", {"group": group, "accelerator": accelerator})
    console().print(f"{accelerator} has left {group}", markup=False)


@app.command(epilog="Example: lispfabric incc destroy ring")
def destroy(group: Group, fabric: Fabric = None, control: Control = None) -> None:
    """A group ends: nothing of it stays in the switches."""
    ask(fabric, control, "incc.destroy", {"group": group}, doing=f"destroy {group} ...")
    console().print(f"group {group} is gone", markup=False)


@app.command(epilog="Example: lispfabric incc show; lispfabric incc show ring --json")
def show(
    group: Annotated[str | None, typer.Argument(help="Name of a group; all of them by default.")] = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """The groups: their members, and the tree of switches that combines what they send."""
    found = ask(fabric, control, "incc.show", {"group": group})
    if as_json:
        print_json(found)
        return
    groups = [found] if group is not None else found
    rows = (
        (
            one["name"],
            one["iid"],
            one["carrier"],
            one["eid"],
            one["state"],
            one["generation"],
            ", ".join(one["members"]),
            one["root"],
            ", ".join(name for name in one["tree"] if name != one["root"]),
        )
        for one in groups
    )
    columns = ("GROUP", "IID", "CARRIER", "EID", "STATE", "GENERATION", "MEMBERS", "ROOT", "BRANCHES")
    print_table(columns, rows, "there is no group")
