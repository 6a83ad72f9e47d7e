"""`lispfabric up --namespaces` and what can be done with it then. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from controller.app.control_client import ControlClient
from tests.app.own_network import needs_own_network
from tests.cli.conftest import FIGURE1, Commands, lispfabric

_MISSING = [tool for tool in ("ping", "ethtool", "ip", "nsenter") if shutil.which(tool) is None]
_BMV2 = os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")

pytestmark = [
    needs_own_network,
    pytest.mark.skipif(bool(_MISSING), reason=f"NOT OBSERVED: needs {' '.join(_MISSING)}"),
]
bmv2 = pytest.param(
    "bmv2", marks=pytest.mark.skipif(not _BMV2, reason="NOT OBSERVED: needs simple_switch_grpc on the PATH")
)


@pytest.fixture(scope="module", params=["softswitch", bmv2])
def outside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    runtime = tmp_path_factory.mktemp("run")
    up = lispfabric("up", str(FIGURE1), "--namespaces", "--target", request.param, "--detach", runtime=runtime)
    assert up.returncode == 0, up.stderr
    yield Commands(runtime / "lispfabric" / "figure1" / "control.sock")
    down = lispfabric("down", runtime=runtime)
    assert (down.returncode, down.stdout) == (0, "figure1 is down\n"), down.stderr


def answered(commands: Commands, source: str, address: str, count: int = 5) -> int:
    """How many pings the kernel of an accelerator gets answers to."""
    command = [*prefix_of(commands, source), "ping", "-q", "-c", str(count), "-i", "0.1", "-W", "2", address]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return int(said.split(" received")[0].rpartition(" ")[2])


def recovers(commands: Commands, source: str, address: str) -> bool:
    """Whether all pings are answered soon: routers turn to another link after they have heard of a failure."""
    return any(answered(commands, source, address) == 5 for _ in range(10))


def prefix_of(commands: Commands, accelerator: str) -> list[str]:
    with ControlClient(commands.control) as client:
        found: list[str] = client.call("host", {"accelerator": accelerator})["prefix"]
        return found


@pytest.mark.requirement("GEN-3", "SO-PATH-12", partial=True)
def test_a_core_link_fails_and_heals(outside: Commands) -> None:
    assert answered(outside, "acc1", "40.0.0.7") == 5
    assert outside.ok("fail", "link", "A3-F1").startswith("A3-F1 is down\n")
    assert outside.json("status")["ports_down"] == ["A3:F1", "F1:A3"]
    assert recovers(outside, "acc1", "40.0.0.7")
    assert "A3-F1 is down already" in outside.error("fail", "link", "A3-F1")
    assert outside.ok("heal", "link", "A3-F1").startswith("A3-F1 is up again\n")
    assert outside.json("status")["ports_down"] == []
    assert recovers(outside, "acc7", "10.0.0.1")


def test_an_xtr_and_a_map_server_fail_and_heal(outside: Commands) -> None:
    outside.ok("fail", "xtr", "D1")
    assert outside.json("status")["failed"] == ["D1"]
    outside.ok("heal", "xtr", "D1")
    outside.ok("fail", "map-server", "SU-MS-D")
    outside.ok("heal", "map-server", "SU-MS-D")
    assert outside.json("status")["failed"] == []
    assert recovers(outside, "acc1", "40.0.0.7")


def test_state_is_shown(outside: Commands) -> None:
    rows = outside.json("show", "map-cache", "--xtr", "A1")
    assert {row["eid"] for row in rows if row["kind"] == "local"} == {"10.0.0.1/32", "POD-A-AccID-1"}
    assert {row["name"] for row in outside.json("show", "rlocs", "--xtr", "A1")} >= {"A3", "A4"}
    assert isinstance(outside.json("show", "drops"), list)
    assert "in namespaces" in outside.ok("status")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trace", "acc1", "acc7"), "trace: not in namespaces, where accelerators are hosts; use: lispfabric exec ACC"),
        (("ping", "acc1", "acc7"), "ping: not in namespaces"),
        (("capture", "A3-F1", "-c", "1"), "capture: not in namespaces"),
        (("move", "acc1", "A2"), "move: not in namespaces"),
        (("fail", "port", "A3:F1"), "port A3:F1: a port cannot fail alone here"),
        (("fail", "link", "A3-F9"), "link A3-F9: no such link (ONE-OTHER); did you mean"),
    ],
)
def test_what_cannot_be_done_here_says_what_can(outside: Commands, arguments: tuple[str, ...], message: str) -> None:
    assert message in outside.error(*arguments)


def test_exec_ends_as_the_command_does(outside: Commands, capfd: pytest.CaptureFixture[str]) -> None:
    def exec_(*arguments: str) -> tuple[int, str]:
        result = outside.execute(*arguments)
        return result.exit_code, result.output + capfd.readouterr().out

    code, said = exec_("acc7", "ip", "-br", "-4", "address", "show", "lo")
    assert code == 0
    assert "40.0.0.7/32" in said
    assert exec_("acc7", "sh", "-c", "exit 7")[0] == 7
    code, said = exec_("acc9", "true")
    assert code == 1
    assert "accelerator acc9: no such accelerator" in said
