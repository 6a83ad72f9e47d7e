"""The commands that operate a running fabric through its control socket: one file for each family of verbs."""

from controller.app.cli.commands import add_to

__all__ = ["add_to"]
