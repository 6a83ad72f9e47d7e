"""A forwarding pipeline as P4Runtime sees it: configuration, schema, forwarding state and notes, which go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from p4.config.v1 import p4info_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.binding import bind
from softswitch.p4runtime.device_config import unwrap
from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.notes import Notes
from softswitch.p4runtime.schema import Schema
from softswitch.program import Program, ProgramError, load_program
from softswitch.state import SwitchState


@dataclass(frozen=True, slots=True)
class VerifiedConfig:
    """A configuration that this switch can realise."""

    config: p4rt.ForwardingPipelineConfig
    program: Program
    schema: Schema


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A configuration with the forwarding state that reads and writes go to."""

    verified: VerifiedConfig
    state: SwitchState
    notes: Notes = field(default_factory=Notes)

    def __post_init__(self) -> None:
        for table in self.schema.tables.values():
            if not table.const:
                self.state.table(table.name).release_entries()

    @property
    def schema(self) -> Schema:
        """The objects of the P4Info."""
        return self.verified.schema


@lru_cache(maxsize=4)
def _program(document: bytes) -> Program:
    """The switches of a process that run the same program share what was read of it; nobody changes it."""
    return load_program(document)


@lru_cache(maxsize=4)
def _schema(p4info: bytes, program: Program) -> Schema:
    """The same for what the P4Info says of it."""
    return bind(p4info_pb2.P4Info.FromString(p4info), program)


def verify(config: p4rt.ForwardingPipelineConfig) -> VerifiedConfig:
    """Checks that program and P4Info are whole and fit each other.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming entity, place and value.
    """
    if not config.HasField("p4info"):
        raise invalid_argument("config.p4info is not set")
    try:
        program = _program(unwrap(config.p4_device_config))
    except ProgramError as error:
        raise invalid_argument(f"config.p4_device_config: {error}") from None
    kept = p4rt.ForwardingPipelineConfig()
    kept.CopyFrom(config)
    return VerifiedConfig(kept, program, _schema(config.p4info.SerializeToString(), program))
