"""The compiled programs of this folder are those of its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.softswitch.engine.support import COMPILED, NAMES, PROGRAMS


def test_every_source_is_compiled_and_nothing_else_is() -> None:
    found = {path.name for path in COMPILED.iterdir()}
    assert found == {f"{name}.{kind}" for name in NAMES for kind in ("json", "p4info.txtpb")}


@pytest.mark.skipif(not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")), reason="p4c-bm2-ss is not installed")
def test_compiling_again_changes_nothing(tmp_path: Path) -> None:
    subprocess.run([str(PROGRAMS / "build.sh"), str(tmp_path)], check=True, capture_output=True)
    for path in sorted(COMPILED.iterdir()):
        assert (tmp_path / path.name).read_text() == path.read_text(), path.name
