"""What differs between a Tofino and the other targets: the device configuration, and how ports are numbered.

The compiler and its assembler leave a description of the program (``fabric.conf``, JSON) beside the files that it
names. ``bf_switchd`` is started with that file and needs no device configuration of the controller's. Stratum is
started without a program and takes all of it through P4Runtime, as one message: BfPipelineConfig of Stratum's
``bf.proto`` (stratum/hal/lib/barefoot).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from controller.p4rt.errors import P4InfoError

CONF_SUFFIX = ".conf"
MAX_PIPES = 4
MAX_LOCAL_PORT = (1 << 7) - 1


def device_port(pipe: int, local: int) -> int:
    """Number of a port in P4Runtime: the pipe (0 to 3) in the bits above the 7 of its number within the pipe.

    Raises ValueError for a number that there is not.
    """
    if not 0 <= pipe < MAX_PIPES:
        raise ValueError(f"pipe {pipe}, must be 0 to {MAX_PIPES - 1}")
    if not 0 <= local <= MAX_LOCAL_PORT:
        raise ValueError(f"port {local} of a pipe, must be 0 to {MAX_LOCAL_PORT}")
    return pipe << 7 | local


def stratum_config(conf: Path | str) -> bytes:
    """The device configuration that Stratum wants, from the compiler's ``.conf`` and the files that it names.

    A program of several pipelines has a profile for each: its context, its binary, and the pipes of the chip that run
    it (``pipe_scope``), of which none can run two.

    Relative paths in it are looked for beside it, whatever folder they begin with: the compiler writes them relative to
    the folder that it was started in. Raises P4InfoError naming file and field of what is missing or not as it should
    be.
    """
    path = Path(conf)
    program = _only(_only(_parsed(path), "p4_devices", path), "p4_programs", path)
    name = _text(program, "program-name", path)
    message: Any = _MESSAGE()
    message.p4_name = name
    message.bfruntime_info = _read(path, _text(program, "bfrt-config", path))
    pipelines = program.get("p4_pipelines")
    if not isinstance(pipelines, list) or not pipelines:
        raise P4InfoError(f"{path}: p4_pipelines: not a list of pipelines")
    owners: dict[int, str] = {}
    for pipeline in pipelines:
        if not isinstance(pipeline, dict):
            raise P4InfoError(f"{path}: p4_pipelines: {pipeline!r} is not a pipeline")
        scope = pipeline.get("pipe_scope")
        if not isinstance(scope, list) or not all(type(pipe) is int and 0 <= pipe < MAX_PIPES for pipe in scope):
            raise P4InfoError(f"{path}: pipe_scope: {scope!r}, must be pipes from 0 to {MAX_PIPES - 1}")
        profile = _text(pipeline, "p4_pipeline_name", path)
        for pipe in scope:
            if owners.setdefault(pipe, profile) != profile:
                raise P4InfoError(f"{path}: pipe_scope: pipe {pipe} is both of {owners[pipe]} and of {profile}")
        if not scope:
            raise P4InfoError(f"{path}: pipe_scope: {profile} has no pipe")
        message.profiles.add(
            profile_name=profile,
            context=_read(path, _text(pipeline, "context", path)),
            binary=_read(path, _text(pipeline, "config", path)),
            pipe_scope=scope,
        )
    encoded = message.SerializeToString(deterministic=True)
    assert isinstance(encoded, bytes)
    return encoded


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise P4InfoError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise P4InfoError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise P4InfoError(f"{path}: not a JSON object")
    return found


def _only(within: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """The one object in the list `name`: one device, one program."""
    found = within.get(name)
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise P4InfoError(f"{path}: {name}: must have one entry")
    return found[0]


def _text(within: Mapping[str, Any], name: str, path: Path) -> str:
    found = within.get(name)
    if not isinstance(found, str) or not found:
        raise P4InfoError(f"{path}: {name}: missing")
    return found


def _read(conf: Path, named: str) -> bytes:
    """A file that the description names."""
    parts = Path(named).parts
    candidates = [Path(named)] if Path(named).is_absolute() else []
    candidates += [conf.parent.joinpath(*parts[first:]) for first in range(len(parts))]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.read_bytes()
    raise P4InfoError(f"{conf}: {named}: there is no such file beside it")


def _message() -> type[Message]:
    """BfPipelineConfig, as published: the field numbers are all there is to it on the wire."""
    field = descriptor_pb2.FieldDescriptorProto
    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    file = descriptor_pb2.FileDescriptorProto(name="bf.proto", package="stratum.hal.barefoot", syntax="proto3")
    config = file.message_type.add(name="BfPipelineConfig")
    profile = config.nested_type.add(name="Profile")
    profile.field.add(name="profile_name", number=1, type=field.TYPE_STRING, label=one)
    profile.field.add(name="context", number=2, type=field.TYPE_BYTES, label=one)
    profile.field.add(name="binary", number=3, type=field.TYPE_BYTES, label=one)
    profile.field.add(name="pipe_scope", number=4, type=field.TYPE_UINT32, label=many)
    config.field.add(name="p4_name", number=1, type=field.TYPE_STRING, label=one)
    config.field.add(name="bfruntime_info", number=2, type=field.TYPE_BYTES, label=one)
    config.field.add(
        name="profiles",
        number=3,
        type=field.TYPE_MESSAGE,
        type_name=".stratum.hal.barefoot.BfPipelineConfig.Profile",
        label=many,
    )
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("stratum.hal.barefoot.BfPipelineConfig"))


_MESSAGE = _message()
