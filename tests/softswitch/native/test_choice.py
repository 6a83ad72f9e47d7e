"""Which engine a switch runs, and what it says about it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from softswitch.native.cache import ObjectCache
from softswitch.native.engine import compile_program
from softswitch.ports import HostPort
from softswitch.program import Program, ProgramError, load_program
from softswitch.reference import Event
from softswitch.reference.trace import Received
from softswitch.switch import Switch
from tests.softswitch.engine.support import COMPILED, program


def untranslatable() -> Program:
    """A selector whose hash numbers the inputs it has seen."""
    document: dict[str, Any] = json.loads((COMPILED / "members.json").read_bytes())
    for pipeline in document["pipelines"]:
        for profile in pipeline.get("action_profiles", []):
            if "selector" in profile:
                profile["selector"]["algo"] = "round_robin_consistent"
    return load_program(document)


def test_native_is_the_default() -> None:
    switch = Switch(0)
    switch.set_program(program("router"))
    assert switch.engine == "native"


def test_what_cannot_be_translated_runs_on_the_reference_engine(caplog: pytest.LogCaptureFixture) -> None:
    switch = Switch(0)
    with caplog.at_level(logging.WARNING):
        switch.set_program(untranslatable())
    assert switch.engine == "reference"
    (record,) = caplog.records
    assert "runs on the reference engine: it has hash algorithm round_robin_consistent" in record.getMessage()


def test_or_is_refused_when_native_is_required() -> None:
    switch = Switch(0, engine="native")
    with pytest.raises(ProgramError, match="cannot be run by the native engine: it has hash algorithm"):
        switch.set_program(untranslatable())


def test_a_share_of_the_packets_is_traced() -> None:
    events: list[Event] = []
    sent: list[bytes] = []
    switch = Switch(0, trace=events.append, trace_every=3, engine="native")
    switch.set_program(program("copies"))
    switch.add_port(1, host := HostPort())
    switch.add_port(2, HostPort(on_packet=sent.append))
    for _ in range(9):
        host.deliver(bytes([0, 2]) + bytes(8))
    assert switch.engine == "native"
    assert len(sent) == 9
    assert len(set(sent)) == 1, "traced packets leave as others do"
    assert sum(isinstance(event, Received) for event in events) == 3
    assert switch.ports[1].counters.rx_packets == switch.ports[2].counters.tx_packets == 9


def test_objects_are_kept_whole_or_not_used(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "deep" / "folder")
    assert cache.load("key") is None
    cache.save("key", b"machine code")
    assert cache.load("key") == b"machine code"
    path = tmp_path / "deep" / "folder" / "key"
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.load("key") is None
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = ObjectCache(tmp_path / "file")
    cache.save("key", b"machine code")
    assert cache.load("key") is None


def test_a_program_is_compiled_once() -> None:
    assert compile_program(program("router")) is compile_program(load_program((COMPILED / "router.json").read_bytes()))
