"""Reading addresses: `AFI | address`, and the body of every LCAF type (RFC 9301 §5.2, RFC 8060, RFC 9306).

An unknown AFI makes the message invalid (RFC 9301 §5.1); an unknown LCAF type only makes that LCAF a thing
to ignore (RFC 9306 §3); an unknown vendor makes the message invalid again (RFC 9306 §4). After an LCAF
reading goes on where its Length says, whatever its body used of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Any, Final

from controller.lisp import lcaf
from controller.lisp.address import NO_ADDRESS, DistinguishedName, MacAddress
from controller.lisp.constants import MAX_LCAF_DEPTH, Afi, LcafType
from controller.lisp.errors import DecodeError
from controller.lisp.metadata import decode_metadata
from controller.lisp.options import DecodeOptions

_LCAF_HEADER: Final = Struct("!BBBBH")  # Rsvd1, Flags, Type, Rsvd2, Length
_U16: Final = Struct("!H")
_U32: Final = Struct("!I")
_PORTS: Final = Struct("!HH")
_APPLICATION: Final = Struct("!IHHHH")
_GEO: Final = Struct("!HBBHBBi")
_OPAQUE_KEY: Final = Struct("!BH")
_MULTICAST: Final = Struct("!IHBB")
_SECURITY_KEY: Final = Struct("!BBBB")
_SOURCE_DEST: Final = Struct("!HBB")
_NO_ALTITUDE: Final = 0x7FFFFFFF

# Numbers, not the enum's members: this is the innermost loop of the Map-Server.
_IPV4: Final = int(Afi.IPV4)
_IPV6: Final = int(Afi.IPV6)
_LCAF: Final = int(Afi.LCAF)
_INSTANCE_ID: Final = int(LcafType.INSTANCE_ID)


def truncated(field: str, octets: bytes, offset: int, end: int, needed: int) -> DecodeError:
    """Return the error for a field of `needed` octets at `offset` which runs past `end`."""
    reason = f"truncated: {needed} octets needed, {end - offset} left"
    return DecodeError(field, octets[offset:end], offset, reason)


# A fabric has few RLOCs, and each is in every registration: making an address object again costs ten times
# a look-up.
@lru_cache(maxsize=1 << 14)
def _ipv4(octets: bytes) -> IPv4Address:
    return IPv4Address(octets)


@lru_cache(maxsize=1 << 14)
def _ipv6(octets: bytes) -> IPv6Address:
    return IPv6Address(octets)


def decode_address(
    octets: bytes, offset: int, end: int, options: DecodeOptions, depth: int = 0
) -> tuple[lcaf.Address, int]:
    """Read AFI and address at `offset`, not past `end`, inside `depth` LCAFs; return it and the offset after it.

    Raises DecodeError; a vendor LCAF also has to be well-formed metadata of choice C13.
    """
    at = offset + 2
    if at > end:
        raise truncated("afi", octets, offset, end, 2)
    afi = octets[offset] << 8 | octets[offset + 1]
    if afi == _IPV4:
        after = at + 4
        if after > end:
            raise truncated("ipv4", octets, at, end, 4)
        return _ipv4(octets[at:after]), after
    if afi == _LCAF:
        return _decode_lcaf(octets, at, end, options, depth + 1)
    if afi == _IPV6:
        after = at + 16
        if after > end:
            raise truncated("ipv6", octets, at, end, 16)
        return _ipv6(octets[at:after]), after
    if afi == Afi.NONE:
        return NO_ADDRESS, at
    if afi == Afi.DISTINGUISHED_NAME:
        return _decode_name(octets, at, end)
    if afi in (Afi.MAC, Afi.MAC_IANA):
        after = at + 6
        if after > end:
            raise truncated("mac", octets, at, end, 6)
        return MacAddress(octets[at:after], afi), after
    raise DecodeError("afi", afi, offset, "unknown address family")


def _decode_name(octets: bytes, at: int, end: int) -> tuple[DistinguishedName, int]:
    nul = octets.find(0, at, end)
    if nul < 0:
        raise DecodeError("distinguished-name", octets[at:end], at, "no NUL ends the name (RFC 9735 §3)")
    name = octets[at:nul]
    if not name.isascii():
        raise DecodeError("distinguished-name", name, at, "not US-ASCII (RFC 9735 §3)")
    return DistinguishedName(name.decode("ascii")), nul + 1


def _decode_lcaf(octets: bytes, offset: int, end: int, options: DecodeOptions, depth: int) -> tuple[lcaf.Lcaf, int]:
    """Read an LCAF from the octet after its AFI."""
    start = offset + 6
    if start > end:
        raise truncated("lcaf", octets, offset, end, 6)
    _, flags, kind, rsvd2, length = _LCAF_HEADER.unpack_from(octets, offset)
    after = start + length
    if after > end:
        reason = f"runs past the end: {end - start} octets left"
        raise DecodeError("lcaf.length", length, offset + 4, reason)
    if depth > MAX_LCAF_DEPTH:
        raise DecodeError("lcaf.type", kind, offset + 2, f"nested deeper than {MAX_LCAF_DEPTH}")
    if kind == _INSTANCE_ID:  # nearly every EID is one: read it without the cursor
        inner = start + 4
        if inner > after:
            raise truncated("instance-id.iid", octets, start, after, 4)
        try:
            address, _ = decode_address(octets, inner, after, options, depth)
        except DecodeError as error:
            error.within("instance-id")
            raise
        return lcaf.InstanceId(_U32.unpack_from(octets, start)[0], address, rsvd2), after
    known = _BODIES.get(kind)
    if known is None:
        return lcaf.UnknownLcaf(kind, octets[start:after], flags, rsvd2), after
    name, read = known
    try:
        return read(_Body(octets, start, after, rsvd2, options, depth)), after
    except DecodeError as error:
        error.within(name)
        raise


class _Body:
    """The body of one LCAF, with a cursor that stops at its Length."""

    __slots__ = ("depth", "end", "octets", "offset", "options", "rsvd2")

    def __init__(self, octets: bytes, offset: int, end: int, rsvd2: int, options: DecodeOptions, depth: int) -> None:
        self.octets = octets
        self.offset = offset
        self.end = end
        self.rsvd2 = rsvd2
        self.options = options
        self.depth = depth

    def more(self) -> bool:
        return self.offset < self.end

    def take(self, count: int, field: str) -> bytes:
        at = self.offset
        if at + count > self.end:
            raise truncated(field, self.octets, at, self.end, count)
        self.offset = at + count
        return self.octets[at : at + count]

    def unpack(self, layout: Struct, field: str) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size, field))

    def address(self, field: str) -> lcaf.Address:
        try:
            address, self.offset = decode_address(self.octets, self.offset, self.end, self.options, self.depth)
        except DecodeError as error:
            error.within(field)
            raise
        return address


def _null(_: _Body) -> lcaf.Lcaf:
    return lcaf.NullLcaf()


def _afi_list(body: _Body) -> lcaf.Lcaf:
    elements: list[lcaf.Address] = []
    while body.more():
        elements.append(body.address(f"elements[{len(elements)}]"))
    return lcaf.AfiList(tuple(elements))


def _as_number(body: _Body) -> lcaf.Lcaf:
    (number,) = body.unpack(_U32, "as-number")
    return lcaf.AsNumber(number, body.address("address"))


def _application_data(body: _Body) -> lcaf.Lcaf:
    word, local_low, local_high, remote_low, remote_high = body.unpack(_APPLICATION, "ports")
    address = body.address("address")
    return lcaf.ApplicationData(word >> 8, word & 0xFF, local_low, local_high, remote_low, remote_high, address)


def _geo_coordinates(body: _Body) -> lcaf.Lcaf:
    lat, lat_min, lat_sec, lon, lon_min, lon_sec, altitude = body.unpack(_GEO, "coordinates")
    return lcaf.GeoCoordinates(
        north=bool(lat >> 15),
        latitude_degrees=lat & 0x7FFF,
        latitude_minutes=lat_min,
        latitude_seconds=lat_sec,
        east=bool(lon >> 15),
        longitude_degrees=lon & 0x7FFF,
        longitude_minutes=lon_min,
        longitude_seconds=lon_sec,
        altitude=None if altitude == _NO_ALTITUDE else altitude,
        address=body.address("address"),
    )


def _opaque_key(body: _Body) -> lcaf.Lcaf:
    at = body.offset
    last_field, wildcards = body.unpack(_OPAQUE_KEY, "field-count")
    if last_field > 15:
        raise DecodeError("field-count", last_field, at, "must be 0 to 15, the number of fields minus one")
    return lcaf.OpaqueKey(body.take(body.end - body.offset, "key"), last_field + 1, wildcards)


def _nat_traversal(body: _Body) -> lcaf.Lcaf:
    ms_port, etr_port = body.unpack(_PORTS, "ports")
    global_etr = body.address("global-etr-rloc")
    ms = body.address("ms-rloc")
    private_etr = body.address("private-etr-rloc")
    rtrs: list[lcaf.Address] = []
    while body.more():
        rtrs.append(body.address(f"rtr-rlocs[{len(rtrs)}]"))
    return lcaf.NatTraversal(ms_port, etr_port, global_etr, ms, private_etr, tuple(rtrs))


def _nonce_locator(body: _Body) -> lcaf.Lcaf:
    (word,) = body.unpack(_U32, "nonce")
    return lcaf.NonceLocator(word & 0xFFFFFF, body.address("address"))


def _multicast_info(body: _Body) -> lcaf.Lcaf:
    iid, _, source_len, group_len = body.unpack(_MULTICAST, "iid")
    return lcaf.MulticastInfo(iid, body.address("source"), source_len, body.address("group"), group_len)


def _explicit_locator_path(body: _Body) -> lcaf.Lcaf:
    hops: list[lcaf.PathHop] = []
    while body.more():
        name = f"hops[{len(hops)}]"
        (flags,) = body.unpack(_U16, name)
        hops.append(lcaf.PathHop(body.address(name), bool(flags & 4), bool(flags & 2), bool(flags & 1)))
    return lcaf.ExplicitLocatorPath(tuple(hops))


def _security_key(body: _Body) -> lcaf.Lcaf:
    count, _, algorithm, flags = body.unpack(_SECURITY_KEY, "algorithm")
    keys = []
    for index in range(count):
        (length,) = body.unpack(_U16, f"keys[{index}].length")
        keys.append(body.take(length, f"keys[{index}]"))
    return lcaf.SecurityKey(algorithm, tuple(keys), body.address("address"), bool(flags & 1))


def _source_dest_key(body: _Body) -> lcaf.Lcaf:
    _, source_len, destination_len = body.unpack(_SOURCE_DEST, "mask-lens")
    return lcaf.SourceDestKey(body.address("source"), source_len, body.address("destination"), destination_len)


def _replication_list(body: _Body) -> lcaf.Lcaf:
    entries: list[lcaf.ReplicationEntry] = []
    while body.more():
        name = f"entries[{len(entries)}]"
        (word,) = body.unpack(_U32, name)
        entries.append(lcaf.ReplicationEntry(word & 0xFF, body.address(name)))
    return lcaf.ReplicationList(tuple(entries))


def _json(body: _Body) -> lcaf.Lcaf:
    (length,) = body.unpack(_U16, "length")
    return lcaf.JsonData(body.take(length, "json"), body.address("address"), bool(body.rsvd2 & 1))


def _key_value(body: _Body) -> lcaf.Lcaf:
    return lcaf.KeyValue(body.address("key"), body.address("value"))


def _encapsulation_format(body: _Body) -> lcaf.Lcaf:
    (formats,) = body.unpack(_U32, "formats")
    return lcaf.EncapsulationFormat(formats, body.address("address"))


def _vendor_specific(body: _Body) -> lcaf.Lcaf:
    at = body.offset
    oui = body.unpack(_U32, "oui")[0] & 0xFFFFFF
    if oui not in body.options.known_ouis:
        raise DecodeError("oui", f"{oui:06x}", at + 1, "unknown organisation, drop the message (RFC 9306 §4)")
    data = body.take(body.end - body.offset, "data")
    try:
        decode_metadata(data)
    except DecodeError as error:
        error.offset = at + 4 + (error.offset or 0)
        raise
    return lcaf.VendorSpecific(oui, data)


_BODIES: Final[dict[int, tuple[str, Callable[[_Body], lcaf.Lcaf]]]] = {
    LcafType.NULL: ("null-lcaf", _null),
    LcafType.AFI_LIST: ("afi-list", _afi_list),
    LcafType.AS_NUMBER: ("as-number", _as_number),
    LcafType.APPLICATION_DATA: ("application-data", _application_data),
    LcafType.GEO_COORDINATES: ("geo-coordinates", _geo_coordinates),
    LcafType.OPAQUE_KEY: ("opaque-key", _opaque_key),
    LcafType.NAT_TRAVERSAL: ("nat-traversal", _nat_traversal),
    LcafType.NONCE_LOCATOR: ("nonce-locator", _nonce_locator),
    LcafType.MULTICAST_INFO: ("multicast-info", _multicast_info),
    LcafType.EXPLICIT_LOCATOR_PATH: ("explicit-locator-path", _explicit_locator_path),
    LcafType.SECURITY_KEY: ("security-key", _security_key),
    LcafType.SOURCE_DEST_KEY: ("source-dest-key", _source_dest_key),
    LcafType.REPLICATION_LIST: ("replication-list", _replication_list),
    LcafType.JSON: ("json", _json),
    LcafType.KEY_VALUE: ("key-value", _key_value),
    LcafType.ENCAPSULATION_FORMAT: ("encapsulation-format", _encapsulation_format),
    LcafType.VENDOR_SPECIFIC: ("vendor-specific", _vendor_specific),
}
