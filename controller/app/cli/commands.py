"""All commands that operate a running fabric."""

from __future__ import annotations

import typer

from controller.app.cli import capture, collectives, drills, hosts, lifecycle, packets, show, web


def add_to(app: typer.Typer) -> None:
    """Make the commands part of an application."""
    lifecycle.add_to(app)
    app.add_typer(show.app, name="show")
    app.add_typer(collectives.app, name="incc")
    for family in (packets, drills, capture, hosts, web):
        family.add_to(app)
