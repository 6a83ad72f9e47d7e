"""IPv6 on both sides: EIDs, RLOCs and control messages."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from controller.lisp import Eid
from controller.mapping import AuthorisedXtr, MapServer, MemoryStore, Pod, pod_map_server
from controller.xtr import Xtr, access_xtr, border_xtr
from tests.mapping.harness import Network, identity, nonce_source, rlocs, secret_key

IID = 5
SUBNET = Eid.of(IID, "2001:db8:40::/48")
SERVER, FABRIC = IPv6Address("fd00::40:100"), IPv6Address("fd00::100")
RLOCS = [IPv6Address(f"fd00::40:{number}") for number in (1, 2, 3)]


@pytest.mark.requirement("SO-MAP-2", "SO-FLOW-6")
def test_hosts_subnets_and_gateways() -> None:
    xtrs = tuple(
        AuthorisedXtr(identity(40, number).xtr_id, (rloc,), border=number == 3) for number, rloc in enumerate(RLOCS, 1)
    )
    keys = (secret_key(40),)
    net = Network()
    config = pod_map_server(SERVER, Pod(40, (SUBNET,), keys, xtrs))
    server = MapServer(config, MemoryStore(), 0.0, nonces=nonce_source(1))
    net.add("SU", server, [SERVER])
    machines: list[Xtr] = []
    for number, rloc in enumerate(RLOCS, 1):
        xtr_id = identity(40, number).xtr_id
        if number < 3:
            role = access_xtr(xtr_id=xtr_id, site_id=40, rlocs=(rloc,), map_server=SERVER, keys=keys, subnets=(SUBNET,))
        else:
            role = border_xtr(
                xtr_id=xtr_id,
                site_id=40,
                rlocs=(rloc,),
                map_server=SERVER,
                keys=keys,
                fabric_map_server=FABRIC,
                fabric_keys=keys,
                subnets=(SUBNET,),
            )
        machines.append(Xtr(role, 0.0, nonces=nonce_source(number + 1)))
        node = net.add(f"D{number}", machines[-1], [rloc])
        net.do(node, machines[-1].start)
    net.run(3)
    host = Eid.of(IID, "2001:db8:40::7")
    net.do(net.nodes["D1"], lambda now: machines[0].attach(host, now))
    net.do(net.nodes["D2"], lambda now: machines[1].miss(Eid.of(IID, "2001:db8:99::1"), now, b"packet"))
    net.run(3)
    cached = {str(entry.eid.target): rlocs(entry) for entry in machines[1].map_cache()}
    assert cached == {
        "2001:db8:40::/48": ["fd00::40:3"],
        "2001:db8:40::7/128": ["fd00::40:1"],
        "2001:db8:80::/41": ["fd00::40:3"],
    }, "the last is the room around 2001:db8:99::1 beside the subnet"
    assert net.nodes["D2"].replayed() == [b"packet"]
    assert max(len(seen.datagram.payload) for seen in net.sent) <= 1232
