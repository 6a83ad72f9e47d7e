"""`lispfabric show ...`: the state of the mapping systems, the xTRs and the switches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from controller.app.cli.connection import complete
from controller.app.cli.declare import declare
from controller.app.cli.tables import print_table
from controller.app.control_client import Json

app = typer.Typer(no_args_is_help=True, help="Show the state of a running fabric.")

FILTERS = {
    "pod": Annotated[str | None, typer.Option("--pod", help="Only of this PoD.", autocompletion=complete("pods"))],
    "xtr": Annotated[str | None, typer.Option("--xtr", help="Only of this xTR.", autocompletion=complete("xtrs"))],
    "switch": Annotated[
        str | None, typer.Option("--switch", help="Only of this switch.", autocompletion=complete("switches"))
    ],
    "iid": Annotated[int | None, typer.Option("--iid", help="Only in this Instance-ID.")],
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """One verb.

    Attributes:
        name, about, example: of the command; the method of the control socket has the same name.
        filters: those that make sense for it.
        columns: by their heads: a field of the row, or what makes a cell of the row.
        empty: the sentence in place of a table without rows.
    """

    name: str
    about: str
    example: str
    filters: tuple[str, ...]
    columns: Mapping[str, str | Callable[[Row], object]]
    empty: str

    def rows(self, answer: Json) -> list[list[object]]:
        """The cells of each row, in the order of the columns."""
        return [[row[of] if isinstance(of, str) else of(row) for of in self.columns.values()] for row in answer]

    def show(self, answer: Json) -> None:
        """Prints a table."""
        print_table(tuple(self.columns), self.rows(answer), self.empty)


def _rlocs(row: Row) -> str:
    """`D1 (1/100), D2 (1/100, down)`; `D1 (1/100, in 4098)` where packets go in another Instance-ID, by an extranet."""
    return ", ".join(f"{one['name']} ({', '.join(_terms(one))})" for one in row["rlocs"])


def _terms(rloc: Row) -> Iterator[str]:
    yield f"{rloc['priority']}/{rloc['weight']}"
    if rloc["iid"] is not None:
        yield f"in {rloc['iid']}"
    if not rloc.get("reachable", True):
        yield "down"


def _registered_by(row: Row) -> str:
    return ", ".join(f"{one['xtr']} ({_seconds(one['expires_s'])})" for one in row["registered_by"])


def _action(row: Row) -> str:
    return str(row["kind"] if row["action"] is None else row["action"].lower().replace("_", "-"))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _answers(row: Row) -> str:
    return "not probed" if row["answers"] is None else _yes(row["answers"])


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


VIEWS = (
    View(
        "registrations",
        "Which EIDs are registered with which Map-Server, by whom, and for how long.",
        "lispfabric show registrations --pod D --iid 8193",
        ("pod", "xtr", "iid"),
        {
            "MAP-SERVER": "map_server",
            "IID": "iid",
            "EID": "eid",
            "RLOC-SET (PRIORITY/WEIGHT)": _rlocs,
            "REGISTERED BY (EXPIRES IN)": _registered_by,
        },
        "nothing is registered",
    ),
    View(
        "map-cache",
        "What each xTR does with packets to which EIDs.",
        "lispfabric show map-cache --xtr A1 --json",
        ("pod", "xtr", "iid"),
        {
            "XTR": "xtr",
            "IID": "iid",
            "EID": "eid",
            "ACTION": _action,
            "RLOC-SET (PRIORITY/WEIGHT)": _rlocs,
            "FROM": "source",
            "EXPIRES IN": lambda row: _seconds(row["expires_s"]),
        },
        "no xTR has an entry",
    ),
    View(
        "subscriptions",
        "Which xTR is told of changes of which EID-prefixes, and how many notifications it has not acknowledged.",
        "lispfabric show subscriptions --xtr A1",
        ("pod", "xtr", "iid"),
        {
            "MAP-SERVER": "map_server",
            "IID": "iid",
            "EID": "eid",
            "XTR": "xtr",
            "KIND": "kind",
            "UNACKNOWLEDGED": "unacknowledged",
        },
        "nobody has subscribed to anything",
    ),
    View(
        "groups",
        "Where each xTR sends copies of packets to which groups.",
        "lispfabric show groups --iid 4097",
        ("pod", "xtr", "iid"),
        {
            "XTR": "xtr",
            "IID": "iid",
            "GROUP": "group",
            "TO ACCELERATORS": lambda row: _list(row["receivers"]),
            "TO XTRS OF THE POD": lambda row: _list(row["pod"]),
            "TO OTHER PODS": lambda row: _list(row["fabric"]),
        },
        "no group has receivers",
    ),
    View(
        "rlocs",
        "Which RLOCs each xTR uses: whether they can be reached, and what was sent to them.",
        "lispfabric show rlocs --xtr A4",
        ("pod", "xtr"),
        {
            "XTR": "xtr",
            "RLOC": "rloc",
            "OF": "name",
            "EIDS": "eids",
            "ROUTED": lambda row: _yes(row["routed"]),
            "ANSWERS": _answers,
            "PACKETS": "packets",
            "OCTETS": "octets",
        },
        "no xTR uses an RLOC",
    ),
    View(
        "drops",
        "What switches dropped, by reason, since the fabric came up.",
        "lispfabric show drops --pod A",
        ("pod", "switch"),
        {"SWITCH": "switch", "WHERE": "where", "REASON": "reason", "PACKETS": "packets", "OCTETS": "octets"},
        "nothing was dropped",
    ),
)

for _view in VIEWS:
    declare(
        app,
        _view.name,
        f"show.{_view.name}",
        _view.about,
        _view.example,
        required={},
        optional={name: FILTERS[name] for name in _view.filters},
        show=_view.show,
    )
