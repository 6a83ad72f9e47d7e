"""The topology files that are shipped: each is consistent, and other programs can check it by the exported schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from controller.mapping import Extranet
from topologies.cli import app
from topologies.limits import EIDS, INSTANCES, PATHS, POD_RLOCS, PORTS, RLOC_SET, RLOCS
from topologies.roles import mapping_systems, xtr_config
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

FOLDER = Path(__file__).resolve().parents[2] / "topologies"
FILES = sorted(FOLDER.glob("*.yaml"))
INFO = FOLDER.parent / "p4src" / "compiled" / "v1model" / "fabric.p4info.txtpb"


def schema() -> dict[str, Any]:
    result = CliRunner().invoke(app, ["topology", "schema"])
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.output)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_file_is_consistent(file: Path) -> None:
    topology = load(file)
    assert topology.name == file.stem
    for switch in topology.switches:
        if switch.rloc is not None:
            xtr_config(topology, switch)
    assert len(list(mapping_systems(topology))) == len(topology.mapping_systems())
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": 7}, "name"),
        ({"extra": 1}, ""),
        ({"links": [["A1"]]}, "links/0"),
        ({"punt": {"burst": 0}}, "punt/burst"),
        ({"extranets": [{"provider": 0, "subscriber": 1, "prefixes": ["10.0.0.0/8"]}]}, "extranets/0/provider"),
    ],
)
def test_the_schema_refuses_what_the_checker_refuses(change: dict[str, Any], field: str) -> None:
    data = yaml.safe_load((FOLDER / "figure1.yaml").read_text()) | change
    validator = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    (error,) = validator.iter_errors(data)
    assert "/".join(map(str, error.absolute_path)) == field


def test_limits_are_those_of_the_program() -> None:
    text = INFO.read_text()

    def size(name: str, field: str = "size") -> int:
        block = next(part for part in text.split("\n}\n") if f'alias: "{name}"' in part)
        return int(block.split(f"\n  {field}: ")[1].split()[0])

    assert size("underlay_ipv4") == size("underlay_ipv6") == RLOCS
    assert size("underlay_selector", "max_group_size") == PATHS
    assert size("rloc_selector", "max_group_size") == RLOC_SET
    assert size("instance") == INSTANCES
    assert size("scale_out_ipv4") == size("scale_out_ipv6") == size("scale_up") == EIDS
    assert size("site_of_rloc") == POD_RLOCS
    assert size("port_context") > PORTS


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert old in text
    file = tmp_path / f"{name}.yaml"
    file.write_text(text.replace(old, new, 1))
    return file


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "name: SO-MS-2",
            "name: SO-MS-1",
            r"yaml:13: scale_out_mapping_system\.nodes\[0\]\.name: SO-MS-1 is also scale_o",
        ),
        ("name: SO-MS-2", "name: A1", r"switches\[0\]\.name: A1 is also scale_out_mapping_system\.nodes\[0\]\.name"),
        (
            "address: 192.0.2.210",
            "address: 192.0.2.201",
            r"nodes\[0\]\.address: 192\.0\.2\.201 is also pods\[0\]\.mapping_s",
        ),
        (
            "address: 192.0.2.210",
            "address: 192.0.2.13",
            r"switches\[6\]\.rloc: 192\.0\.2\.13 is also scale_out_mapping_sys",
        ),
        (
            "address: 192.0.2.210",
            'address: "2001:db8::1"',
            r"nodes\[0\]\.address: 2001:db8::1 is not of the IP version",
        ),
    ],
)
def test_a_mistake_in_nodes_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        load(changed(tmp_path, "scale-out", old, new))


def with_extranets(tmp_path: Path, *rows: str) -> Path:
    text = (FOLDER / "multi-tenant.yaml").read_text().replace("{iid: 4098, prefix: 10.0.0.0/16}", "", 1)
    text = text.replace("      - \n", "").replace(
        "20.0.0.0/16}\n      - {iid: 4099", "30.0.0.0/16}\n      - {iid: 4099"
    )
    text = text.split("accelerators:")[0] + "extranets:\n" + "".join(f"  - {row}\n" for row in rows)
    file = tmp_path / "extranet.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "{provider: 4097, subscriber: 4097, prefixes: [10.0.0.0/16]}",
            r"extranets\[0\].*cannot be provider and subscriber",
        ),
        (
            "{provider: 5000, subscriber: 4098, prefixes: [10.0.0.0/16]}",
            r"extranets\[0\]\.provider: 5000 is no Scale-Out",
        ),
        (
            "{provider: 4097, subscriber: 5000, prefixes: [10.0.0.0/16]}",
            r"extranets\[0\]\.subscriber: 5000 is no Scale-Ou",
        ),
        (
            "{provider: 4097, subscriber: 4098, prefixes: []}",
            r"extranets\[0\]\.prefixes = .*at least 1|extranets\[0\]\.prefix",
        ),
        (
            "{provider: 4097, subscriber: 4098, prefixes: [11.0.0.0/16]}",
            r"prefixes\[0\]: 11\.0\.0\.0/16 is in no subnet of a",
        ),
        (
            "{provider: 4097, subscriber: 4098, prefixes: ['fd00::/8']}",
            r"prefixes\[0\]: fd00::/8 is in no subnet of a pod",
        ),
        (
            "{provider: 4097, subscriber: 4099, prefixes: [10.0.7.0/24]}",
            r"10\.0\.7\.0/24 overlaps 10\.0\.0\.0/16 of pod A in",
        ),
    ],
)
def test_a_mistake_in_an_extranet_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        load(with_extranets(tmp_path, row))


def test_an_address_is_offered_to_a_tenant_once(tmp_path: Path) -> None:
    row = "{{provider: {}, subscriber: 4098, prefixes: [10.0.0.0/16]}}"
    with pytest.raises(
        TopologyError, match=r"extranets\[1\]\.prefixes\[0\]: .* overlaps 10\.0\.0\.0/16 of extranets\[0\]"
    ):
        load(with_extranets(tmp_path, row.format(4097), row.format(4099)))


@pytest.mark.requirement("SO-SEG-7", partial=True)
def test_a_map_server_has_the_extranets_of_what_is_registered_with_it(tmp_path: Path) -> None:
    file = with_extranets(tmp_path, "{provider: 4097, subscriber: 4098, prefixes: [10.0.0.0/16, 20.0.1.0/24]}")
    topology = load(file)
    policy = topology.extranets[0]
    told = {name: config.extranets for name, config in mapping_systems(topology)}
    assert told["SU-MS-A"] == (Extranet(4097, 4098, policy.prefixes[:1]),)
    assert told["SU-MS-B"] == (Extranet(4097, 4098, policy.prefixes[1:]),)
    assert told["SO-MS"] == (Extranet(4097, 4098, policy.prefixes),)
