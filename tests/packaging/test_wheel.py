"""What `pip install .` brings: the commands, with the P4 output and the example topologies inside."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, cwd=folder)
    (file,) = folder.glob("lispfabric-*.whl")
    return file


def test_the_wheel_holds_what_a_fabric_needs_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    compiled = [f"p4src/compiled/v1model/{file}" for file in ("fabric.json", "fabric.p4info.txtpb", "manifest.json")]
    shipped = [f"topologies/{file.name}" for file in (ROOT / "topologies").glob("*.yaml")]
    assert {*compiled, *shipped, "p4/v1/p4runtime_pb2.py", "controller/app/web.html"} <= names
    assert not [name for name in names if name.startswith(("tests/", "ptf_tests/", "bench/", "fuzz/"))]


def test_it_runs_where_there_is_no_repository(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    program = (
        "import sys, topologies.cli; print(topologies.cli.__file__); sys.argv[0] = 'lispfabric'; topologies.cli.main()"
    )
    told = subprocess.run(
        # -P: nothing is imported from where it is started.
        [sys.executable, "-P", "-c", program, "run", "figure1"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(str(installed))
    assert "figure1 is up after" in told.stdout
