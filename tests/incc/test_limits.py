"""What the switches' program cannot do for a group is said before anything is ordered: its P4Info has the limits."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from p4.config.v1 import p4info_pb2

from accelerator.incc.group import AsyncGroup, attach_interface
from accelerator.rendezvous import Descriptor
from controller.app.control_errors import ControlError
from controller.dataplane.codepoints import ProgramMismatchError
from controller.dataplane.collective_limits import NONE, CollectiveLimits, collective_limits, common_values
from controller.incc import InccError, Work
from controller.p4rt.p4info import P4Info
from controller.p4rt.pipeline import Pipeline
from p4src import build
from tests.incc.networks import Fabric as Sketch
from tests.incc.programs import generated
from tests.incc.running import Connections
from tests.incc.switches import Switches
from topologies import inprocess
from topologies.generate import Shape
from topologies.program import fabric_pipeline

COLLECTIVES = """
collectives:
  domains:
    - {name: up, iid: 8193, acc_ids: {first: 5000, last: 5100}}
"""
ONE_LEAF = Shape(
    name="limits", pods=1, accelerators=33, access_per_pod=1, borders=0, fabric_switches=0, domains="scale-up"
)


def program(children: int) -> Pipeline:
    """The fabric's, with sets of so many children."""
    info = p4info_pb2.P4Info()
    info.CopyFrom(fabric_pipeline().info.proto)
    config = json.loads(fabric_pipeline().device_config)
    for action in info.actions:
        for param in action.params:
            if param.name == "everyone":
                param.bitwidth = children
    for compiled in config["actions"]:
        for data in compiled["runtime_data"]:
            if data["name"] == "everyone":
                data["bitwidth"] = children
    return Pipeline.make(P4Info(info), json.dumps(config).encode())


