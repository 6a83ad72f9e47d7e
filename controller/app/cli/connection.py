"""Which fabric a command speaks to, and what becomes of what goes wrong: one line, an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from controller.app.control_client import ControlClient, Json, NotRunningError, find
from controller.app.control_errors import ControlError
from controller.app.control_path import ControlPathError

# Exit codes; typer's own for a command line that cannot be understood is 2.
REFUSED, NOT_RUNNING, NO_WAY = 1, 3, 4

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused or failed, an error line says why; 2 not a valid command line; "
    "3 no such fabric is running; 4 the network did not deliver (ping without answer, trace that ends in a drop)."
)


def complete(kind: str, *more: str) -> Any:  # noqa: ANN401 - what typer takes
    """Completes an argument with the names of a kind in the running fabric; without one there is nothing to offer."""

    def names(context: typer.Context, incomplete: str) -> list[str]:
        try:
            path = find(context.params.get("fabric"), context.params.get("control"))
            with ControlClient(path) as client:
                known = client.call("names", timeout=1.0)
        except (NotRunningError, ControlPathError, ControlError, TimeoutError):
            return []
        found = [name for part in (kind, *more) for name in known.get(part, [])]
        return [name for name in found if name.startswith(incomplete)]

    return names


Fabric = Annotated[
    str | None, typer.Option("--fabric", help="Name of the fabric, where several are running.", envvar="LISPFABRIC")
]
Control = Annotated[Path | None, typer.Option("--control", help="Its control socket, if it is at another place.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Accelerator = Annotated[str, typer.Argument(help="An accelerator.", autocompletion=complete("accelerators"))]
Destination = Annotated[
    str, typer.Argument(help="An accelerator, IP address or AccID.", autocompletion=complete("accelerators"))
]


def console() -> Console:
    """Standard output, lines as long as they are."""
    return Console(soft_wrap=True, highlight=False)


def fail(message: str, code: int = REFUSED) -> typer.Exit:
    """Says what is wrong; raise what is returned."""
    Console(stderr=True, soft_wrap=True).print(f"error: {message}", style="red", markup=False, highlight=False)
    return typer.Exit(code)


def print_json(value: object) -> None:
    """A value for programs."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


@contextmanager
def errors() -> Iterator[None]:
    """Turns what can go wrong between here and the fabric into one line and an exit code."""
    try:
        yield
    except ControlError as error:
        raise fail(error.message) from None
    except (NotRunningError, ControlPathError) as error:
        raise fail(str(error), NOT_RUNNING) from None
    except TimeoutError as error:
        raise fail(str(error)) from None


@contextmanager
def connected(fabric: str | None, control: Path | None) -> Iterator[ControlClient]:
    """A connection to the fabric that is meant. Errors end the command."""
    with errors(), ControlClient(find(fabric, control)) as client:
        yield client


def ask(
    fabric: str | None,
    control: Path | None,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    doing: str = "",
) -> Json:
    """The answer to one request; `doing` is shown while it takes. Errors end the command."""
    with connected(fabric, control) as client:
        if not doing:
            return client.call(method, params)
        with Console(stderr=True).status(doing):
            return client.call(method, params)
