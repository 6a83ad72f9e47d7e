"""The interface that leads to a router."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from accelerator.neighbours import interface_to
from topologies.namespaces import Namespace

MACS = ["02:01:00:01:00:02", "02:01:00:02:00:02"]


def test_nobody_knows_an_address_that_is_none() -> None:
    assert interface_to(bytes.fromhex("02ffffffff01")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("gateway", ["169.254.0.{}", "fe80::{}"])
def test_the_right_one_of_several_interfaces(gateway: str) -> None:
    script = "import sys; from accelerator.neighbours import interface_to as f\n"
    script += "print(*(f(bytes.fromhex(mac.replace(':', ''))) for mac in sys.argv[1:]))"
    with Namespace() as namespace:
        for number, mac in enumerate(MACS):
            name, address = f"eth{number}", gateway.format(number + 1)
            namespace.run(
                ("ip", "link", "add", name, "type", "veth", "peer", "name", f"far{number}"),
                ("ip", "link", "set", name, "up"),
                ("ip", "neigh", "replace", address, "lladdr", mac, "dev", name, "nud", "permanent"),
            )
        command = [*namespace.prefix, sys.executable, "-c", script, *MACS, "02:01:00:09:00:09"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["eth0", "eth1", "None"]
