"""Map-Server and xTRs in namespaces of their own, joined by veth: nothing but the wire between them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.app.own_network import needs_own_network
from tests.interop.namespaces import two_namespaces
from tests.interop.processes import ROOT, daemon, secret_file, write
from tests.interop.sniffer import sniffing
from tests.lisp.test_tshark import questioned_in

IID = 4097


@needs_own_network
@pytest.mark.parametrize(
    ("server", "first", "second", "length"),
    [("10.9.0.1", "10.9.0.2", "10.9.0.3", 24), ("fd00:9::1", "fd00:9::2", "fd00:9::3", 64)],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.requirement("PR-UDP-1", partial=True)
def test_two_xtrs_behind_a_wire(tmp_path: Path, server: str, first: str, second: str, length: int) -> None:
    """One registers and leaves, the other is told; what goes over the wire is as Wireshark wants it."""
    key = {"secret_file": secret_file(tmp_path)}
    site = {
        "site_id": 13,
        "keys": [key],
        "prefixes": [{"iid": IID, "prefix": "40.0.0.0/16", "host_routes": True}],
        "xtrs": [{"xtr_id": "d1" * 16, "rlocs": [first]}, {"xtr_id": "d2" * 16, "rlocs": [second]}],
    }

    def xtr(number: int, rloc: str, **fields: Any) -> Path:
        link = {
            "name": "scale-up",
            "address": server,
            "keys": [key],
            "prefixes": [{"iid": IID, "prefix": "0.0.0.0/0"}],
            "subscribe": [{"iid": IID, "prefix": "40.0.0.0/16"}],
        }
        content = {"xtr_id": f"d{number}" * 16, "site_id": 13, "rlocs": [rloc], "links": [link], **fields}
        return write(tmp_path / f"d{number}.yaml", content)

    hop = {"port": 2, "port_mac": "02:01:00:01:00:02", "mac": "02:00:00:00:00:07"}
    attached = {"accelerators": [{"iid": IID, "ip": "40.0.0.7", **hop}], "withdraw_on_exit": True}
    ms = write(tmp_path / "ms.yaml", {"address": server, "sites": [site]})
    d1, d2 = xtr(1, first, **attached), xtr(2, second)
    with (
        two_namespaces([f"{server}/{length}"], [f"{first}/{length}", f"{second}/{length}"]) as (here, there),
        sniffing(there.prefix, tmp_path / "capture.pcap", ROOT) as capture,
        daemon("map-server", "--config", str(ms), prefix=here.prefix) as running,
        daemon("xtr", "--config", str(d2), prefix=there.prefix) as other,
    ):
        other.says("subscription-confirmed")
        with daemon("xtr", "--config", str(d1), prefix=there.prefix) as one:
            one.says("registration-acknowledged eid=[4097] 40.0.0.7/32")
            assert f"forward {first}(1/100)" in other.says("map-cache: [4097] 40.0.0.7/32")
        other.says("map-cache: [4097] 40.0.0.7/32 is gone")
        assert "message-dropped" not in running.log
    assert len(capture.datagrams()) >= 10
    assert questioned_in(capture.file, *map(ip_address, (server, first, second))) == []
