"""OpenOverlayRouter, the C implementation, against ours in both roles, in namespaces joined by a veth pair.

These tests run where its binary `oor` is on the PATH, and the user is root. What they show is told in docs/interop.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from controller.lisp import (
    CONTROL_PORT,
    Ecm,
    Eid,
    MapNotify,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    TunnelHeader,
    UdpPacket,
    decode,
)
from controller.lisp.constants import VXLAN_GPE_PORT
from tests.interop.namespaces import two_namespaces
from tests.interop.processes import ROOT, daemon, secret_file, write
from tests.interop.sniffer import Capture, sniffing
from tests.lisp.test_tshark import questioned_in
from topologies.namespaces import Namespace

OOR = shutil.which("oor")
pytestmark = pytest.mark.skipif(
    OOR is None or os.geteuid() != 0,
    reason="NOT OBSERVED: OpenOverlayRouter needs its binary `oor` on the PATH, and root for namespaces",
)

IID = 4097
OURS, OURS_TOO, THEIRS = (IPv4Address(f"10.9.0.{number}") for number in (1, 3, 2))
PASSWORD = "lab-psk-oor-0001"
HOST = Eid.of(IID, "40.0.0.7")
SITE_PREFIX = Eid.of(IID, "40.0.1.0/24")

XTR_CONF = f"""
debug = 3
map-request-retries = 2
operating-mode = xTR
encapsulation = VXLAN-GPE
nat_traversal_support = off
rloc-probing {{
    rloc-probe-interval = 2
    rloc-probe-retries = 2
    rloc-probe-retries-interval = 1
}}
map-resolver = {{
    {OURS}
}}
map-server {{
    address = {OURS}
    key-type = 1
    key = {PASSWORD}
    proxy-reply = on
}}
database-mapping {{
    eid-prefix = 40.0.1.0/24
    iid = {IID}
    ttl = 10
    rloc-iface {{
        interface = eth0
        ip_version = 4
        priority = 1
        weight = 100
    }}
}}
"""
MS_CONF = f"""
debug = 3
operating-mode = MS
control-iface = eth0
lisp-site {{
    eid-prefix = 40.0.0.0/16
    key-type = 1
    key = {PASSWORD}
    iid = {IID}
    accept-more-specifics = true
}}
"""


class Oor:
    """The running program, and its log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def says(self, text: str, seconds: float = 15.0) -> None:
        _until(lambda: text in self.log, seconds, lambda: f"{text!r} is not in:\n{self.log[-4000:]}")


