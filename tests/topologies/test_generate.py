"""Generated topologies: the file is consistent and has what was asked for, or one line says why not."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from topologies.cli import app
from topologies.generate import Shape, ShapeError, generate
from topologies.plan import plan
from topologies.topology_file import load
from topologies.write_yaml import topology_text

runner = CliRunner()


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    domains: Any = draw(st.sampled_from(["both", "scale-out", "scale-up"]))
    accelerators = draw(st.integers(1, 40))
    access = draw(st.integers(1, 4))
    return Shape(
        name=draw(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True)),
        pods=draw(st.integers(1, 5)),
        accelerators=accelerators,
        access_per_pod=access,
        borders=0 if domains == "scale-up" else draw(st.integers(1, 3)),
        pod_switches=draw(st.integers(1, 3)),
        fabric_switches=draw(st.integers(1, 3)),
        tenants=draw(st.integers(1, 4)),
        multihomed=draw(st.integers(0, accelerators)) if access > 1 else 0,
        domains=domains,
        nodes=draw(st.integers(1, 3)),
        eid_version=draw(st.sampled_from([4, 6])),
        rloc_version=draw(st.sampled_from([4, 6])),
        encapsulation=draw(st.sampled_from(["vxlan-gpe", "vxlan", "lisp-gpe"])),
    )


@given(shapes())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_generated_is_a_fabric(tmp_path: Path, shape: Shape) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(topology_text(generate(shape), "made"))
    topology = load(file)
    roles = Counter(switch.role for switch in topology.switches)
    assert topology.name == shape.name
    assert len(topology.pods) == shape.pods
    assert roles["access"] == shape.pods * shape.access_per_pod
    assert roles["border"] == shape.pods * shape.borders
    assert roles["pod-switch"] == shape.pods * shape.pod_switches
    assert roles["fabric-switch"] == (shape.fabric_switches if shape.borders else 0)
    assert len(topology.accelerators) == shape.accelerators
    assert sum(len(one.attached_to) == 2 for one in topology.accelerators) == shape.multihomed
    assert len({one.mac for one in topology.accelerators}) == shape.accelerators
    per_pod = Counter(topology.switch(one.attached_to[0]).pod for one in topology.accelerators)
    assert max(per_pod.values()) - min(per_pod[pod.name] for pod in topology.pods) <= 1
    for one in topology.accelerators:
        assert (one.ip is not None) == (shape.domains != "scale-up")
        assert (one.scale_up_iid is not None) == (shape.domains != "scale-out")
    systems = shape.pods + (shape.nodes if shape.domains != "scale-up" else 0)
    assert len(topology.mapping_systems()) == systems
    # Every xTR has a way to every other of its PoD, and where there is Scale-Out to every other at all.
    plans = plan(topology)
    for switch in topology.switches:
        if switch.rloc is not None:
            reached = set(plans[switch.name].routes)
            wanted = {
                other.rloc
                for other in topology.switches
                if other.rloc is not None and other != switch and (shape.borders or other.pod == switch.pod)
            }
            assert reached == wanted


def test_tenants_are_on_every_access_switch_in_turn() -> None:
    sections: Any = generate(Shape(pods=1, accelerators=8, access_per_pod=2, tenants=2))
    on = Counter((row["attached_to"][0], row["iid"]) for row in sections["accelerators"])
    assert on == Counter({(f"P1-L{switch}", iid): 2 for switch in (1, 2) for iid in (4097, 4098)})


def test_addresses_are_as_documented() -> None:
    sections: Any = generate(Shape(pods=3, accelerators=900, access_per_pod=8, borders=2))
    switches = {row["name"]: row.get("rloc") for row in sections["switches"]}
    assert (switches["P3-L8"], switches["P3-B1"]) == ("198.18.3.8", "198.18.3.9")
    assert sections["pods"][2]["mapping_system"]["address"] == "198.19.0.3"
    last = sections["accelerators"][-1]
    assert (last["name"], last["ip"], last["mac"]) == ("acc900", "10.3.1.44", "02:00:00:00:03:84")
    six: Any = generate(Shape(pods=12, accelerators=12, eid_version=6, rloc_version=6))
    assert six["switches"][-4]["rloc"] == "2001:db8:0:c::4"
    assert ip_network(six["pods"][11]["subnets"][0]["prefix"]) == ip_network("fd00:c::/32")
    assert six["accelerators"][11]["ip"] == "fd00:c::1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--pods 0", "--pods 0: must be 1 to 255"),
        ("--accelerators 0", "--accelerators 0: must be 1 to 16777215"),
        ("--access-per-pod 251", "--access-per-pod 251: must be 1 to 250"),
        ("--access-per-pod 249", "--access-per-pod 249: with 2 borders more than 250 xTRs a PoD"),
        ("--borders 0", "--borders 0: must be 1 to 64"),
        ("--borders 1 --domains scale-up", "--borders 1: must be 0 in Scale-Up alone"),
        ("--pod-switches 65", "--pod-switches 65: must be 1 to 64"),
        ("--fabric-switches 0", "--fabric-switches 0: must be 1 to 64"),
        ("--tenants 3000", "--tenants 3000: must be 1 to 2047"),
        ("--multihomed 9", "--multihomed 9: must be 0 to 8"),
        ("--multihomed 1 --access-per-pod 1", "--multihomed 1: needs access_per_pod of 2 or more"),
        ("--nodes 0", "--nodes 0: must be 1 to 250"),
        ("--pods 255 --access-per-pod 16", "--pods 255: of 18 xTRs each have more than the 2048 routes"),
        ("--pods 1 --accelerators 2000", "--accelerators 2000: some switch may need 1001 ports of 509"),
        ("--pods 255 --borders 2 --access-per-pod 2", "--pods 255: some switch may need 510 ports of 509"),
        ("--encapsulation lisp", "--encapsulation lisp: carries IP only"),
        ("--name 9lives", "--name '9lives': must be"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(options: str, message: str) -> None:
    result = runner.invoke(app, ["topology", "generate", *options.split()])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_the_largest_shapes_pass_the_checker(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    options = "--pods 64 --accelerators 4096 --access-per-pod 4 --borders 2 --tenants 4 --multihomed 1024"
    result = runner.invoke(app, ["topology", "generate", *options.split(), "-o", str(file)])
    assert result.exit_code == 0, result.output
    assert file.read_text().splitlines()[1] == f"# Made by: lispfabric topology generate {_in_order(options)}"
    assert len(load(file).accelerators) == 4096
    again = runner.invoke(app, ["topology", "generate", "-o", str(file)])
    assert (again.exit_code, f"--output {file}: File exists" in again.stderr) == (1, True)


def _in_order(options: str) -> str:
    """Options as the file says them: without those that have their default value."""
    return options.replace(" --borders 2", "")


def test_bounds_of_the_library_are_those_of_the_command() -> None:
    with pytest.raises(ShapeError, match=r"pods = 256: must be 1 to 255"):
        Shape(pods=256)
