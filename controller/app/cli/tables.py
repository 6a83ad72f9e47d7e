"""Rows as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from controller.app.cli.connection import console


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table without lines, or a sentence where it would be empty."""
    found = list(rows)
    if not found:
        console().print(empty, markup=False)
        return
    numbers = [all(isinstance(row[index], (int, float)) for row in found) for index in range(len(columns))]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name, number in zip(columns, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in found:
        table.add_row(*(Text("-" if cell is None or cell == "" else str(cell)) for cell in row))
    wide = console()
    wide.width = max(wide.width, 400)
    with wide.capture() as capture:
        wide.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())
