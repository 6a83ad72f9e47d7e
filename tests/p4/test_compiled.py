"""The committed output of p4c is the output of today's sources."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from p4.config.v1 import p4info_pb2

from controller.dataplane import codepoints
from p4src import build

P4SRC = Path(__file__).resolve().parents[2] / "p4src"
COMPILED = P4SRC / "compiled" / "v1model"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources and their output that a test may spoil."""
    return Path(shutil.copytree(P4SRC, tmp_path / "p4src"))


def test_the_manifest_fits_the_sources() -> None:
    build.check("v1model", P4SRC)


def test_a_changed_source_is_noticed(copy: Path) -> None:
    (copy / "stages" / "underlay.p4").write_text("// changed\n")
    with pytest.raises(build.BuildError, match=r"stages/underlay\.p4; run `make p4`"):
        build.check("v1model", copy)


def test_a_new_source_is_noticed(copy: Path) -> None:
    (copy / "include" / "more.p4").write_text("// new\n")
    with pytest.raises(build.BuildError, match=r"include/more\.p4"):
        build.check("v1model", copy)


def test_a_changed_output_is_noticed(copy: Path) -> None:
    (copy / "compiled" / "v1model" / "fabric.json").write_text("{}")
    with pytest.raises(build.BuildError, match=r"fabric\.json"):
        build.check("v1model", copy)


def test_without_a_compiler_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("P4C", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(build.BuildError, match="p4c-bm2-ss is not on the PATH"):
        build.compiler()


@pytest.mark.skipif(
    not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")),
    reason="p4c-bm2-ss IS NOT INSTALLED: the committed output is compared by digest only",
)
def test_compiling_again_gives_the_committed_output(tmp_path: Path) -> None:
    build.compile_v1model(tmp_path)
    mine, theirs = (json.loads((folder / "fabric.json").read_text()) for folder in (tmp_path, COMPILED))
    assert mine == theirs
    assert (tmp_path / "fabric.p4info.txtpb").read_text() == (COMPILED / "fabric.p4info.txtpb").read_text()


def p4info() -> p4info_pb2.P4Info:
    return text_format.Parse((COMPILED / "fabric.p4info.txtpb").read_text(), p4info_pb2.P4Info())


def test_program_and_controller_share_their_code_points() -> None:
    codepoints.check(p4info())


def test_a_foreign_code_point_is_named() -> None:
    changed = p4info()
    changed.type_info.serializable_enums["drop_reason_t"].members[2].value = b"\x63"
    with pytest.raises(codepoints.ProgramMismatchError, match=r"drop_reason_t\.BAD_CHECKSUM = 99.*takes it for 2"):
        codepoints.check(changed)
    del changed.type_info.serializable_enums["encapsulation_t"]
    with pytest.raises(codepoints.ProgramMismatchError, match="no serializable enum encapsulation_t"):
        codepoints.check(changed)
