"""The device configuration for Tofino, octet by octet, and its ports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.p4rt.errors import P4InfoError
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.tofino import device_port, stratum_config
from tests.p4rt.support import CATALOGUE


def described() -> dict[str, Any]:
    """What the compiler writes for one program on all pipes, run as `p4c-barefoot -o out ...`."""
    pipeline = {
        "p4_pipeline_name": "pipe",
        "context": "out/pipe/context.json",
        "config": "out/pipe/tofino.bin",
        "pipe_scope": [0, 1, 2, 3],
    }
    program = {"program-name": "fabric", "bfrt-config": "out/bf-rt.json", "p4_pipelines": [pipeline]}
    return {"chip_list": [{"id": "asic-0"}], "p4_devices": [{"device-id": 0, "p4_programs": [program]}]}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    """Writes a description beside the files of a program."""
    (tmp_path / "pipe").mkdir()
    (tmp_path / "bf-rt.json").write_bytes(b"{}")
    (tmp_path / "pipe" / "context.json").write_bytes(b"[1]")
    (tmp_path / "pipe" / "tofino.bin").write_bytes(bytes(range(200)))

    def write(description: object) -> Path:
        conf = tmp_path / "fabric.conf"
        conf.write_text(json.dumps(description))
        return conf

    return write


def test_the_message_is_stratums(written: Callable[[object], Path]) -> None:
    profile = b"\x0a\x04pipe" + b"\x12\x03[1]" + b"\x1a\xc8\x01" + bytes(range(200)) + b"\x22\x04\x00\x01\x02\x03"
    assert len(profile) == 220
    assert stratum_config(written(described())) == b"\x0a\x06fabric" + b"\x12\x02{}" + b"\x1a\xdc\x01" + profile


def two_pipes(forwarding: list[int], collective: list[int]) -> dict[str, Any]:
    """The same for forwarding in some pipes and collectives in another, each with files of its own."""
    found = described()
    found["p4_devices"][0]["p4_programs"][0]["p4_pipelines"] = [
        {
            "p4_pipeline_name": name,
            "context": f"out/{name}/context.json",
            "config": f"out/{name}/tofino2.bin",
            "pipe_scope": scope,
            "path": "out",
        }
        for name, scope in (("forwarding_pipe", forwarding), ("collective_pipe", collective))
    ]
    return found


@pytest.fixture
def written_two(written: Callable[[object], Path], tmp_path: Path) -> Callable[[object], Path]:
    """Writes a description of two pipelines beside their files."""
    for name, binary in (("forwarding_pipe", b"\x01\x02\x03"), ("collective_pipe", b"\x04\x05")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "context.json").write_bytes(b"[" + name[:1].encode() + b"]")
        (tmp_path / name / "tofino2.bin").write_bytes(binary)
    return written


def test_each_pipeline_is_a_profile(written_two: Callable[[object], Path]) -> None:
    forwarding = b"\x0a\x0fforwarding_pipe" + b"\x12\x03[f]" + b"\x1a\x03\x01\x02\x03" + b"\x22\x03\x00\x02\x03"
    collective = b"\x0a\x0fcollective_pipe" + b"\x12\x03[c]" + b"\x1a\x02\x04\x05" + b"\x22\x01\x01"
    profiles = b"\x1a" + bytes([len(forwarding)]) + forwarding + b"\x1a" + bytes([len(collective)]) + collective
    made = stratum_config(written_two(two_pipes([0, 2, 3], [1])))
    assert made == b"\x0a\x06fabric" + b"\x12\x02{}" + profiles


@pytest.mark.parametrize(
    ("forwarding", "collective", "complaint"),
    [
        ([0, 1], [1, 2], "pipe 1 is both of forwarding_pipe and of collective_pipe"),
        ([0, 1, 2, 3], [], "collective_pipe has no pipe"),
    ],
)
def test_a_pipe_runs_one_pipeline(
    written_two: Callable[[object], Path], forwarding: list[int], collective: list[int], complaint: str
) -> None:
    with pytest.raises(P4InfoError, match=rf"fabric\.conf: pipe_scope: {complaint}"):
        stratum_config(written_two(two_pipes(forwarding, collective)))


def test_a_pipeline_is_made_of_a_description(written: Callable[[object], Path]) -> None:
    conf = written(described())
    pipeline = Pipeline.from_files(f"{CATALOGUE}.p4info.txtpb", conf)
    assert pipeline.to_proto().p4_device_config == stratum_config(conf)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("p4_devices",), [], "p4_devices: must have one entry"),
        (("p4_devices", 0, "p4_programs"), [{}, {}], "p4_programs: must have one entry"),
        (("p4_devices", 0, "p4_programs", 0, "program-name"), 7, "program-name: missing"),
        (("p4_devices", 0, "p4_programs", 0, "bfrt-config"), "out/none.json", r"out/none\.json: there is no such file"),
        (("p4_devices", 0, "p4_programs", 0, "p4_pipelines"), {}, "p4_pipelines: not a list"),
        (("p4_devices", 0, "p4_programs", 0, "p4_pipelines"), ["pipe"], "'pipe' is not a pipeline"),
        (("p4_devices", 0, "p4_programs", 0, "p4_pipelines", 0, "pipe_scope"), [4], r"pipe_scope: \[4\], must be"),
        (("p4_devices", 0, "p4_programs", 0, "p4_pipelines", 0, "pipe_scope"), [True], "pipe_scope"),
        (("p4_devices", 0, "p4_programs", 0, "p4_pipelines", 0, "config"), "", "config: missing"),
    ],
)
def test_what_is_wrong_is_named(
    written: Callable[[object], Path], path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    spoilt = described()
    within: Any = spoilt
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = value
    with pytest.raises(P4InfoError, match=rf"fabric\.conf: .*{complaint}"):
        stratum_config(written(spoilt))


def test_what_is_no_description_is_refused(tmp_path: Path) -> None:
    conf = tmp_path / "fabric.conf"
    with pytest.raises(P4InfoError, match="No such file"):
        stratum_config(conf)
    conf.write_text("{")
    with pytest.raises(P4InfoError, match="not JSON"):
        stratum_config(conf)
    conf.write_text("[]")
    with pytest.raises(P4InfoError, match="not a JSON object"):
        stratum_config(conf)


@pytest.mark.parametrize(("pipe", "local", "port"), [(0, 0, 0), (0, 68, 68), (1, 64, 192), (2, 64, 320), (3, 127, 511)])
def test_ports_count_on_from_pipe_to_pipe(pipe: int, local: int, port: int) -> None:
    assert device_port(pipe, local) == port


@pytest.mark.parametrize(("pipe", "local"), [(-1, 0), (4, 0), (0, -1), (0, 128)])
def test_there_is_no_such_port(pipe: int, local: int) -> None:
    with pytest.raises(ValueError, match="must be 0 to"):
        device_port(pipe, local)
