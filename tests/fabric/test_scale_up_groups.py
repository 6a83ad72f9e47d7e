"""Scale-Up groups and broadcast in Figure 1: in the PoD alone, and one copy for every member, from any sender."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.lisp.replication import scale_up_group_eid
from tests.fabric.observe import SCALE_UP_IID, figure1, observed
from topologies.yaml_source import TopologyError

PLACE = "accelerators:\n"
GROUP, EVERYBODY = 0xF0000001, 0xFFFFFFFF
MEMBERS = "acc1, acc2, acc3, acc7, acc8"
GROUPS = (
    f"scale_up_groups:\n  - {{iid: 8193, number: {GROUP:#x}, members: [{MEMBERS}]}}\n"
    f"  - {{iid: 8193, number: {EVERYBODY:#x}}}\n\n"
)


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-5", "MH-FWD-8", "SU-REG-11")
async def test_every_member_of_the_pod_gets_one_copy(tmp_path: Path) -> None:
    async with observed(figure1(tmp_path, (PLACE, GROUPS + PLACE))) as fabric:
        endpoints = fabric.fabric.endpoints
        pods = [("acc1", "acc2"), ("acc3", "acc4"), ("acc7", "acc8")]
        for number, members in ((GROUP, set(MEMBERS.split(", "))), (EVERYBODY, set(endpoints))):
            for pod in pods:
                for sender in pod:
                    before = {name: len(endpoint.received) for name, endpoint in endpoints.items()}
                    endpoints[sender].send_message(number, b"to all")
                    await fabric.settle()
                    got = {name: len(one.received) - before[name] for name, one in endpoints.items()}
                    expected = {name: int(name in pod and name in members and name != sender) for name in endpoints}
                    assert got == expected, f"{sender} to {number:#x}"
        # The list of a PoD is nobody else's affair.
        for seen in fabric.seen():
            if any(record.key == scale_up_group_eid(SCALE_UP_IID, GROUP) for record in seen.records):
                assert "SO-MS" not in (seen.source, seen.destination)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{iid: 8193, number: 7}", r"scale_up_groups\[0\]\.number = 7: "),
        ("{iid: 4097, number: 0xf0000001}", r"scale_up_groups\[0\]\.iid: 4097 is no Scale-Up Instance-ID"),
        ("{iid: 8193, number: 0xf0000001, members: [acc9]}", r"members\[0\]: acc9 is no accelerator"),
        ("{iid: 8193, number: 0xffffffff, members: [acc1]}", "everybody receives broadcast"),
        (
            "{iid: 8193, number: 0xf0000001}\n  - {iid: 8193, number: 0xf0000001}",
            r"scale_up_groups\[1\]\.number: 0xf0000001 in 8193 is also scale_up_groups\[0\]",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        figure1(tmp_path, (PLACE, f"scale_up_groups:\n  - {text}\n\n{PLACE}"))
