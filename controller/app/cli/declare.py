"""Commands that differ only in what they take and what they ask for: declared as data, not written out one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import typer

from controller.app.cli.connection import AsJson, Control, Fabric, ask, print_json
from controller.app.control_client import Json

# What a command takes, by parameter: an annotation as typer reads it. A parameter that may be left out is None then.
Parameters = Mapping[str, Any]

_CONTROL_OPTIONS = {"as_json": (AsJson, False), "fabric": (Fabric, None), "control": (Control, None)}


def declare(
    app: typer.Typer,
    name: str,
    method: str,
    about: str,
    example: str,
    required: Parameters,
    optional: Parameters,
    show: Callable[[Json], None],
    doing: str = "",
) -> None:
    """Adds a command that asks a running fabric for `method` with what was given, and shows the answer or prints JSON.

    `required` and `optional` are also the names of the parameters of the method. `doing` is shown while it takes, with
    the first thing that was given.
    """

    def command(as_json: bool, fabric: str | None, control: Path | None, **given: Any) -> None:  # noqa: ANN401
        first = next((value for value in given.values() if isinstance(value, str)), "")
        answer = ask(fabric, control, method, given, doing=f"{doing} {first} ..." if doing else "")
        if as_json:
            print_json(answer)
        else:
            show(answer)

    kind = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [Parameter(one, kind, annotation=taken) for one, taken in required.items()]
    parameters += [Parameter(one, kind, annotation=taken, default=None) for one, taken in optional.items()]
    parameters += [
        Parameter(one, kind, annotation=taken, default=default) for one, (taken, default) in _CONTROL_OPTIONS.items()
    ]
    # typer reads both.
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__doc__ = about
    app.command(name, epilog=f"Example: {example}")(command)
