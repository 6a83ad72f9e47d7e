"""Loads a bmv2 JSON document into the program model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TypeVar

from softswitch.program.errors import ProgramError
from softswitch.program.load.actions import load_actions
from softswitch.program.load.cursor import Cursor
from softswitch.program.load.headers import load_headers
from softswitch.program.load.parser import load_deparsers, load_parsers
from softswitch.program.load.pipeline import load_pipelines
from softswitch.program.load.scope import Scope
from softswitch.program.load.stateful import (
    load_arrays,
    load_calculations,
    load_checksums,
    load_digests,
    load_enums,
    load_errors,
    load_field_lists,
    load_value_sets,
)
from softswitch.program.model import Program
from softswitch.program.pipeline import TableDef

T = TypeVar("T")

_MAJOR, _MAX_MINOR = 2, 24
REQUIRED_FIELDS = ("ingress_port", "packet_length", "instance_type", "egress_spec", "egress_port")


def load_program(text: str | bytes | Mapping[str, object]) -> Program:
    """The program in a JSON document, given as text or already parsed.

    Raises ProgramError, naming the place, if the document is malformed or is not a v1model program that this
    switch can run.
    """
    document = Cursor(dict(text) if isinstance(text, Mapping) else _parse(text))
    _check_version(document)
    scope = Scope()
    enums = load_enums(document)
    load_headers(document, scope)
    _check_required_fields(document, scope)
    errors = load_errors(document)
    load_value_sets(document, scope)
    load_calculations(document, scope)
    load_arrays(document, scope)
    parsers = load_parsers(document, scope)
    deparsers = load_deparsers(document, scope)
    load_actions(document, scope)
    pipelines = load_pipelines(document, scope)
    program_at = document.find("program")
    program = Program(
        name=program_at.text() if program_at else "",
        header_types=scope.header_types,
        headers=scope.headers,
        header_stacks=scope.stacks,
        header_unions=scope.unions,
        header_union_stacks=scope.union_stacks,
        aliases=scope.aliases,
        errors=errors,
        enums=enums,
        parser=_part(document, "parsers", parsers, "parser"),
        deparser=_part(document, "deparsers", deparsers, "deparser"),
        ingress=_part(document, "pipelines", pipelines, "ingress"),
        egress=_part(document, "pipelines", pipelines, "egress"),
        tables={
            name: node
            for pipeline in pipelines.values()
            for name, node in pipeline.nodes.items()
            if isinstance(node, TableDef)
        },
        actions=scope.actions,
        action_profiles=scope.action_profiles,
        calculations=scope.calculations,
        checksums=load_checksums(document, scope),
        counters=scope.counters,
        meters=scope.meters,
        registers=scope.registers,
        value_sets=scope.value_sets,
        digests=load_digests(document, scope),
        field_lists=load_field_lists(document, scope),
        digest=_digest(document.value),
    )
    _check_externs(document)
    return program


def _parse(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProgramError("", text[:40], f"is not JSON: {error}") from None


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _check_version(document: Cursor) -> None:
    meta = document.find("__meta__")
    version = meta.find("version") if meta else None
    if version is None:
        return  # written before versions were
    major, minor = version.exactly(2)
    if major.integer() != _MAJOR or minor.integer() > _MAX_MINOR:
        raise version.error(f"is not a version up to {_MAJOR}.{_MAX_MINOR} of the format")


def _check_required_fields(document: Cursor, scope: Scope) -> None:
    header = scope.headers.get("standard_metadata")
    for name in REQUIRED_FIELDS:
        aliased = f"standard_metadata.{name}" in scope.aliases
        if not aliased and (header is None or header.type.find(name) is None):
            raise document.get("headers").error(f"there is no field standard_metadata.{name}")


def _check_externs(document: Cursor) -> None:
    for at in document.items("extern_instances"):
        raise at.error("is an extern, which v1model does not have")


def _part(document: Cursor, key: str, parts: Mapping[str, T], name: str) -> T:
    if name not in parts:
        raise document.get(key).error(f"has none of name {name!r}")
    return parts[name]
