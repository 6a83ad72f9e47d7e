"""`trace` of what is not IPv4 unicast: IPv6 over IPv6, groups over IP, groups inside a PoD."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from controller.app.control import Session
from controller.app.control_errors import ControlError
from topologies.generate import Shape, generate
from topologies.inprocess import Fabric
from topologies.operate.trace import Trace
from topologies.schema import Topology

GROUP, NOBODY, SCALE_UP_GROUP = "ff3e::1:1", "ff3e::1:2", 0xFF000001

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric() -> AsyncIterator[Fabric]:
    """Two PoDs over an IPv6 underlay: acc1 and acc2 in the first, acc3 and acc4 in the second."""
    shape = generate(Shape(pods=2, accelerators=4, access_per_pod=2, eid_version=6, rloc_version=6))
    groups: dict[str, Any] = {
        "groups": [{"iid": 4097, "address": GROUP, "members": ["acc1", "acc2", "acc4"]}],
        "scale_up_groups": [{"iid": 8193, "number": SCALE_UP_GROUP, "members": ["acc1", "acc2"]}],
    }
    async with Fabric(Topology.model_validate(shape | groups)) as fabric:
        yield fabric


async def walk(fabric: Fabric, destination: str) -> dict[str, Any]:
    found = await Trace(fabric).trace({"source": "acc1", "destination": destination}, Session())
    assert isinstance(found, dict)
    return found


def visited(found: dict[str, Any]) -> set[str]:
    return {hop["switch"] for hop in found["hops"]}


async def test_ipv6_between_pods(fabric: Fabric) -> None:
    found = await walk(fabric, "acc4")
    assert found["packet"] == "UDP from fd00:1::1 port 49152 to fd00:2::2 port 9"
    assert (found["delivered"], found["dropped"]) == (["acc4"], [])
    headers = [" / ".join(hop["headers"]) for hop in found["hops"]]
    assert any("IPv6 2001:db8:0:1::1 > 2001:db8:0:1::" in one and "VXLAN-GPE iid 4097 / IPv6 fd00:1::1" in one
               for one in headers)  # fmt: skip
    assert any(lookup["table"] == "underlay_ipv6" for hop in found["hops"] for lookup in hop["lookups"])


async def test_a_group_branches(fabric: Fabric) -> None:
    """Every receiver is named once, copies that would go back are no drops, and each branch is followed."""
    found = await walk(fabric, GROUP)
    assert sorted(found["delivered"]) == ["acc2", "acc4"]
    assert found["dropped"] == []
    assert {"P1-L1", "P1-S1", "P1-L2", "F1", "P2-S1", "P2-L2"} - visited(found) <= {"F1"}  # or F2
    assert "P2-L1" not in visited(found)
    assert len(found["hops"][0]["out"]) == 2  # one copy to the PoD, one to the border


async def test_a_group_without_receivers(fabric: Fabric) -> None:
    found = await walk(fabric, NOBODY)
    assert found["delivered"] == []
    assert [one["reason"] for one in found["dropped"]] == ["NO_ANSWER"]
    assert visited(found) == {"P1-L1"}


async def test_a_group_inside_the_pod(fabric: Fabric) -> None:
    found = await walk(fabric, f"{SCALE_UP_GROUP:#x}")
    assert found["packet"] == f"Scale-Up message from AccID 1 to AccID {SCALE_UP_GROUP}"
    assert (found["delivered"], found["dropped"]) == (["acc2"], [])
    assert visited(found) == {"P1-L1", "P1-S1", "P1-L2"}


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("10.0.0.1", "destination 10.0.0.1: acc1 has an address of the other IP version"),
        ("fd00:::1", "destination fd00:::1: no such accelerator (or IP address, or AccID)"),
        ("0x1ffffffff", "destination 0x1ffffffff: an AccID has 32 bits"),
    ],
)
async def test_what_cannot_be_a_destination(fabric: Fabric, destination: str, message: str) -> None:
    with pytest.raises(ControlError, match="destination") as caught:
        await walk(fabric, destination)
    assert message in caught.value.message
