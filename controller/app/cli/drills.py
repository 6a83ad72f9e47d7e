"""`lispfabric fail`, `heal`, `attach`, `detach`, `move`: what changes in a fabric while it runs."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from controller.app.cli.connection import Accelerator, complete, console
from controller.app.cli.declare import declare
from controller.app.control_client import Json


class _Kind(NamedTuple):
    """What can fail: the parameter that names one, and what is said of it."""

    parameter: str
    argument: object
    about: str
    examples: tuple[str, ...]


_KINDS = (
    _Kind(
        "link",
        Annotated[str, typer.Argument(help="A link as ONE-OTHER.", autocompletion=complete("links"))],
        "A link between two switches, or a switch and an accelerator: both ends lose or get carrier.",
        ("A3-F1", "D1-acc7"),
    ),
    _Kind(
        "port",
        Annotated[
            str, typer.Argument(help="A port as SWITCH:NUMBER or SWITCH:PEER.", autocompletion=complete("switches"))
        ],
        "One port of a switch.",
        ("A1:acc1", "S-A:1"),
    ),
    _Kind(
        "xtr",
        Annotated[str, typer.Argument(help="An xTR.", autocompletion=complete("xtrs"))],
        "An xTR: its control plane and all ports of its switch. Healed, it begins without what it knew.",
        ("D1",),
    ),
    _Kind(
        "map_server",
        Annotated[str, typer.Argument(help="A Map-Server.", autocompletion=complete("map_servers"))],
        "A Map-Server: it answers nobody. Healed, it begins with what is in its store.",
        ("SU-MS-D",),
    ),
)

_AT_SWITCHES = Annotated[
    list[str] | None,
    typer.Argument(help="Access routers; by default all that it is cabled to.", autocompletion=complete("xtrs")),
]
_TO_SWITCHES = Annotated[list[str], typer.Argument(help="Access routers.", autocompletion=complete("xtrs"))]


def _show_state(answer: Json) -> None:
    console().print(f"{answer['name']} {'is up again' if answer['up'] else 'is down'}", markup=False)
    _show_waiting(answer)


def _show_place(answer: Json) -> None:
    where = ", ".join(answer["attached_to"]) or "nowhere"
    console().print(f"{answer['accelerator']} is attached to {where}", markup=False)
    _show_waiting(answer)


def _show_waiting(answer: Json) -> None:
    if answer["waiting"]:
        console().print(f"not at rest yet: {answer['waiting']}", markup=False, style="yellow")


def _family(method: str, what: str) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help=what)
    for kind in _KINDS:
        verb = kind.parameter.replace("_", "-")
        declare(
            app,
            verb,
            method,
            kind.about,
            "; ".join(f"lispfabric {method} {verb} {one}" for one in kind.examples),
            {kind.parameter: kind.argument},
            {},
            _show_state,
            doing=method,
        )
    return app


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    app.add_typer(_family("fail", "Let something fail."), name="fail")
    app.add_typer(_family("heal", "Let something that has failed work again."), name="heal")
    places = (
        (
            "attach",
            "An accelerator comes up at access routers of its PoD; where it has no cable it gets one.",
            "lispfabric attach acc1; lispfabric attach acc7 D1",
        ),
        (
            "detach",
            "An accelerator leaves access routers, or all: its EIDs are withdrawn.",
            "lispfabric detach acc7 D1",
        ),
    )
    accelerator = {"accelerator": Accelerator}
    for name, about, example in places:
        optional = {"switches": _AT_SWITCHES}
        declare(app, name, name, about, example, accelerator, optional, _show_place, doing=name)
    about = "An accelerator moves to other access routers of its PoD: make before break."
    required = accelerator | {"switches": _TO_SWITCHES}
    declare(app, "move", "move", about, "lispfabric move acc1 A2", required, {}, _show_place, doing="move")