@asynccontextmanager
async def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline, shape: Shape = ONE_LEAF
) -> AsyncIterator[inprocess.Fabric]:
    monkeypatch.setattr(inprocess, "fabric_pipeline", lambda: pipeline)
    async with inprocess.Fabric(generated(folder, shape, COLLECTIVES)) as fabric:
        yield fabric


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_larger_than_its_switch_can_serve_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch, program(31)) as fabric:
        connections = Connections(fabric)
        names = [one.name for one in fabric.topology.accelerators]
        access = fabric.topology.accelerators[0].attached_to[0]
        before = fabric.controls[access].tables.desired()
        with pytest.raises(
            ControlError,
            match=f"members = 32: group large: switch {access} would have 32 children; its program combines for 31",
        ):
            await connections.call("one", "create", group="large", domain="up", members=names[:32])
        assert fabric.collectives.manager.groups() == []
        assert fabric.controls[access].tables.desired() == before
        # One less is served, and to the end.
        await connections.call("one", "create", group="fits", domain="up", members=names[:31])
        members = await connections.join("fits", names[:31])
        assert len(members) == 31
        assert fabric.collectives.manager.group("fits").state == "active"


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_of_any_members_is_not_formed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes is known only when all have come; those that wait are told."""
    async with running(tmp_path, monkeypatch, program(31)) as fabric:
        connections = Connections(fabric)
        await connections.call("one", "create", group="large", domain="up", size=33)
        with pytest.raises(ControlError, match=r"group large: switch .* would have 33 children; .* 31 at most"):
            await connections.join("large", [one.name for one in fabric.topology.accelerators])


def test_nothing_is_ordered_for_a_group_that_is_too_large() -> None:
    sketch = Sketch(pods="A", leaves=1, each=40, children=31)
    manager = sketch.manager()
    manager.create("any", "up", size=40)
    outputs = [output for name in sketch.names for output in manager.join("any", name)]
    assert not [output for output in outputs if isinstance(output, Work)]
    view = manager.group("any")
    assert view.state == "broken"
    assert view.reason == (
        "members = 40: group any: switch A1 would have 40 children; its program combines for 31 at most"
    )


def test_trees_grow_another_level_within_the_limit() -> None:
    sketch = Sketch(pods="A", leaves=70, children=31)
    manager = sketch.manager()
    switches = Switches(sketch, manager)
    manager.create("wide", "up", members=sketch.names)
    for member in sketch.names:
        switches.take(manager.join("wide", member))
    switches.settle()
    branches = manager.group("wide").branches
    assert len(branches) == 70
    assert max(len(one.members) + len(one.nodes) for one in branches.values()) == 31


def test_a_program_without_collectives_serves_no_group() -> None:
    with pytest.raises(InccError, match="group g: switch A1 would have 1 child; its program has no collectives"):
        Sketch(pods="A", children=0).manager().create("g", "up", members=["A1.1"])


def test_a_program_that_serves_no_ipv6_groups_is_named() -> None:
    manager = Sketch(pods="A", ipv6=False).manager()
    with pytest.raises(
        InccError, match=r"domain = six: is of IPv6, and the program of switch A1 serves no IPv6 groups"
    ):
        manager.create("g", "six", members=["A1.1", "A2.1"])
    manager.create("g", "out", members=["A1.1", "A2.1"])
    Sketch(pods="A").manager().create("g", "six", members=["A1.1", "A2.1"])


def test_a_tree_goes_round_a_switch_that_serves_no_ipv6_groups() -> None:
    sketch = Sketch(pods="AB")
    members = ["A1.1", "B1.1"]
    root = formed_root(sketch, members)
    assert sketch.network.xtrs[root].border
    sketch.network.xtrs[root] = replace(sketch.network.xtrs[root], ipv6=False)
    assert formed_root(sketch, members) not in ("A1", "B1", root)


def formed_root(sketch: Sketch, members: list[str]) -> str:
    """The root of a group of these, which has been formed."""
    manager = sketch.manager()
    switches = Switches(sketch, manager)
    manager.create("g", "six", members=members)
    for member in members:
        switches.take(manager.join("g", member))
    switches.settle()
    view = manager.group("g")
    assert view.state == "active"
    return next(switch for switch, branch in view.branches.items() if branch.parent is None)


class TestP4Info:
    def test_of_the_v1model_program(self) -> None:
        assert collective_limits(fabric_pipeline().info) == CollectiveLimits(64, slots=1024, values=64, ipv6=True)

    @pytest.mark.parametrize(("chip", "values", "ipv6"), [("tofino", 32, True), ("tofino2", 64, False)])
    def test_of_the_program_for_tofino(self, chip: str, values: int, ipv6: bool) -> None:
        full = build.HERE / "compiled" / "tna" / f"full-{chip}" / "fabric.p4info.txtpb"
        assert collective_limits(P4Info.from_file(full)) == CollectiveLimits(31, 1024, values, ipv6)

    def test_children_are_the_bits_of_the_set(self) -> None:
        assert collective_limits(program(31).info).children == 31

    def test_of_a_program_without_collectives(self) -> None:
        forwarding = build.HERE / "compiled" / "tna" / "forwarding-tofino2" / "fabric.p4info.txtpb"
        assert collective_limits(P4Info.from_file(forwarding)) == NONE

    @pytest.mark.parametrize("key", ["slots", "values", "ipv6"])
    def test_what_it_does_not_say_is_named(self, key: str) -> None:
        info = p4info_pb2.P4Info()
        info.CopyFrom(fabric_pipeline().info.proto)
        (annotation,) = (one for table in info.tables for one in table.preamble.structured_annotations)
        pairs = annotation.kv_pair_list.kv_pairs
        pairs.remove(next(pair for pair in pairs if pair.key == key))
        with pytest.raises(ProgramMismatchError, match=rf"table .*collective: @incc\[{key}=\.\.\.\] = None, must be"):
            collective_limits(P4Info(info))

    def test_one_number_of_values_for_all_switches(self) -> None:
        wide, narrow = CollectiveLimits(64, 1024, 64), CollectiveLimits(31, 1024, 32)
        assert common_values({"A": narrow, "B": NONE, "C": narrow}) == 32
        assert common_values({"A": NONE}) == 0
        with pytest.raises(ProgramMismatchError, match=r"switches B and C: .* 64 and 32 values"):
            common_values({"A": NONE, "B": wide, "C": narrow})


@pytest.mark.skipif(
    not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")),
    reason="p4c-bm2-ss IS NOT INSTALLED: nothing is added up with 32 values in a packet",
)
@pytest.mark.requirement("GEN-9", partial=True)
async def test_members_send_as_many_values_as_the_program_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = tmp_path / "narrow.p4"
    main.write_text(f'#define COLLECTIVE_VALUES 32\n#include "{build.HERE}/v1model/fabric.p4"\n')
    build.compile_v1model(tmp_path, program=str(main))
    narrow = Pipeline.from_files(tmp_path / "fabric.p4info.txtpb", tmp_path / "fabric.json")
    shape = Shape(
        name="narrow", pods=1, accelerators=4, access_per_pod=2, borders=0, fabric_switches=0, domains="scale-up"
    )
    async with running(tmp_path, monkeypatch, narrow, shape) as fabric:
        connections = Connections(fabric)
        names = [one.name for one in fabric.topology.accelerators]
        await connections.call("one", "create", group="g", domain="up", members=names)
        members = await connections.join("g", names)
        assert [member.descriptor["values"] for member in members] == [32] * 4
        groups = [
            AsyncGroup(Descriptor.from_json(member.descriptor), attach_interface(fabric.interfaces[member.name]))
            for member in members
        ]
        arrays = [np.arange(100, dtype=np.int32) * (group.rank + 1) for group in groups]
        handles = [group.all_reduce(array) for group, array in zip(groups, arrays, strict=True)]
        for handle in handles:
            np.testing.assert_array_equal(await handle, np.arange(100) * 10)
        for group in groups:
            await group.close()
