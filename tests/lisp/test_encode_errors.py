"""Values that have no place on the wire: refused before anything is sent, by name."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from controller.lisp import (
    AsNumber,
    Ecm,
    EidRecord,
    EncodeError,
    GeoCoordinates,
    InstanceId,
    JsonData,
    LispError,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    OpaqueKey,
    RequestRecord,
    RlocRecord,
    UnknownLcaf,
    VendorSpecific,
    XtrIdentity,
    encode,
)
from tests.lisp.vectors import MAPPING, RLOC

V6 = IPv6Address("2001:db8::1")
TOO_BIG: list[tuple[Message, str]] = [
    (MapReply(1 << 64, ()), "map-reply.nonce"),
    (MapReply(-1, ()), "map-reply.nonce"),
    (MapReply(1, (MAPPING,) * 256), "map-reply.records.count"),
    (MapReply(1, (EidRecord(RLOC, 32, 1 << 32),)), "map-reply.records[0].ttl"),
    (MapReply(1, (MAPPING, EidRecord(RLOC, 256, 1))), "map-reply.records[1].mask-len"),
    (MapReply(1, (EidRecord(RLOC, 32, 1, action=8),)), "map-reply.records[0].action"),
    (MapReply(1, (EidRecord(RLOC, 32, 1, map_version=4096),)), "map-reply.records[0].map-version"),
    (MapReply(1, (EidRecord(RLOC, 32, 1, (RlocRecord(RLOC),) * 256),)), "map-reply.records[0].locators.count"),
    (
        MapReply(1, (EidRecord(RLOC, 32, 1, (RlocRecord(RLOC), RlocRecord(RLOC, weight=256))),)),
        "map-reply.records[0].locators[1].weight",
    ),
    *(
        (MapReply(1, (EidRecord(RLOC, 32, 1, (locator,)),)), f"map-reply.records[0].locators[0].{field}")
        for field, locator in {
            "priority": RlocRecord(RLOC, priority=256),
            "mpriority": RlocRecord(RLOC, mpriority=-1),
            "mweight": RlocRecord(RLOC, mweight=256),
            "as-number": RlocRecord(AsNumber(1 << 32, RLOC)),
        }.items()
    ),
    (
        MapRequest(1, (RLOC,), (RequestRecord(InstanceId(-1, RLOC), 32),)),
        "map-request.records[0].eid.instance-id.iid",
    ),
    (MapReply(1, (EidRecord(InstanceId(1 << 32, RLOC), 32, 1),)), "map-reply.records[0].eid.instance-id.iid"),
    (MapRegister(1, (), key_id=256), "map-register.key-id"),
    (MapNotify(1, (), algorithm=256), "map-notify.algorithm"),
    (MapNotifyAck(1, (), auth_data=bytes(65536)), "map-notify-ack.auth-data.length"),
    (MapRegister(1, (), xtr=XtrIdentity(b"short", 1)), "map-register.xtr.xtr-id"),
    (MapRegister(1, (), xtr=XtrIdentity(bytes(16), 1 << 64)), "map-register.xtr.site-id"),
    (MapRequest(1, (RLOC,), (RequestRecord(RLOC, 300),)), "map-request.records[0].mask-len"),
    (
        MapRequest(1, (RLOC, InstanceId(1, RLOC, 256)), (RequestRecord(RLOC, 32),)),
        "map-request.itr-rlocs[1].instance-id.mask-len",
    ),
    (MapRequest(1, (VendorSpecific(1 << 24, b""),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].vendor"),
    (MapRequest(1, (UnknownLcaf(2, b""),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].unknown-lcaf.type"),
    (MapRequest(1, (UnknownLcaf(300, b""),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].unknown-lcaf.type"),
    (MapRequest(1, (OpaqueKey(b"", 17),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].opaque-key.field"),
    (MapRequest(1, (JsonData(bytes(65536)),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].json.length"),
    (MapRequest(1, (JsonData(bytes(65535)),), (RequestRecord(RLOC, 32),)), "map-request.itr-rlocs[0].lcaf.length"),
    (
        MapRequest(
            1,
            (RLOC,),
            (RequestRecord(RLOC, 32),),
            GeoCoordinates(True, 1, 1, 1, True, 1, 1, 1, 0x7FFFFFFF, RLOC),
        ),
        "map-request.source-eid.geo-coordinates.altitude",
    ),
    (Ecm(RLOC, V6, 1, 1, b""), "ecm.destination"),
    (Ecm(RLOC, RLOC, 65536, 1, b""), "ecm.source-port"),
    (Ecm(V6, V6, 1, 1, b"", ttl=256), "ecm.ttl"),
    (Ecm(RLOC, RLOC, 1, 1, bytes(65508)), "ecm.payload.length"),
]


@pytest.mark.parametrize(("message", "field"), TOO_BIG, ids=[field for _, field in TOO_BIG])
def test_what_does_not_fit_is_refused_by_name(message: Message, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(message)
    assert caught.value.field.startswith(field)
    assert str(caught.value).startswith(f"{caught.value.field} = ")
    assert isinstance(caught.value, LispError)
