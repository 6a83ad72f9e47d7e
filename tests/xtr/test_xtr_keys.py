"""Keys of an xTR: changed while it runs, refused when they cannot be, and never shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import Algorithm, Key, MapNotify, MapRegister, verify
from controller.mapping import ConfigError
from tests.mapping.harness import Bench, Fabric, assert_synchronised, drop_reason, eid, secret_key, sends, unwrap
from tests.xtr.support import HOST, KEY, OTHER, XtrBench, record

OLD, NEW = secret_key(40), secret_key(40, 2, Algorithm.HMAC_SHA256_128_HKDF)


@pytest.mark.requirement("PR-AUTH-7")
def test_keys_change_by_key_id_while_everything_runs() -> None:
    """First every Map-Server knows both keys, then each xTR signs with the new one, then the old one goes."""
    fabric = Fabric("D", follow_names=True)
    fabric.start()
    fabric.attach("D1", "40.0.0.7")
    fabric.attach("D2", "40.0.0.7")
    fabric.net.run(30)
    for server in ("SU-D", "SO"):
        fabric.server(server).use_keys(40, (OLD, NEW))
    for name in ("D1", "D2", "D3", "D4"):
        fabric.net.run(20)
        for link in fabric.xtr(name).config.links:
            fabric.xtr(name).use_keys(link.name, (NEW, OLD))
        fabric.detach("D2", "40.0.0.7")
        fabric.net.run(5)
        fabric.attach("D2", "40.0.0.7")
    fabric.net.run(70)
    for server in ("SU-D", "SO"):
        fabric.server(server).use_keys(40, (NEW,))
    at = fabric.net.now
    for name in ("D1", "D2", "D3", "D4"):
        for link in fabric.xtr(name).config.links:
            fabric.xtr(name).use_keys(link.name, (NEW,))
    fabric.attach("D1", "40.0.0.8")
    fabric.net.run(70)
    assert not fabric.node("SU-D").events("message-dropped")
    for name in ("D1", "D2", "D3", "D4", "SU-D", "SO"):
        assert not fabric.node(name).events("registration-expired")
        assert not fabric.node(name).events("message-dropped")
    for kind in (MapRegister, MapNotify):
        for seen, message in fabric.net.seen(kind, at):
            assert isinstance(message, (MapRegister, MapNotify))
            assert (message.key_id, message.algorithm) == (2, Algorithm.HMAC_SHA256_128_HKDF)
            verify(seen.datagram.payload, message, NEW)
    assert fabric.cache("D3")["40.0.0.7/32"] == ["192.0.40.1", "192.0.40.2"]
    assert_synchronised(fabric)


def test_a_key_that_is_gone_is_not_accepted() -> None:
    bench = Bench()
    for now in (0.0, 60.0):
        assert sends(bench.register(bench.d1, HOST, now=now))
    bench.server.use_keys(40, (NEW,))
    assert drop_reason(bench.register(bench.d1, HOST)) == "unknown-key"
    xtr = XtrBench()
    xtr.xtr.use_keys("scale-up", (NEW,))
    (datagram,) = sends(xtr.attach(HOST))
    message = unwrap(datagram.payload)
    assert isinstance(message, MapRegister)
    verify(datagram.payload, message, NEW)
    assert drop_reason(xtr.notify(message.nonce, *message.records, key=KEY)) == "unknown-key"
    assert xtr.notify(message.nonce, *message.records, key=NEW)


def test_keys_that_cannot_be_are_refused_and_change_nothing() -> None:
    bench = Bench(pods="AD")
    with pytest.raises(ConfigError, match="keys of site 40 = key 9: has the secret of keys of site 10"):
        bench.server.use_keys(40, (replace(secret_key(10), key_id=9),))
    with pytest.raises(ConfigError, match="site_id = 99: is no site"):
        bench.server.use_keys(99, (NEW,))
    with pytest.raises(ConfigError, match="a site needs a key"):
        bench.server.use_keys(40, ())
    assert sends(bench.register(bench.d3, eid("40.0.0.0/16")))
    xtr = XtrBench().xtr
    with pytest.raises(ConfigError, match="key_id = 2: is there twice"):
        xtr.use_keys("scale-up", (NEW, NEW))
    with pytest.raises(ConfigError, match="link = elsewhere: is no link"):
        xtr.use_keys("elsewhere", (NEW,))


def test_no_configuration_event_or_dump_shows_a_secret() -> None:
    secret = b"lab-psk-0040-1"
    fabric = Fabric("D", follow_names=True)
    fabric.start()
    fabric.attach("D1", "40.0.0.7")
    fabric.net.run(5)
    wrong = Key(1, Algorithm.HMAC_SHA256_128, b"guessed")
    outputs = XtrBench().notify(5, record(OTHER, "192.0.40.2"), key=wrong)
    shown: list[object] = [fabric.server("SU-D").config, fabric.xtr("D1").config, secret_key(40), outputs]
    shown += [fabric.server("SU-D").registrations(), fabric.server("SU-D").subscriptions()]
    shown += [fabric.xtr("D3").map_cache(), fabric.xtr("D3").database(), fabric.xtr("D3").subscriptions()]
    shown += [[str(output) for _, output in node.outputs] for node in fabric.net.nodes.values()]
    for one in shown:
        text = repr(one) + str(one)
        assert secret.decode() not in text
        assert secret.hex() not in text
        assert "guessed" not in text
    with pytest.raises(ConfigError) as caught:
        replace(fabric.server("SU-D").config, sites=fabric.server("SU-D").config.sites * 2)
    assert secret.decode() not in str(caught.value)
