"""Topology files: Figure 1 is a fabric, and each mistake is one clear line with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from topologies.roles import key_of
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Figure 1 with one text replaced."""
    text = FIGURE1.read_text()
    assert old in text
    file = tmp_path / "t.yaml"
    file.write_text(text.replace(old, new, 1))
    return file


@pytest.fixture(scope="module")
def figure1() -> Topology:
    return load(FIGURE1)


@pytest.mark.requirement("ARCH-9", "ARCH-10")
def test_figure_1_has_the_parts_of_the_draft(figure1: Topology) -> None:
    roles = [switch.role for switch in figure1.switches]
    assert (roles.count("access"), roles.count("border")) == (8, 8)
    assert (roles.count("pod-switch"), roles.count("fabric-switch")) == (4, 2)
    assert len(figure1.accelerators) == 8
    servers = [system.address for system in figure1.mapping_systems()]
    assert len(set(servers)) == 5
    assert figure1.accelerator("acc7").attached_to == ("D1", "D2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("role: access", "role: acces", r"t\.yaml:39: switches\[0\]\.role = 'acces': Input should be 'access'"),
        (
            "rloc: 192.0.2.1}",
            "rloc: 192.0.2.300}",
            r"t\.yaml:39: switches\[0\]\.rloc = '192\.0\.2\.300': .*IPv4 or IPv6 address",
        ),
        ("iid: 4097, name", "iid: 16777216, name", r"t\.yaml:6: instances\[0\]\.iid = 16777216: .*less than or equal"),
        (
            "prefix: 20.0.0.0/16",
            "prefix: 20.0.0.1/16",
            r"pods\[1\]\.subnets\[0\]\.prefix = '20\.0\.0\.1/16': .*network",
        ),
        ("[A1, S-A]", "[A1, S-Z]", r"links\[0\]: S-Z is no switch"),
        ("[A1, S-A]", "[A1, A1]", r"links\[0\]: joins A1 to itself"),
        ("ip: 10.0.0.1,", "ip: 20.0.0.1,", r"accelerators\[0\]\.ip: 20\.0\.0\.1 is in no subnet of pod A"),
        ("ip: 10.0.0.1,", "ip: 10.0.0.2,", r"accelerators\[1\]\.ip: .*is also accelerators\[0\]'s"),
        ("attached_to: [A1]", "attached_to: [A3]", r"accelerators\[0\]\.attached_to\[0\]: A3 is no access switch"),
        ("attached_to: [D1, D2]", "attached_to: [D1, A2]", r"attached_to: spans the pods A, D"),
        ("rloc: 192.0.2.2}", "rloc: 192.0.2.1}", r"switches\[1\]\.rloc: 192\.0\.2\.1 is also switches\[0\]'s"),
        ("role: fabric-switch", "role: border", r"switches\[20\]: .*a border switch needs an rloc"),
        ("pod: A, rloc", "pod: E, rloc", r"switches\[0\]\.pod: E is no pod"),
        ("encapsulation: vxlan-gpe", "encapsulation: gre", r"instances\[0\]\.encapsulation = 'gre'"),
        ("name: figure1", "name: figure1\nextra: 1", r"t\.yaml:4: extra = 1: Extra inputs are not permitted"),
        ("secret: figure1-pod-A", "secret: short", r"pods\[0\]\.key\.secret: String should have at least 8"),
        ("secret: figure1-pod-A", "id: 300, secret: figure1-pod-A", r"t\.yaml:\d+: .*"),
        ('mac: "02:00:00:00:00:01"', 'mac: "02:00"', r"accelerators\[0\]\.mac = '02:00': "),
        ("links:", "links: [", r"t\.yaml:\d+: not YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        load(changed(tmp_path, old, new))


@pytest.mark.requirement("SO-REG-1")
def test_subnets_of_two_pods_may_not_overlap(tmp_path: Path) -> None:
    with pytest.raises(
        TopologyError,
        match=r"t\.yaml:\d+: pods\[1\]\.subnets\[0\]\.prefix: 10\.0\.128\.0/17 overlaps "
        r"10\.0\.0\.0/16 of pod A in Instance-ID 4097",
    ):
        load(changed(tmp_path, "prefix: 20.0.0.0/16", "prefix: 10.0.128.0/17"))


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as error:
        load(changed(tmp_path, "secret: figure1-pod-A", "secret: hush"))
    assert "hush" not in str(error.value)
    assert "figure1-pod-A" not in repr(load(FIGURE1))


def test_secrets_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load(changed(tmp_path, "secret: figure1-pod-A", "secret_env: POD_A_KEY")).pods[0].key
    monkeypatch.delenv("POD_A_KEY", raising=False)
    with pytest.raises(TopologyError, match="environment variable POD_A_KEY is not set"):
        key_of(key)
    monkeypatch.setenv("POD_A_KEY", "from-the-environment")
    assert key_of(key).secret == b"from-the-environment"
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    key = load(changed(tmp_path, "secret: figure1-pod-A", f"secret_file: {file}")).pods[0].key
    assert key_of(key).secret == b"from-a-file"
    missing = load(changed(tmp_path, "secret: figure1-pod-A", "secret_file: /nonexistent/key")).pods[0].key
    with pytest.raises(TopologyError, match="/nonexistent/key: No such file"):
        key_of(missing)
    with pytest.raises(TopologyError, match=r"pods\[0\]\.key.*exactly one of secret, secret_env and secret_file"):
        load(changed(tmp_path, "secret: figure1-pod-A", "secret: figure1-pod-A, secret_env: X"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a mapping of sections is needed, not NoneType"),
        (b"- 1", "not list"),
        (b"\xff\xfe\x00", "t.yaml: not UTF-8"),
    ],
)
def test_a_file_that_is_no_topology(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_bytes(content)
    with pytest.raises(TopologyError, match=message):
        load(file)


def test_a_missing_file() -> None:
    with pytest.raises(TopologyError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(Path("nowhere.yaml"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(section=st.sampled_from(["name", "instances", "pods", "switches", "links", "accelerators"]), value=values)
def test_any_value_in_any_section_is_refused_or_loaded(tmp_path: Path, section: str, value: object) -> None:
    data = yaml.safe_load(FIGURE1.read_text())
    data[section] = value
    file = tmp_path / "t.yaml"
    file.write_text(yaml.safe_dump(data))
    message = ""
    try:
        load(file)
    except TopologyError as error:
        message = str(error)
    assert not message or message.startswith(f"{file}:")
