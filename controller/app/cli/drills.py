"""`lispfabric fail`, `heal`, `attach`, `detach`, `move`: what changes in a fabric while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from controller.app.cli.connection import Accelerator, AsJson, Control, Fabric, ask, complete, console, print_json

Link = Annotated[str, typer.Argument(help="A link as ONE-OTHER.", autocompletion=complete("links"))]
Port = Annotated[
    str, typer.Argument(help="A port as SWITCH:NUMBER or SWITCH:PEER.", autocompletion=complete("switches"))
]
Xtr = Annotated[str, typer.Argument(help="An xTR.", autocompletion=complete("xtrs"))]
MapServer = Annotated[str, typer.Argument(help="A Map-Server.", autocompletion=complete("map_servers"))]
AtSwitches = Annotated[
    list[str] | None,
    typer.Argument(help="Access routers; by default all that it is cabled to.", autocompletion=complete("xtrs")),
]
ToSwitches = Annotated[list[str], typer.Argument(help="Access routers.", autocompletion=complete("xtrs"))]


def _still(answer: Mapping[str, Any]) -> None:
    if answer["waiting"]:
        console().print(f"not at rest yet: {answer['waiting']}", markup=False, style="yellow")


def _drill(method: str, kind: str, name: str, as_json: bool, fabric: str | None, control: Any) -> None:  # noqa: ANN401
    answer = ask(fabric, control, method, {kind: name}, doing=f"{method} {name} ...")
    if as_json:
        print_json(answer)
        return
    console().print(f"{name} {'is up again' if answer['up'] else 'is down'}", markup=False)
    _still(answer)


def _family(method: str, what: str) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help=what)

    @app.command(epilog=f"Example: lispfabric {method} link A3-F1; lispfabric {method} link D1-acc7")
    def link(name: Link, as_json: AsJson = False, fabric: Fabric = None, control: Control = None) -> None:
        """A link between two switches, or a switch and an accelerator: both ends lose or get carrier."""
        _drill(method, "link", name, as_json, fabric, control)

    @app.command(epilog=f"Example: lispfabric {method} port A1:acc1; lispfabric {method} port S-A:1")
    def port(name: Port, as_json: AsJson = False, fabric: Fabric = None, control: Control = None) -> None:
        """One port of a switch."""
        _drill(method, "port", name, as_json, fabric, control)

    @app.command(epilog=f"Example: lispfabric {method} xtr D1")
    def xtr(name: Xtr, as_json: AsJson = False, fabric: Fabric = None, control: Control = None) -> None:
        """An xTR: its control plane and all ports of its switch. Healed, it begins without what it knew."""
        _drill(method, "xtr", name, as_json, fabric, control)

    @app.command("map-server", epilog=f"Example: lispfabric {method} map-server SU-MS-D")
    def map_server(name: MapServer, as_json: AsJson = False, fabric: Fabric = None, control: Control = None) -> None:
        """A Map-Server: it answers nobody. Healed, it begins with what is in its store."""
        _drill(method, "map_server", name, as_json, fabric, control)

    return app


def _place(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    where = ", ".join(answer["attached_to"]) or "nowhere"
    console().print(f"{answer['accelerator']} is attached to {where}", markup=False)
    _still(answer)


def attach(
    accelerator: Accelerator,
    switches: AtSwitches = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """An accelerator comes up at access routers of its PoD; where it has no cable it gets one."""
    params = {"accelerator": accelerator, "switches": switches or []}
    _place(ask(fabric, control, "attach", params, doing=f"attach {accelerator} ..."), as_json)


def detach(
    accelerator: Accelerator,
    switches: AtSwitches = None,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """An accelerator leaves access routers, or all: its EIDs are withdrawn."""
    params = {"accelerator": accelerator, "switches": switches or []}
    _place(ask(fabric, control, "detach", params, doing=f"detach {accelerator} ..."), as_json)


def move(
    accelerator: Accelerator,
    switches: ToSwitches,
    as_json: AsJson = False,
    fabric: Fabric = None,
    control: Control = None,
) -> None:
    """An accelerator moves to other access routers of its PoD: make before break."""
    params = {"accelerator": accelerator, "switches": switches}
    _place(ask(fabric, control, "move", params, doing=f"move {accelerator} ..."), as_json)


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.add_typer(_family("fail", "Let something fail."), name="fail")
    app.add_typer(_family("heal", "Let something that has failed work again."), name="heal")
    app.command(epilog="Example: lispfabric attach acc1; lispfabric attach acc7 D1")(attach)
    app.command(epilog="Example: lispfabric detach acc7 D1")(detach)
    app.command(epilog="Example: lispfabric move acc1 A2")(move)
