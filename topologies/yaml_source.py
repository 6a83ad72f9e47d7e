"""Topology files are configuration files like any other; their errors have a name of their own."""

from __future__ import annotations

from controller.app.yaml_source import FileError, Path_, path_text, place, read_yaml

TopologyError = FileError

__all__ = ["Path_", "TopologyError", "path_text", "place", "read_yaml"]
