"""Map-Server and xTR as processes of their own, on real UDP sockets: what a peer outside of them sees."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from p4.v1 import p4runtime_pb2
from typer.testing import CliRunner

from controller.lisp import (
    CONTROL_PORT,
    Action,
    Algorithm,
    Ecm,
    Eid,
    EidRecord,
    Key,
    MapNotify,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
    verify,
)
from controller.p4rt.actions import ActionSet
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import TableEntry
from controller.p4rt.errors import NotConnectedError
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.target import Target
from tests.app.udp_support import local, plain_socket
from tests.interop.processes import COMMAND, ROOT, SECRET, daemon, secret_file, write
from topologies.cli import app

IID, SITE = 0x1001, 13
KEY = Key(1, Algorithm.HMAC_SHA256_128_HKDF, SECRET.encode())
HOST, OTHER = Eid.of(IID, "40.0.0.7"), Eid.of(IID, "40.0.0.8")
SERVER, D1, D2 = local(1), local(2), local(3)
XTR_IDS = {D1: "d1" * 16, D2: "d2" * 16}
COMPILED = ROOT / "p4src" / "compiled" / "v1model"


def server_settings(folder: Path, **fields: Any) -> dict[str, Any]:
    """A PoD with two xTRs."""
    site = {
        "name": "D",
        "site_id": SITE,
        "keys": [{"id": 1, "algorithm": "hmac-sha256-128-hkdf", "secret_file": secret_file(folder)}],
        "prefixes": [{"iid": IID, "prefix": "40.0.0.0/16", "host_routes": True}],
        "xtrs": [{"xtr_id": text, "rlocs": [str(rloc)]} for rloc, text in XTR_IDS.items()],
    }
    return {"name": "SU-MS-D", "address": str(SERVER), "sites": [site], **fields}


def xtr_settings(folder: Path, rloc: IPv4Address, **fields: Any) -> dict[str, Any]:
    """An access xTR of the PoD."""
    link = {
        "name": "scale-up",
        "address": str(SERVER),
        "keys": [{"secret_file": secret_file(folder)}],
        "prefixes": [{"iid": IID, "prefix": "0.0.0.0/0"}],
        "subscribe": [{"iid": IID, "prefix": "40.0.0.0/16"}],
    }
    return {
        "name": f"xtr-{rloc}",
        "xtr_id": XTR_IDS[rloc],
        "site_id": SITE,
        "rlocs": [str(rloc)],
        "links": [link],
        **fields,
    }


class Peer:
    """An xTR that is none of ours: a socket at UDP 4342."""

    def __init__(self, sock: socket.socket, rloc: IPv4Address) -> None:
        self._socket = sock
        self._rloc = rloc
        self.xtr = XtrIdentity(bytes.fromhex(XTR_IDS[rloc]), SITE)

    def register(self, nonce: int, key: Key = KEY, ttl: int = 1440, eid: Eid = HOST) -> None:
        records = (EidRecord.for_eid(eid, ttl, [RlocRecord(self._rloc, local=True)], authoritative=True),)
        message = MapRegister(nonce, records, proxy_reply=True, merge=True, want_notify=True, xtr=self.xtr)
        self.send(sign(message, key))

    def ask(self, nonce: int, eid: Eid) -> None:
        request = encode(MapRequest(nonce, (self._rloc,), (RequestRecord.for_eid(eid),)))
        self.send(encode(Ecm(self._rloc, IPv4Address("40.0.0.7"), CONTROL_PORT, CONTROL_PORT, request)))

    def send(self, payload: bytes) -> None:
        self._socket.sendto(payload, (str(SERVER), CONTROL_PORT))

    def hears(self) -> tuple[Message, bytes]:
        payload, source = self._socket.recvfrom(65535)
        assert source == (str(SERVER), CONTROL_PORT)
        return decode(payload), payload

    def hears_nothing(self) -> None:
        self._socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            self._socket.recvfrom(65535)
        self._socket.settimeout(2)


@contextmanager
def peer(rloc: IPv4Address) -> Iterator[Peer]:
    with plain_socket(rloc, CONTROL_PORT) as sock:
        yield Peer(sock, rloc)


def test_a_map_server_registers_answers_and_refuses(tmp_path: Path) -> None:
    file = write(tmp_path / "ms.yaml", server_settings(tmp_path))
    with daemon("map-server", "--config", str(file)) as server, peer(D1) as d1:
        d1.register(7)
        message, payload = d1.hears()
        assert isinstance(message, MapNotify)
        verify(payload, message, KEY)
        assert (message.nonce, message.records[0].key) == (7, HOST)
        d1.ask(99, HOST)
        reply, _ = d1.hears()
        assert isinstance(reply, MapReply)
        assert (reply.nonce, [loc.rloc for loc in reply.records[0].locators]) == (99, [D1])
        d1.ask(100, OTHER)
        reply, _ = d1.hears()
        assert isinstance(reply, MapReply)
        assert reply.records[0].action == Action.DROP
        d1.register(8, Key(1, Algorithm.HMAC_SHA256_128_HKDF, b"another"))
        d1.send(b"\x30 that is no Map-Register")
        d1.hears_nothing()
        assert "reason=authentication-failed" in server.says("message-dropped reason=auth")
        assert "reason=malformed" in server.says("reason=malformed")
        assert server.end(signal.SIGINT) == 0
    assert "SIGINT: stopping" in server.log


def test_a_flood_of_refusals_is_few_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "ms.yaml", server_settings(tmp_path))
    with daemon("map-server", "--config", str(file)) as server, peer(D1) as d1:
        for _ in range(1000):
            d1.send(b"\x30")
        d1.register(1)
        d1.hears()
        assert 2 <= sum("reason=malformed" in line for line in server.lines) <= 11


@pytest.mark.requirement("PR-AUTH-5", "PR-AUTH-6")
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    file = write(tmp_path / "ms.yaml", server_settings(tmp_path, store={"file": "state.sqlite"}))

    def is_kept() -> None:
        assert (tmp_path / "state.sqlite").exists()

    with peer(D1) as d1:
        survives_a_kill(d1, file, file, is_kept)


def survives_a_kill(d1: Peer, first: Path, second: Path, meanwhile: Callable[[], object]) -> None:
    """What a Map-Server with one configuration has acknowledged, one with another knows after it was killed.

    `meanwhile` is called between their lives.
    """
    with daemon("map-server", "--config", str(first)) as server:
        d1.register(7)
        d1.hears()
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    meanwhile()
    with daemon("map-server", "--config", str(second)) as server:
        d1.register(6)  # a replay from before the kill
        server.says("reason=replay")
        d1.ask(99, HOST)
        reply, _ = d1.hears()
        assert isinstance(reply, MapReply)
        assert [loc.rloc for loc in reply.records[0].locators] == [D1]
        assert server.end() == 0


def test_two_xtrs_meet_through_a_map_server(tmp_path: Path) -> None:
    hop = {"port": 2, "port_mac": "02:01:00:01:00:02", "mac": "02:00:00:00:00:07"}
    first = xtr_settings(tmp_path, D1, accelerators=[{"iid": IID, "ip": "40.0.0.7", **hop}], withdraw_on_exit=True)
    files = [
        write(tmp_path / name, content)
        for name, content in [
            ("ms.yaml", server_settings(tmp_path)),
            ("d1.yaml", first),
            ("d2.yaml", xtr_settings(tmp_path, D2)),
        ]
    ]
    with (
        daemon("map-server", "--config", str(files[0])) as server,
        daemon("xtr", "--config", str(files[2])) as other,
    ):
        other.says("subscription-confirmed")
        with daemon("xtr", "--config", str(files[1])) as one:
            one.says("registration-acknowledged eid=[4097] 40.0.0.7/32")
            assert f"forward {D1}(1/100)" in other.says("map-cache: [4097] 40.0.0.7/32")
            assert one.end() == 0
        other.says("map-cache: [4097] 40.0.0.7/32 is gone")
        assert "withdrawal-unacknowledged" not in one.log
        assert "before=" in server.says("mapping-changed")


@pytest.mark.requirement("PR-AUTH-6", "SU-REG-1")
def test_scale_up_by_name_and_nonces_that_outlive_the_process(tmp_path: Path) -> None:
    hop = {"port": 2, "port_mac": "02:01:00:01:00:02", "mac": "02:00:00:00:00:07"}
    server = server_settings(tmp_path)
    server["sites"][0]["names"] = [{"iid": 8193, "begins_with": "POD-D-"}]
    settings = xtr_settings(
        tmp_path,
        D1,
        accelerators=[{"scale_up_iid": 8193, "acc_id": 7, **hop}],
        accelerator_prefix="POD-D-AccID-",
        nonces_file="d1.nonces",
    )
    settings["links"][0]["name_iids"] = [8193]
    server_file, file = write(tmp_path / "ms.yaml", server), write(tmp_path / "d1.yaml", settings)
    with daemon("map-server", "--config", str(server_file)):
        kept = []
        for _ in range(2):
            with daemon("xtr", "--config", str(file)) as xtr:
                xtr.says("registration-acknowledged eid=[8193] POD-D-AccID-7")
                assert xtr.end() == 0
            kept.append((tmp_path / "d1.nonces").read_bytes())
        assert kept[0] != kept[1]


def test_an_xtr_programs_a_switch_of_another_process(tmp_path: Path) -> None:
    """Three processes: Map-Server, control plane, and softswitch, which is reached by P4Runtime alone."""
    hop = {"port": 2, "port_mac": "02:01:00:01:00:02", "mac": "02:00:00:00:00:07"}
    core = {"port": 1, "port_mac": "02:01:00:01:00:01", "mac": "02:01:00:02:00:01"}
    switch = {
        "device_id": 5,
        "core_ports": [1],
        "instances": [{"iid": IID}],
        "routes": [{"rloc": str(D2), "next_hops": [core]}],
    }
    accelerators = [{"iid": IID, "ip": "40.0.0.7", **hop}]
    settings = xtr_settings(tmp_path, D1, switch=switch, accelerators=accelerators)
    server_file = write(tmp_path / "ms.yaml", server_settings(tmp_path))
    file = write(tmp_path / "d1.yaml", settings)
    p4info, program = COMPILED / "fabric.p4info.txtpb", COMPILED / "fabric.json"
    command = [sys.executable, "-m", "softswitch", str(program), "--p4info", str(p4info), "--device-id", "5"]
    command += ["--cpu-port", "510", "--grpc-server-addr", f"unix:{tmp_path}/switch.sock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as softswitch:
        assert softswitch.stdout is not None
        try:
            assert softswitch.stdout.readline().startswith("Server listening on ")
            address = f"unix:{tmp_path}/switch.sock"
            with (
                daemon("map-server", "--config", str(server_file)),
                daemon("xtr", "--config", str(file), "--switch", address) as xtr,
                peer(D2) as d2,
            ):
                d2.register(1, eid=OTHER)
                d2.hears()
                xtr.says("publication-accepted eid=[4097] 40.0.0.8/32")
                tables = asyncio.run(_tables(address, Pipeline.from_files(p4info, program)))
                assert tables["scale_out_ipv4"] == {"40.0.0.0/16", "40.0.0.7/32", "40.0.0.8/32"}
                assert tables["rloc_set"] == {str(D2)}
                assert tables["local_rloc"] == {str(D1)}
                assert xtr.end() == 0
        finally:
            softswitch.send_signal(signal.SIGTERM)


async def _tables(address: str, pipeline: Pipeline) -> dict[str, set[str]]:
    """What stands in some tables of the switch, once the control plane has come to rest."""
    async with P4RuntimeClient(Target(address, 5, election_id=1), pipeline) as client:
        for _ in range(200):
            found: dict[str, set[str]] = {"scale_out_ipv4": set(), "rloc_set": set(), "local_rloc": set()}
            with contextlib.suppress(NotConnectedError):
                for entity in await client.read_entities(*_queries(client, found)):
                    if isinstance(entity, TableEntry):
                        found[entity.table.rpartition(".")[2]] |= _keys(entity)
            if len(found["scale_out_ipv4"]) == 3 and found["rloc_set"]:
                break
            await asyncio.sleep(0.02)
        return found


def _queries(client: P4RuntimeClient, tables: dict[str, set[str]]) -> list[p4runtime_pb2.Entity]:
    queries = []
    for table in tables:
        query = p4runtime_pb2.Entity()
        query.table_entry.table_id = client.codec.info.tables[table].id
        queries.append(query)
    return queries


def _keys(entry: TableEntry) -> set[str]:
    if isinstance(entry.action, ActionSet):
        return {str(IPv4Address(action.action.params["rloc"])) for action in entry.action.actions}
    match = entry.match.get("eid") or entry.match["rloc"]
    address = IPv4Address(match.value)  # type: ignore[union-attr]
    length = getattr(match, "prefix_len", None)
    return {str(address) if length is None else f"{address}/{length}"}


@pytest.mark.parametrize(
    ("command", "change", "message"),
    [
        ("map-server", {"adress": "127.0.0.1"}, r"ms\.yaml:\d+: adress = '127\.0\.0\.1': Extra inputs"),
        ("map-server", {"address": "127.0.0.256"}, r"ms\.yaml:2: address = '127\.0\.0\.256': .*IPv4 or IPv6"),
        ("map-server", {"registration_timeout": 0}, r"ms\.yaml:\d+: registration_timeout: 0.*must be positive"),
        ("map-server", {"sites": []}, None),
        ("xtr", {"xtr_id": "d1"}, r"xtr\.yaml:2: xtr_id = 'd1': .*pattern"),
        ("xtr", {"probing": {"tries": 0}}, r"xtr\.yaml:\d+: probing: .*probing\.tries = 0"),
        ("xtr", {"links": []}, r"xtr\.yaml:6: links: .*needs a mapping system"),
        ("xtr", {"database": [{"iid": 1, "prefix": "1.2.3.4/16"}]}, r"database\[0\]\.prefix = '1\.2\.3\.4/16': .*host"),
        ("xtr", {"database": [{"iid": 1}]}, r"database\[0\]: .*exactly one of prefix and name"),
        ("xtr", {"database": [{"iid": 1, "name": "pETR", "links": ["x"]}]}, r"database\[0\]\.links: x: is no link"),
        ("xtr", {"switch": {"core_ports": [511]}}, r"switch\.core_ports\[0\] = 511: .*less than or equal to 510"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(
    tmp_path: Path, command: str, change: dict[str, Any], message: str | None
) -> None:
    settings = server_settings(tmp_path) if command == "map-server" else xtr_settings(tmp_path, D1)
    file = write(tmp_path / ("ms.yaml" if command == "map-server" else "xtr.yaml"), settings | change)
    result = check(command, file)
    if message is None:
        assert (result.exit_code, result.output) == (0, "")
        return
    assert result.exit_code == 1
    assert _matches(message, result.stderr), result.stderr
    assert "Traceback" not in result.stderr


def check(command: str, file: Path, **environment: str) -> Any:
    return CliRunner().invoke(app, [command, "--config", str(file), "--check"], env=environment)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    settings = server_settings(tmp_path)
    for wrong in ({"secret": SECRET}, {"secret_env": SECRET, "secret_file": "site.key"}, {"id": SECRET}):
        settings["sites"][0]["keys"] = [wrong]
        result = check("map-server", write(tmp_path / "ms.yaml", settings))
        assert result.exit_code == 1
        assert "sites[0].keys[0]" in result.stderr
        assert SECRET not in result.stderr + result.stdout


def test_a_secret_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    settings = server_settings(tmp_path)
    keys = settings["sites"][0]["keys"]
    keys[0] = {"secret_file": "nowhere.key"}
    result = check("map-server", write(tmp_path / "ms.yaml", settings))
    assert _matches(r"ms\.yaml:\d+: sites\[0\]\.keys\[0\]: .*nowhere\.key: No such file", result.stderr)
    keys[0] = {"secret_env": "LISPFABRIC_TEST_KEY"}
    file = write(tmp_path / "ms.yaml", settings)
    assert "LISPFABRIC_TEST_KEY is not set" in check("map-server", file).stderr
    assert check("map-server", file, LISPFABRIC_TEST_KEY="from the environment").exit_code == 0
    (tmp_path / "empty.key").write_text("\n")
    keys[0] = {"secret_file": "empty.key"}
    assert "empty.key is empty" in check("map-server", write(tmp_path / "ms.yaml", settings)).stderr


def test_the_examples_of_the_documentation_are_configurations(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "interop.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    secret_file(tmp_path, "oor.key")
    for command, example in zip(("map-server", "xtr"), examples, strict=True):
        (tmp_path / f"{command}.yaml").write_text(example)
        result = check(command, tmp_path / f"{command}.yaml", SITE_2_KEY="a secret of its own")
        assert (result.exit_code, result.output) == (0, "")


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    file = write(tmp_path / "ms.yaml", server_settings(tmp_path))
    with plain_socket(SERVER, CONTROL_PORT):
        result = subprocess.run(
            [*COMMAND, "map-server", "--config", str(file)], capture_output=True, text=True, check=False, cwd=ROOT
        )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert f"cannot listen at {SERVER}:4342" in result.stderr
    assert "Traceback" not in result.stderr