def _until(condition: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, complaint()
        time.sleep(0.02)


@contextmanager
def running_oor(namespace: Namespace, folder: Path, configuration: str) -> Iterator[Oor]:
    file, log = folder / "oor.conf", folder / "oor.log"
    file.write_text(configuration)
    assert OOR is not None
    with log.open("w") as out:
        child = subprocess.Popen(
            [*namespace.prefix, "stdbuf", "-oL", OOR, "-f", str(file)], stdout=out, stderr=out, cwd=folder
        )
        try:
            yield Oor(log)
        finally:
            child.terminate()
            child.wait(timeout=10)


def messages(capture: Capture) -> list[tuple[UdpPacket, Message]]:
    """The control messages of a capture, out of their envelopes, as our decoder reads them."""
    found = []
    for datagram in capture.datagrams():
        if CONTROL_PORT in (datagram.source_port, datagram.destination_port):
            message = decode(datagram.payload)
            found.append((datagram, decode(message.payload) if isinstance(message, Ecm) else message))
    return found


def of_kind(capture: Capture, kind: type[Message], source: IPv4Address) -> list[Any]:
    return [message for packet, message in messages(capture) if isinstance(message, kind) and packet.source == source]


def server_settings(folder: Path) -> dict[str, Any]:
    foreign = {
        "name": "foreign",
        "site_id": 1,
        "profile": "oor",
        "keys": [{"id": 0, "algorithm": "hmac-sha1-96", "secret_file": secret_file(folder, "oor.key", PASSWORD)}],
        "prefixes": [{"iid": IID, "prefix": "40.0.1.0/24"}],
        "xtrs": [{"xtr_id": "01" * 16, "rlocs": [str(THEIRS)]}],
    }
    ours = {
        "name": "ours",
        "site_id": 2,
        "keys": [{"secret_file": secret_file(folder)}],
        "prefixes": [{"iid": IID, "prefix": "40.0.0.0/24", "host_routes": True}],
        "xtrs": [{"xtr_id": "02" * 16, "rlocs": [str(OURS_TOO)]}],
    }
    return {"name": "MS", "address": str(OURS), "sites": [foreign, ours]}


def xtr_settings(folder: Path) -> dict[str, Any]:
    link = {
        "name": "ms",
        "address": str(OURS),
        "keys": [{"secret_file": secret_file(folder)}],
        "prefixes": [{"iid": IID, "prefix": "0.0.0.0/0"}],
        "subscribe": [{"iid": IID, "prefix": "40.0.0.0/16"}],
    }
    hop = {"port": 2, "port_mac": "02:01:00:01:00:02", "mac": "02:00:00:00:00:07"}
    return {
        "name": "D1",
        "xtr_id": "02" * 16,
        "site_id": 2,
        "rlocs": [str(OURS_TOO)],
        "probing": {"interval": 1.5, "timeout": 0.3, "tries": 3, "down_interval": 0.5},
        "links": [link],
        "accelerators": [{"iid": IID, "ip": "40.0.0.7", **hop}],
    }


SEND_A_PACKET = """
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("40.0.1.1", 0))
for _ in range(8):
    sock.sendto(b"payload", ("40.0.0.7", 5001))
    time.sleep(0.25)
"""


def test_as_xtr_at_our_map_server(tmp_path: Path) -> None:
    """It registers, resolves an accelerator of ours and encapsulates to it; the routers probe each other."""
    ms, d1 = write(tmp_path / "ms.yaml", server_settings(tmp_path)), write(tmp_path / "d1.yaml", xtr_settings(tmp_path))
    with two_namespaces([f"{OURS}/24", f"{OURS_TOO}/24"], [f"{THEIRS}/24"]) as (here, there):
        there.run(("ip", "address", "add", "40.0.1.1/32", "dev", "lo"))
        with (
            sniffing(there.prefix, tmp_path / "capture.pcap", ROOT) as capture,
            daemon("map-server", "--config", str(ms), prefix=here.prefix) as server,
            daemon("xtr", "--config", str(d1), prefix=here.prefix) as xtr,
        ):
            xtr.says("registration-acknowledged")
            with running_oor(there, tmp_path, XTR_CONF) as oor:
                server.says("map-register-accepted xtr=1/")
                oor.says(f"Map-Notify message confirms correct registration of (IID {IID}/32, EID 40.0.1.0/24)")
                assert f"forward {THEIRS}(1/100)" in xtr.says("map-cache: [4097] 40.0.1.0/24")
                there.run((sys.executable, "-c", SEND_A_PACKET))
                oor.says(f"Added Map Cache entry with EID prefix (IID {IID}/32, EID 40.0.0.7/32)")
                oor.says(f"Successfully probed RLOC {OURS_TOO}")
                _until(
                    lambda: any(reply.probe for reply in of_kind(capture, MapReply, THEIRS)),
                    10,
                    lambda: "it has not answered our probe",
                )
                assert "rloc-unreachable" not in xtr.log
            # It is gone: our probes find out long before its registration ends.
            xtr.says(f"rloc-unreachable rloc={THEIRS} by=probe")
    (register, *_) = of_kind(capture, MapRegister, THEIRS)
    assert (register.xtr, register.algorithm, register.key_id, len(register.auth_data)) == (None, 1, 0, 20)
    nonces = [one.nonce for one in of_kind(capture, MapNotify, OURS)]
    assert nonces == [one.nonce for one in of_kind(capture, MapRegister, THEIRS)]
    asked = [one for one in of_kind(capture, MapRequest, THEIRS) if not one.probe]
    assert [record.key for record in asked[0].records] == [HOST]
    assert not asked[0].records[0].subscribe
    tunnels = [one for one in _data(capture) if one.destination == OURS_TOO]
    assert tunnels
    header = TunnelHeader.decode(tunnels[0].payload[:8], VXLAN_GPE_PORT)
    assert (header.iid, header.next_protocol) == (IID, 1)
    assert tunnels[0].payload[8 + 16 : 8 + 20] == IPv4Address("40.0.0.7").packed
    assert questioned_in(capture.file, OURS, OURS_TOO) == []


def _data(capture: Capture) -> list[UdpPacket]:
    """The VXLAN-GPE packets: without a checksum, as tunnels may be, so not among the datagrams."""
    found = []
    for frame in capture.frames():
        packet = frame[14:]
        if packet[:1] == b"\x45" and packet[9] == 17 and packet[22:24] == VXLAN_GPE_PORT.to_bytes(2, "big"):
            ends = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
            found.append(UdpPacket(*ends, int.from_bytes(packet[20:22], "big"), VXLAN_GPE_PORT, packet[28:], packet[8]))
    return found


def ask(namespace: Namespace, **told: Any) -> dict[str, Any]:
    """Let an xTR of ours do something; returns its tables and events."""
    told = {"server": str(THEIRS), "key": PASSWORD, "profile": "oor", "seconds": 3, **told}
    done = subprocess.run(
        [*namespace.prefix, sys.executable, "-m", "tests.interop.asking_xtr", json.dumps(told)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_as_map_server_of_our_xtrs(tmp_path: Path) -> None:
    """Our xTRs register with it, resolve each other through it, and understand its negative answers."""
    with (
        two_namespaces([f"{OURS}/24", f"{OURS_TOO}/24"], [f"{THEIRS}/24"]) as (here, there),
        sniffing(there.prefix, tmp_path / "capture.pcap", ROOT) as capture,
        running_oor(there, tmp_path, MS_CONF) as oor,
    ):
        oor.says("started...")
        registering = ask(here, rloc=str(OURS), attach=["40.0.0.7"])
        assert registering["database"] == {"40.0.0.7/32": "registered"}
        resolving = ask(here, rloc=str(OURS_TOO), ask=["40.0.0.7", "40.0.0.9", "50.0.0.1"])
        assert resolving["map_cache"] == {
            "40.0.0.7/32": ["forward", 0, [str(OURS)]],
            "40.0.0.9/32": ["negative", 1, []],  # of its site, not registered: Natively-Forward, one minute
            "48.0.0.0/4": ["negative", 0, []],  # of no site: the hole, No-Action
        }
        # It takes Record TTL 0 for a registration like any other, with the locator that we then declare unusable.
        leaving = ask(here, rloc=str(OURS), attach=["40.0.0.7"], detach=["40.0.0.7"])
        assert leaving["after"] == {}
        assert ask(here, rloc=str(OURS_TOO), ask=["40.0.0.7"])["map_cache"] == {"40.0.0.7/32": ["negative", 3, []]}
    for message in of_kind(capture, MapRegister, OURS):
        assert (message.xtr, message.key_id, message.algorithm, len(message.auth_data)) == (None, 0, 1, 20)
    assert len(of_kind(capture, MapNotify, THEIRS)) == len(of_kind(capture, MapRegister, OURS))
    assert all(not record.subscribe for one in of_kind(capture, MapRequest, OURS_TOO) for record in one.records)
    assert questioned_in(capture.file, OURS, OURS_TOO) == []


def test_with_another_password_it_refuses_ours_and_we_refuse_it(tmp_path: Path) -> None:
    with two_namespaces([f"{OURS}/24"], [f"{THEIRS}/24"]) as (here, there):
        with running_oor(there, tmp_path, MS_CONF.replace(PASSWORD, "another")) as oor:
            oor.says("started...")
            refused = ask(here, rloc=str(OURS), attach=["40.0.0.7"], seconds=1)
            assert refused["database"] == {"40.0.0.7/32": "registering"}
        ms = write(tmp_path / "ms.yaml", server_settings(tmp_path))
        with (
            daemon("map-server", "--config", str(ms), prefix=here.prefix) as server,
            running_oor(there, tmp_path, XTR_CONF.replace(PASSWORD, "another")),
        ):
            server.says("message-dropped reason=authentication-failed")
            assert "map-register-accepted" not in server.log


def test_by_default_it_is_refused(tmp_path: Path) -> None:
    """Without the profile: it does not say who it is."""
    settings = server_settings(tmp_path)
    del settings["sites"][0]["profile"]
    ms = write(tmp_path / "ms.yaml", settings)
    with (
        two_namespaces([f"{OURS}/24"], [f"{THEIRS}/24"]) as (here, there),
        daemon("map-server", "--config", str(ms), prefix=here.prefix) as server,
        running_oor(there, tmp_path, XTR_CONF),
    ):
        server.says("message-dropped reason=no-identity")
        assert "map-register-accepted" not in server.log
