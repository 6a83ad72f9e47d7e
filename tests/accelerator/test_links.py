"""What a fabric offers to accelerators in other processes, and what they find."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelerator.links import LinkError, control_path, find_links, publish_links

MAC = bytes.fromhex("020000000001")
ROUTERS = {"A1": bytes.fromhex("020100010002"), "A2": bytes.fromhex("020100020002")}


def test_what_is_offered_is_found(tmp_path: Path) -> None:
    control = tmp_path / "figure1" / "control.sock"
    offered = publish_links(control, "acc1", MAC, ROUTERS)
    assert find_links(control, "acc1") == offered
    assert [(link.switch, link.router_mac, link.mac) for link in offered] == [(n, m, MAC) for n, m in ROUTERS.items()]
    assert {Path(link.socket).parent for link in offered} == {control.parent / "links"}
    assert len({path for link in offered for path in (link.socket, link.lock)}) == 4


def test_an_accelerator_without_links_is_named(tmp_path: Path) -> None:
    publish_links(tmp_path / "control.sock", "acc1", MAC, ROUTERS)
    with pytest.raises(LinkError, match=r"accelerator = 'acc9'.*there are those of: acc1"):
        find_links(tmp_path / "control.sock", "acc9")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"accelerator": "acc1", "mac": "02:00", "links": [{"switch": "A1", "router_mac": "02"}]}']
)
def test_a_file_that_is_no_list_of_links_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "acc1.json").write_text(text)
    with pytest.raises(LinkError, match=r"acc1\.json"):
        find_links(tmp_path / "control.sock", "acc1")


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="at most 107 octets"):
        publish_links(tmp_path / ("x" * 100) / "control.sock", "acc1", MAC, ROUTERS)


def test_where_the_control_socket_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert str(control_path("figure1")) == "/run/user/7/lispfabric/figure1/control.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(control_path("figure1")).startswith("/tmp/lispfabric-")
