"""The command line: what it shows, and the one line it says when something is wrong."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from softswitch.ports import read_pcap
from topologies.cli import app

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"
runner = CliRunner()


@pytest.mark.requirement("SO-FLOW-7", "SO-FLOW-8", "SO-FLOW-11", "SO-FLOW-13")
def test_run_tells_the_whole_story(tmp_path: Path) -> None:
    capture = tmp_path / "control.pcap"
    result = runner.invoke(app, ["run", str(FIGURE1), "--capture", str(capture)])
    assert result.exit_code == 0, result.output
    told = result.output
    assert re.search(r"SU-MS-D +\[4097\] 40\.0\.0\.7/32 +D1, D2", told)
    assert re.search(r"SU-MS-D +\[8193\] POD-D-AccID-7 +D1, D2", told)
    assert "A1 -> SU-MS-A  ECM(Map-Request [I] [4097] 40.0.0.7/32 N)" in told
    assert "Map-Notify [4097] 32.0.0.0/3 -> A3 (1/100), A4 (1/100)" in told
    assert "miss scale_out_ipv4 [4097, 40.0.0.7] -> unknown()" in told
    assert "VXLAN-GPE iid 4097 / IPv4 10.0.0.1 > 40.0.0.7" in told
    # Once resolved, nothing is asked again.
    assert "with 0 control messages, by A1 > S-A > " in told
    assert "acc7 answered acc1: 2 of 2 packets, TTL 57" in told
    packets = read_pcap(capture)
    assert len(list(packets)) > 300


def test_other_accelerators() -> None:
    result = runner.invoke(app, ["run", str(FIGURE1), "--from", "acc3", "--to", "acc6"])
    assert result.exit_code == 0, result.output
    assert "acc6 answered acc3" in result.output


def test_a_topology_that_comes_with_lispfabric_goes_by_its_name() -> None:
    result = runner.invoke(app, ["check", "figure1"])
    assert result.exit_code == 0, result.output
    assert "figure1: 4 PoDs" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "error: nowhere.yaml: cannot be read: No such file or directory"),
        (["run", str(FIGURE1), "--to", "acc9"], "error: --to acc9: no such accelerator; there are acc1, acc2,"),
        (["check", "nowhere.yaml"], "error: nowhere.yaml: cannot be read"),
        (["check", "figure2"], "error: figure2: no such file, and no such topology: there are extranet, "),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_check() -> None:
    result = runner.invoke(app, ["check", str(FIGURE1)])
    assert result.exit_code == 0
    assert "figure1: 4 PoDs, 22 switches, 32 links, 8 accelerators" in result.output


def test_check_names_the_mistake(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(FIGURE1.read_text().replace("role: access", "role: acces", 1))
    result = runner.invoke(app, ["check", str(file)])
    assert result.exit_code == 1
    assert "switches[0].role = 'acces'" in result.stderr


def test_the_device_id_of_a_switch() -> None:
    result = runner.invoke(app, ["device", str(FIGURE1), "D3"])
    assert (result.exit_code, result.output) == (0, "18\n")
    result = runner.invoke(app, ["device", str(FIGURE1), "D9"])
    assert result.exit_code == 1
    assert "error: D9: no such switch; there are A1, A2" in result.stderr


def test_up_keeps_a_fabric_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "topologies.cli", "up", str(FIGURE1), "--p4runtime", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "figure1 is up; P4Runtime at" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, complaints = child.communicate(timeout=20)
    assert (child.returncode, complaints) == (0, "")
