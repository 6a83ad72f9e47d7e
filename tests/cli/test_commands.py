"""Every verb against a running fabric, with good and bad input."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from accelerator.ethernet import ethernet
from accelerator.links import find_links
from tests.cli.conftest import FIGURE1, Commands, lispfabric
from topologies.cli import app


def test_status(fabric: Commands, runtime: Path) -> None:
    said = fabric.ok("status")
    assert "4 PoDs, 16 xTRs, 22 switches (native engine), 8 accelerators, 5 mapping systems" in said
    found = fabric.json("status")
    assert (found["name"], found["failed"], found["ports_down"]) == ("figure1", [], [])
    assert found["pid"] > 1
    # The only one that runs is meant where none is named.
    alone = lispfabric("status", "--json", runtime=runtime)
    assert str(found["pid"]) in alone.stdout


def test_a_second_fabric_of_that_name_is_refused(fabric: Commands, runtime: Path) -> None:
    again = lispfabric("up", str(FIGURE1), "--detach", "--p4runtime", "127.0.0.1:0", runtime=runtime)
    assert again.returncode == 1
    assert "a running fabric has it; take it down first" in again.stderr
    assert fabric.json("status")["name"] == "figure1"


def test_accelerators_in_one_process_are_no_hosts(fabric: Commands) -> None:
    result = fabric.execute("acc1", "true")
    assert result.exit_code == 1
    assert "acc1 is no Linux host; accelerators are those with: lispfabric up FILE --namespaces" in result.stderr


@pytest.mark.parametrize("command", ["status", "down"])
def test_nothing_runs(command: str, tmp_path: Path) -> None:
    result = lispfabric(command, runtime=tmp_path)
    assert result.returncode == 3
    assert "no fabric is running" in result.stderr
    assert "lispfabric up TOPOLOGY --detach" in result.stderr


def test_registrations(fabric: Commands) -> None:
    rows = fabric.json("show", "registrations", "--pod", "D", "--iid", "8193")
    row = next(row for row in rows if row["eid"] == "POD-D-AccID-7")
    assert row["map_server"] == "SU-MS-D"
    assert [one["name"] for one in row["rlocs"]] == ["D1", "D2"]
    assert [one["xtr"] for one in row["registered_by"]] == ["D1", "D2"]
    assert all(0 < one["expires_s"] <= 180 for one in row["registered_by"])
    assert {one["iid"] for one in rows} == {8193}
    assert re.search(r"SO-MS +4097 +40\.0\.0\.0/16 +D3 \(1/100\), D4 \(1/100\)", fabric.ok("show", "registrations"))


def test_map_cache(fabric: Commands) -> None:
    fabric.ok("ping", "acc1", "acc5", "-c", "1")
    rows = fabric.json("show", "map-cache", "--xtr", "A1", "--iid", "4097")
    assert {row["xtr"] for row in rows} == {"A1"}
    kinds = {row["eid"]: row["kind"] for row in rows}
    assert kinds["10.0.0.1/32"] == "local"
    assert kinds["10.0.0.0/16"] == "forward"
    assert re.search(r"A1 +4097 +10\.0\.0\.1/32 +local", fabric.ok("show", "map-cache", "--pod", "A"))


def test_subscriptions(fabric: Commands) -> None:
    rows = fabric.json("show", "subscriptions", "--xtr", "A3")
    assert ("SO-MS", "0.0.0.0/0") in {(row["map_server"], row["eid"]) for row in rows}
    assert {row["xtr"] for row in rows} == {"A3"}


def test_groups_and_rlocs(fabric: Commands) -> None:
    assert fabric.json("show", "groups") == []
    assert fabric.ok("show", "groups") == "no group has receivers\n"
    fabric.ok("ping", "acc1", "acc3", "-c", "2", "-i", "0")
    rows = fabric.json("show", "rlocs", "--xtr", "A1")
    assert {"A3", "A4"} <= {row["name"] for row in rows}
    assert sum(row["packets"] for row in rows) > 0
    assert all(row["routed"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["registrations", "--pod", "E"], "pod E: no such PoD; there are A, B, C, D"),
        (["map-cache", "--xtr", "A11"], "xtr A11: no such xTR; did you mean A1"),
        (["subscriptions", "--iid", "5"], "iid 5: no such Instance-ID; there are 4097, 8193"),
        (["map-cache", "--iid", "16777216"], "iid 16777216: an integer from 0 to 16777215 is needed"),
        (["drops", "--switch", "S-X"], "switch S-X: no such switch; did you mean"),
    ],
)
def test_bad_filters(fabric: Commands, arguments: list[str], message: str) -> None:
    assert message in fabric.error("show", *arguments)


@pytest.mark.requirement("SO-FLOW-7", "SO-FLOW-8")
def test_trace_across_pods(fabric: Commands) -> None:
    found = fabric.json("trace", "acc1", "acc7", "--source-port", "50000")
    assert found["delivered"] == ["acc7"]
    assert found["dropped"] == []
    passed = [hop["switch"] for hop in found["hops"]]
    assert (passed[0], passed[-1] in ("D1", "D2")) == ("A1", True)
    deliver = next(one for one in found["hops"][-1]["lookups"] if one["table"] == "scale_out_ipv4")
    assert (deliver["hit"], deliver["action"], deliver["key"]) == (True, "deliver", {"iid": "4097", "eid": "40.0.0.7"})
    told = fabric.ok("trace", "acc1", "acc7", "--source-port", "50000", "--changes")
    assert re.search(r"VXLAN-GPE iid 4097 / IPv4 10\.0\.0\.1 > 40\.0\.0\.7 .* / UDP 50000 > 9", told)
    assert re.search(r"set +ipv4\.ttl 0x40 -> 0x3f", told)
    assert "delivered to acc7" in told


def test_trace_of_a_first_packet_follows_it_through_the_controller(fabric: Commands) -> None:
    found = fabric.json("trace", "acc6", "acc4")
    assert found["delivered"] == ["acc4"]
    first, second = found["hops"][:2]
    assert (first["switch"], first["out"][0]["state"]) == ("C2", "punted")
    assert (second["switch"], second["from"]) == ("C2", "the controller")


def test_trace_of_a_scale_up_frame(fabric: Commands) -> None:
    for destination in ("2", "0x2"):
        found = fabric.json("trace", "acc1", destination)
        assert [hop["switch"] for hop in found["hops"]] == ["A1", "S-A", "A2"]
        assert found["hops"][0]["headers"] == ["Scale-Up AccID 1 > 2 message hops 64"]
    assert fabric.json("trace", "acc1", "acc2", "--scale-up")["delivered"] == ["acc2"]


def test_trace_names_the_reason_of_a_drop(fabric: Commands) -> None:
    before = {(row["switch"], row["reason"]): row["packets"] for row in fabric.json("show", "drops")}
    result = fabric.run("trace", "acc3", "acc5", "--ttl", "1")
    assert result.exit_code == 4
    assert "drop  TTL_EXPIRED" in result.output
    assert "dropped at B1: TTL_EXPIRED" in result.output
    after = {(row["switch"], row["reason"]): row["packets"] for row in fabric.json("show", "drops", "--pod", "B")}
    assert after["B1", "TTL_EXPIRED"] == before.get(("B1", "TTL_EXPIRED"), 0) + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acc1", "acc9"], "destination acc9: no such accelerator (or IP address, or AccID); did you mean"),
        (["Acc1", "acc2"], "source Acc1: no such accelerator; did you mean"),
        (["acc1", "4294967296"], "an AccID has 32 bits"),
        (["acc1", "fd00::1"], "acc1 has an address of the other IP version"),
        (["acc1", "acc2", "--ttl", "256"], "ttl 256: an integer from 1 to 255 is needed"),
    ],
)
def test_trace_of_what_cannot_be(fabric: Commands, arguments: list[str], message: str) -> None:
    assert message in fabric.error("trace", *arguments)


def test_ping(fabric: Commands) -> None:
    assert "2 of 2 answered" in fabric.ok("ping", "acc2", "acc8", "-c", "2", "-i", "0")
    found = fabric.json("ping", "acc7", "acc8", "--scale-up", "-c", "1")
    assert found["received"] == 1
    assert found["answers"][0]["ttl"] > 0
    result = fabric.run("ping", "acc1", "10.0.0.99", "-c", "1", "-W", "0.1")
    assert result.exit_code == 4
    assert "why not? lispfabric trace acc1 10.0.0.99" in result.output
    assert "timeout 0.0: a number from 0.01 to 60" in fabric.error("ping", "acc1", "acc2", "-W", "0")


@pytest.fixture
def healed(fabric: Commands) -> Iterator[Commands]:
    """Whatever a test lets fail works again after it."""
    yield fabric
    found = fabric.json("status")
    for port in found["ports_down"]:
        fabric.run("heal", "port", port)
    for name in found["failed"]:
        fabric.run("heal", "map-server" if "MS" in name else "xtr", name)


def test_a_link_fails_and_heals(healed: Commands) -> None:
    assert "A1-S-A is down" in healed.ok("fail", "link", "A1-S-A")
    assert healed.json("status")["ports_down"] == ["A1:S-A", "S-A:A1"]
    assert "is down already" in healed.error("fail", "link", "S-A-A1")
    result = healed.run("trace", "acc1", "acc2")
    assert result.exit_code == 4
    assert re.search("LINK_DOWN|NO_RLOC|NO_UNDERLAY_ROUTE", result.output)
    assert "is up again" in healed.ok("heal", "link", "S-A-A1")
    assert healed.json("ping", "acc1", "acc2", "-c", "1")["received"] == 1
    assert "is not down" in healed.error("heal", "link", "A1-S-A")


@pytest.mark.requirement("SO-PATH-12")
def test_an_access_port_fails_and_its_accelerator_is_withdrawn(healed: Commands) -> None:
    healed.ok("fail", "port", "D1:acc7")
    assert _registered_by(healed, "40.0.0.7/32") == ["D2"]
    assert healed.json("ping", "acc1", "acc7", "-c", "1")["received"] == 1
    healed.ok("heal", "port", "D1:acc7")
    assert _registered_by(healed, "40.0.0.7/32") == ["D1", "D2"]


def test_an_xtr_fails_and_begins_anew(healed: Commands) -> None:
    healed.ok("fail", "xtr", "C1")
    status = healed.json("status")
    assert status["failed"] == ["C1"]
    assert "C1:S-C" in status["ports_down"]
    assert healed.json("show", "map-cache", "--xtr", "C1") == []
    assert healed.run("ping", "acc1", "acc5", "-c", "1", "-W", "0.1").exit_code == 4
    assert "C1 has failed already" in healed.error("fail", "xtr", "C1")
    assert healed.ok("heal", "xtr", "C1") == "C1 is up again\n"
    assert healed.json("ping", "acc1", "acc5", "-c", "1")["received"] == 1
    assert "C1 has not failed" in healed.error("heal", "xtr", "C1")


def test_a_map_server_fails_and_remembers(healed: Commands) -> None:
    before = {row["eid"] for row in healed.json("show", "registrations", "--pod", "B")}
    healed.ok("fail", "map-server", "SU-MS-B")
    # What is in the switches goes on.
    assert healed.json("ping", "acc3", "acc4", "-c", "1", "--scale-up")["received"] == 1
    healed.ok("heal", "map-server", "SU-MS-B")
    assert {row["eid"] for row in healed.json("show", "registrations", "--pod", "B")} == before
    assert "did you mean SU-MS-B" in healed.error("fail", "map-server", "SU-MS-BB")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["link", "A1-X"], "link A1-X: no such link (ONE-OTHER); did you mean"),
        (["link", "acc1-acc2"], "no such link"),
        (["port", "A1"], "port A1: a port is SWITCH:NUMBER or SWITCH:PEER"),
        (["port", "A1:99"], "port A1:99: no such port; there are A1:1 (to S-A), A1:2 (to acc1)"),
        (["port", "X:1"], "no such switch"),
        (["xtr", "S-A"], "xtr S-A: no such xTR"),
    ],
)
def test_failures_of_what_is_not_there(fabric: Commands, arguments: list[str], message: str) -> None:
    assert message in fabric.error("fail", *arguments)


@pytest.mark.requirement("SO-PATH-5")
def test_an_accelerator_moves(fabric: Commands) -> None:
    try:
        assert fabric.ok("move", "acc1", "A2") == "acc1 is attached to A2\n"
        assert _registered_by(fabric, "10.0.0.1/32") == ["A2"]
        found = fabric.json("trace", "acc7", "acc1")
        assert (found["delivered"], found["hops"][-1]["switch"]) == (["acc1"], "A2")
        assert fabric.json("ping", "acc1", "acc7", "-c", "1")["received"] == 1
        assert "acc1 is attached to A2 already" in fabric.error("move", "acc1", "A2")
    finally:
        fabric.ok("move", "acc1", "A1")
    assert fabric.json("ping", "acc7", "acc1", "-c", "1")["received"] == 1
    assert fabric.json("trace", "acc7", "acc1")["hops"][-1]["switch"] == "A1"


def test_an_accelerator_leaves_and_comes_back(fabric: Commands) -> None:
    assert fabric.ok("detach", "acc8", "D1") == "acc8 is attached to D2\n"
    assert _registered_by(fabric, "40.0.0.8/32") == ["D2"]
    assert fabric.ok("detach", "acc8") == "acc8 is attached to nowhere\n"
    assert "acc8 is attached nowhere; attach it with" in fabric.error("trace", "acc8", "acc7")
    assert "acc8 is attached nowhere" in fabric.error("detach", "acc8")
    assert fabric.ok("attach", "acc8") == "acc8 is attached to D1, D2\n"
    assert "is attached to D1, D2 already" in fabric.error("attach", "acc8")
    assert fabric.json("ping", "acc1", "acc8", "-c", "1")["received"] == 1


def test_moves_that_cannot_be(fabric: Commands) -> None:
    assert "B1 is no access router of PoD A" in fabric.error("move", "acc1", "B1")
    assert "A3 is no access router of PoD A" in fabric.error("attach", "acc1", "A3")
    assert "switches Z9: no such switch" in fabric.error("move", "acc1", "Z9")
    assert fabric.json("status")["detached"] == []


def test_another_process_is_an_accelerator(fabric: Commands) -> None:
    """Frames between a socket of ours and an accelerator of the fabric; the fabric's own stands back meanwhile."""
    import socket

    link = find_links(fabric.control, "acc2")[0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(5)
        sock.connect(link.socket)
        assert fabric.json("status")["elsewhere"] == ["acc2"]
        assert fabric.json("trace", "acc1", "acc2", "--scale-up")["delivered"] == ["acc2"]
        frame = sock.recv(2048)
        assert (frame[:6], frame[12:14]) == (link.mac, b"\x88\xb5")
        sock.send(ethernet(link.router_mac, link.mac, 0x88B5, b"bad"))
        assert "another process" in fabric.error("ping", "acc2", "acc1")
    until = time.monotonic() + 5
    while not any(row["switch"] == "A2" and row["reason"] == "MALFORMED" for row in fabric.json("show", "drops")):
        assert time.monotonic() < until
    assert fabric.json("ping", "acc1", "acc2", "-c", "1")["received"] == 1


def test_every_help_has_an_example() -> None:
    def commands(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, *above, name)
            else:
                yield (*above, name)

    found = list(commands(get_command(app)))
    assert {("up",), ("exec",), ("show", "drops"), ("heal", "map-server"), ("incc", "bench")} < set(found)
    for verb in found:
        assert "Example: " in CliRunner().invoke(app, [*verb, "--help"]).output, verb
    assert "Exit codes:" in CliRunner().invoke(app, ["--help"]).output


def _registered_by(fabric: Commands, eid: str) -> list[str]:
    rows = fabric.json("show", "registrations")
    return [one["xtr"] for row in rows if row["eid"] == eid for one in row["registered_by"]]


def test_groups_of_collectives(fabric: Commands) -> None:
    domain = fabric.json("incc", "show")[0]["domain"]
    fabric.ok("incc", "create", "ring", "acc1", "acc2", "--domain", domain)
    try:
        found = fabric.json("incc", "show", "ring")
        assert (found["name"], found["size"], found["state"]) == ("ring", 2, "gathering")
        assert re.search(r"^ring +\d+ .* gathering ", fabric.ok("incc", "show"), re.MULTILINE)
        assert "ring" in fabric.error("incc", "create", "ring", "acc1", "acc2", "--domain", domain)
    finally:
        assert fabric.ok("incc", "destroy", "ring") == "group ring is gone\n"
    for verb in (["show", "ring"], ["destroy", "ring"], ["leave", "ring", "acc1"], ["join", "ring", "acc1"]):
        assert "ring" in fabric.error("incc", *verb)


def test_conformance_prints_the_matrix() -> None:
    result = lispfabric("conformance", runtime=Path("/tmp"))
    assert result.returncode in (0, 1)
    assert "SO-REG-1 " in result.stdout
