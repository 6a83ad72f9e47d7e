"""The eight octets of the tunnel headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lisp import DecodeError, EncodeError, Tunnel, TunnelHeader
from controller.lisp.constants import NextProtocol
from tests.lisp.strategies import U8, bits

lisp_iids = st.none() | bits(24)


@st.composite
def _headers(draw: st.DrawFn) -> TunnelHeader:
    tunnel = draw(st.sampled_from(list(Tunnel)))
    if tunnel is Tunnel.VXLAN:
        return TunnelHeader(tunnel, draw(bits(24)))
    if tunnel is Tunnel.VXLAN_GPE:
        return TunnelHeader(tunnel, draw(bits(24)), draw(U8), oam=draw(st.booleans()))
    iid = draw(lisp_iids)
    status_bits = draw(st.none() | bits(32 if iid is None else 8))
    key_id = draw(bits(2))
    if tunnel is Tunnel.LISP_GPE:
        return TunnelHeader(tunnel, iid, draw(U8), status_bits, key_id)
    if draw(st.booleans()):
        return TunnelHeader(tunnel, iid, None, status_bits, key_id, draw(bits(24)), draw(st.booleans()))
    versions = draw(st.none() | st.tuples(bits(12), bits(12)))
    return TunnelHeader(tunnel, iid, None, status_bits, key_id, map_versions=versions)


headers = _headers()


@given(headers)
def test_headers_both_ways(header: TunnelHeader) -> None:
    octets = header.encode()
    assert len(octets) == 8
    assert TunnelHeader.decode(octets + b"payload", header.tunnel.udp_port) == header


@pytest.mark.parametrize(
    ("header", "octets"),
    [
        (TunnelHeader(Tunnel.LISP, iid=0x1001), "08 000000 001001 00"),
        (TunnelHeader(Tunnel.LISP), "00 000000 00000000"),
        (TunnelHeader(Tunnel.LISP, status_bits=0x80000001), "40 000000 80000001"),
        (TunnelHeader(Tunnel.LISP, iid=1, status_bits=0x81), "48 000000 000001 81"),
        (TunnelHeader(Tunnel.LISP, iid=1, nonce=0xABCDEF, echo_nonce=True), "a8 abcdef 000001 00"),
        (TunnelHeader(Tunnel.LISP, iid=1, map_versions=(0x123, 0x456)), "18 123456 000001 00"),
        (TunnelHeader(Tunnel.LISP, iid=1, key_id=2), "0a 000000 000001 00"),
        (TunnelHeader(Tunnel.LISP_GPE, iid=0x1001, next_protocol=NextProtocol.IPV4), "0c 000001 001001 00"),
        (TunnelHeader(Tunnel.LISP_GPE, next_protocol=NextProtocol.IPV6), "04 000002 00000000"),
        (TunnelHeader(Tunnel.VXLAN, iid=0x2001), "08 000000 002001 00"),
        (TunnelHeader(Tunnel.VXLAN_GPE, iid=0x2001, next_protocol=NextProtocol.ETHERNET), "0c 000003 002001 00"),
        (TunnelHeader(Tunnel.VXLAN_GPE, iid=1, next_protocol=3, oam=True), "0d 000003 000001 00"),
    ],
)
@pytest.mark.requirement("DP-3", "DP-4", "DP-6", partial=True)  # the octets, not the data plane
def test_octets(header: TunnelHeader, octets: str) -> None:
    assert header.encode() == bytes.fromhex(octets)
    assert TunnelHeader.decode(bytes.fromhex(octets), header.tunnel.udp_port) == header


def test_lisp_gpe_ignores_what_it_has_no_use_for() -> None:
    clean = TunnelHeader(Tunnel.LISP_GPE, iid=0x1001, next_protocol=3)
    assert clean.encode() == bytes.fromhex("0c000003 00100100")  # N, E, V and octets 1-2 are sent as 0
    noisy = bytes.fromhex("bcffff03 00100177")
    assert TunnelHeader.decode(noisy, 4341) == clean


def test_nonce_wins_over_map_versions() -> None:
    assert TunnelHeader.decode(bytes.fromhex("98123456 00000100"), 4341) == TunnelHeader(
        Tunnel.LISP, iid=1, nonce=0x123456
    )


def test_vxlan_ignores_reserved_fields() -> None:
    assert TunnelHeader.decode(bytes.fromhex("f8ffffff 002001ff"), 4789) == TunnelHeader(Tunnel.VXLAN, iid=0x2001)


@pytest.mark.parametrize(
    ("octets", "port", "why"),
    [
        ("00000000 00200100", 4789, "VNI bit"),
        ("04000003 00200100", 4790, "VNI bit"),
        ("08000003 00200100", 4790, "P not 1"),
        ("1c000003 00200100", 4790, "version is not 0"),
        ("0c000003 00200100", 4342, "no known encapsulation"),
    ],
)
def test_headers_that_do_not_fit(octets: str, port: int, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        TunnelHeader.decode(bytes.fromhex(octets), port)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        (TunnelHeader(Tunnel.LISP, iid=1 << 24), "tunnel.iid"),
        (TunnelHeader(Tunnel.LISP, iid=1, status_bits=256), "tunnel.status-bits"),
        (TunnelHeader(Tunnel.LISP, nonce=1 << 24), "tunnel.nonce"),
        (TunnelHeader(Tunnel.LISP, map_versions=(4096, 0)), "tunnel.source-version"),
        (TunnelHeader(Tunnel.LISP, map_versions=(0, 4096)), "tunnel.destination-version"),
        (TunnelHeader(Tunnel.LISP, key_id=4), "tunnel.key-id"),
        (TunnelHeader(Tunnel.LISP, next_protocol=1), "tunnel.next-protocol"),
        (TunnelHeader(Tunnel.LISP, nonce=1, map_versions=(1, 1)), "tunnel.map-versions"),
        (TunnelHeader(Tunnel.LISP, echo_nonce=True), "tunnel.echo-nonce"),
        (TunnelHeader(Tunnel.LISP, oam=True), "tunnel.oam"),
        (TunnelHeader(Tunnel.LISP_GPE, iid=1), "tunnel.next-protocol"),
        (TunnelHeader(Tunnel.LISP_GPE, iid=1, next_protocol=256), "tunnel.next-protocol"),
        (TunnelHeader(Tunnel.LISP_GPE, iid=1, next_protocol=1, nonce=1), "tunnel.nonce"),
        (TunnelHeader(Tunnel.VXLAN), "tunnel.iid"),
        (TunnelHeader(Tunnel.VXLAN, iid=1, status_bits=1), "tunnel.status-bits"),
        (TunnelHeader(Tunnel.VXLAN_GPE, iid=1), "tunnel.next-protocol"),
        (TunnelHeader(Tunnel.VXLAN_GPE, iid=1, next_protocol=3, key_id=1), "tunnel.key-id"),
    ],
)
def test_headers_that_cannot_be_written(header: TunnelHeader, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        header.encode()
    assert caught.value.field == field
