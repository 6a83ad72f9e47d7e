"""Writing addresses: `AFI | address`, and the body of every LCAF type (RFC 9301 §5.2, RFC 8060, RFC 9306)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, assert_never

from controller.lisp import lcaf
from controller.lisp.address import DistinguishedName, MacAddress, NoAddress
from controller.lisp.constants import MAX_LCAF_DEPTH, Afi, LcafType
from controller.lisp.errors import EncodeError

_IPV4: Final = Struct("!HI")
_AFI: Final = Struct("!H")
_LCAF: Final = Struct("!HBBBBH")  # AFI, Rsvd1, Flags, Type, Rsvd2, Length
_APPLICATION: Final = Struct("!IHHHH")  # traffic class and protocol as one
_GEO: Final = Struct("!HBBHBBi")
_MULTICAST: Final = Struct("!IHBB")
_ASSIGNED: Final = frozenset(map(int, LcafType))
_NO_ALTITUDE: Final = 0x7FFFFFFF
_AFI_IPV4: Final = int(Afi.IPV4)
_AFI_LCAF: Final = int(Afi.LCAF)  # plain numbers: packing an IntEnum takes three times as long


def checked(field: str, value: int, bits: int) -> int:
    """Return `value`. Raises EncodeError if it is no unsigned number of `bits` bits."""
    if value >> bits:
        raise EncodeError(field, value, f"does not fit {bits} bits")
    return value


def encode_address(address: lcaf.Address, depth: int = 0) -> bytes:
    """Return AFI and address; `depth` LCAFs are already around it.

    Raises EncodeError for a value that has no place on the wire.
    """
    match address:
        case IPv4Address():
            return _IPV4.pack(_AFI_IPV4, int(address))
        case IPv6Address():
            return b"\x00\x02" + address.packed
        case DistinguishedName():
            return b"\x00\x11" + address.name.encode("ascii") + b"\x00"
        case NoAddress():
            return b"\x00\x00"
        case MacAddress():
            return _AFI.pack(address.afi) + address.octets
        case _:
            return _encode_lcaf(address, depth + 1)


def _encode_lcaf(address: lcaf.Lcaf, depth: int) -> bytes:
    if depth > MAX_LCAF_DEPTH:
        raise EncodeError("lcaf", type(address).__name__, f"nested deeper than {MAX_LCAF_DEPTH}")
    kind: int
    flags = rsvd2 = 0
    match address:
        case lcaf.InstanceId():
            kind, rsvd2 = LcafType.INSTANCE_ID, checked("instance-id.mask-len", address.mask_len, 8)
            body = checked("instance-id.iid", address.iid, 32).to_bytes(4, "big")
            body += encode_address(address.address, depth)
        case lcaf.NullLcaf():
            kind, body = LcafType.NULL, b""
        case lcaf.AfiList():
            kind, body = LcafType.AFI_LIST, _sequence(address.elements, depth)
        case lcaf.AsNumber():
            kind = LcafType.AS_NUMBER
            body = checked("as-number", address.as_number, 32).to_bytes(4, "big")
            body += encode_address(address.address, depth)
        case lcaf.ApplicationData():
            kind, body = LcafType.APPLICATION_DATA, _application_data(address, depth)
        case lcaf.GeoCoordinates():
            kind, body = LcafType.GEO_COORDINATES, _geo_coordinates(address, depth)
        case lcaf.OpaqueKey():
            kind, body = LcafType.OPAQUE_KEY, _opaque_key(address)
        case lcaf.NatTraversal():
            kind = LcafType.NAT_TRAVERSAL
            body = checked("nat-traversal.ms-port", address.ms_port, 16).to_bytes(2, "big")
            body += checked("nat-traversal.etr-port", address.etr_port, 16).to_bytes(2, "big")
            rlocs = (address.global_etr_rloc, address.ms_rloc, address.private_etr_rloc, *address.rtr_rlocs)
            body += _sequence(rlocs, depth)
        case lcaf.NonceLocator():
            kind = LcafType.NONCE_LOCATOR
            body = checked("nonce-locator.nonce", address.nonce, 24).to_bytes(4, "big")
            body += encode_address(address.address, depth)
        case lcaf.MulticastInfo():
            kind, body = LcafType.MULTICAST_INFO, _multicast_info(address, depth)
        case lcaf.ExplicitLocatorPath():
            kind = LcafType.EXPLICIT_LOCATOR_PATH
            body = b"".join(_path_hop(hop, depth) for hop in address.hops)
        case lcaf.SecurityKey():
            kind, body = LcafType.SECURITY_KEY, _security_key(address, depth)
        case lcaf.SourceDestKey():
            kind, body = LcafType.SOURCE_DEST_KEY, _source_dest_key(address, depth)
        case lcaf.ReplicationList():
            kind = LcafType.REPLICATION_LIST
            body = b"".join(
                checked("replication-list.level", entry.level, 8).to_bytes(4, "big")
                + encode_address(entry.address, depth)
                for entry in address.entries
            )
        case lcaf.JsonData():
            kind, rsvd2 = LcafType.JSON, int(address.binary)
            body = checked("json.length", len(address.json), 16).to_bytes(2, "big")
            body += address.json + encode_address(address.address, depth)
        case lcaf.KeyValue():
            kind, body = LcafType.KEY_VALUE, _sequence((address.key, address.value), depth)
        case lcaf.EncapsulationFormat():
            kind = LcafType.ENCAPSULATION_FORMAT
            body = checked("encapsulation-format.formats", address.formats, 32).to_bytes(4, "big")
            body += encode_address(address.address, depth)
        case lcaf.VendorSpecific():
            kind = LcafType.VENDOR_SPECIFIC
            body = checked("vendor-specific.oui", address.oui, 24).to_bytes(4, "big") + address.data
        case lcaf.UnknownLcaf():
            kind, body, flags, rsvd2 = address.type, address.body, address.flags, address.rsvd2
            if kind in _ASSIGNED:
                raise EncodeError("unknown-lcaf.type", kind, "is a type that has a class of its own")
            checked("unknown-lcaf.type", kind, 8)
            checked("unknown-lcaf.flags", flags, 8)
            checked("unknown-lcaf.rsvd2", rsvd2, 8)
        case _:
            assert_never(address)
    checked("lcaf.length", len(body), 16)
    return _LCAF.pack(_AFI_LCAF, 0, flags, kind, rsvd2, len(body)) + body


def _sequence(addresses: tuple[lcaf.Address, ...], depth: int) -> bytes:
    return b"".join(encode_address(address, depth) for address in addresses)


def _application_data(address: lcaf.ApplicationData, depth: int) -> bytes:
    return _APPLICATION.pack(
        checked("application-data.traffic-class", address.traffic_class, 24) << 8
        | checked("application-data.protocol", address.protocol, 8),
        checked("application-data.local-port-low", address.local_port_low, 16),
        checked("application-data.local-port-high", address.local_port_high, 16),
        checked("application-data.remote-port-low", address.remote_port_low, 16),
        checked("application-data.remote-port-high", address.remote_port_high, 16),
    ) + encode_address(address.address, depth)


def _geo_coordinates(address: lcaf.GeoCoordinates, depth: int) -> bytes:
    altitude = _NO_ALTITUDE if address.altitude is None else address.altitude
    if address.altitude == _NO_ALTITUDE or not -(2**31) <= altitude < 2**31:
        raise EncodeError("geo-coordinates.altitude", altitude, "must be -2147483648 to 2147483646 metres")
    return _GEO.pack(
        address.north << 15 | checked("geo-coordinates.latitude-degrees", address.latitude_degrees, 15),
        checked("geo-coordinates.latitude-minutes", address.latitude_minutes, 8),
        checked("geo-coordinates.latitude-seconds", address.latitude_seconds, 8),
        address.east << 15 | checked("geo-coordinates.longitude-degrees", address.longitude_degrees, 15),
        checked("geo-coordinates.longitude-minutes", address.longitude_minutes, 8),
        checked("geo-coordinates.longitude-seconds", address.longitude_seconds, 8),
        altitude,
    ) + encode_address(address.address, depth)


def _opaque_key(address: lcaf.OpaqueKey) -> bytes:
    if not 1 <= address.field_count <= 16:
        raise EncodeError("opaque-key.field-count", address.field_count, "must be 1 to 16")
    wildcards = checked("opaque-key.wildcard-fields", address.wildcard_fields, 16)
    return bytes((address.field_count - 1,)) + wildcards.to_bytes(2, "big") + address.key


def _multicast_info(address: lcaf.MulticastInfo, depth: int) -> bytes:
    head = _MULTICAST.pack(
        checked("multicast-info.iid", address.iid, 32),
        0,
        checked("multicast-info.source-mask-len", address.source_mask_len, 8),
        checked("multicast-info.group-mask-len", address.group_mask_len, 8),
    )
    return head + _sequence((address.source, address.group), depth)


def _path_hop(hop: lcaf.PathHop, depth: int) -> bytes:
    return bytes((0, hop.lookup << 2 | hop.probe << 1 | hop.strict)) + encode_address(hop.address, depth)


def _security_key(address: lcaf.SecurityKey, depth: int) -> bytes:
    head = bytes(
        (
            checked("security-key.count", len(address.keys), 8),
            0,
            checked("security-key.algorithm", address.algorithm, 8),
            address.revoke,
        )
    )
    keys = b"".join(checked("security-key.length", len(k), 16).to_bytes(2, "big") + k for k in address.keys)
    return head + keys + encode_address(address.address, depth)


def _source_dest_key(address: lcaf.SourceDestKey, depth: int) -> bytes:
    head = bytes(
        (
            0,
            0,
            checked("source-dest-key.source-mask-len", address.source_mask_len, 8),
            checked("source-dest-key.destination-mask-len", address.destination_mask_len, 8),
        )
    )
    return head + _sequence((address.source, address.destination), depth)
