"""What a packet that came up from the switch asks for: the EID of its destination."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from controller.app.accelerator_names import AcceleratorNames
from controller.lisp import Eid, IPAddress, group_eid, scale_up_group_eid
from controller.lisp.replication import FIRST_SCALE_UP_GROUP, IPV4_BROADCAST

_ETHERTYPE = slice(12, 14)
# Where the destination stands in a frame, by EtherType: IPv4, IPv6, and Scale-Up (a header of the data plane's own).
_IPV4, _IPV6, _SCALE_UP = b"\x08\x00", b"\x86\xdd", b"\x88\xb5"
_IPV4_DESTINATION = slice(30, 34)
_IPV6_DESTINATION = slice(38, 54)
_ACC_ID = slice(18, 22)


def destination_of(frame: bytes, iid: int, names: AcceleratorNames) -> Eid:
    """The EID, of an endpoint or a group, that a frame of Instance-ID `iid` is sent to.

    Raises ValueError for a frame that does not say.
    """
    kind = frame[_ETHERTYPE]
    if kind == _IPV4 and len(octets := frame[_IPV4_DESTINATION]) == 4:
        return _of(iid, IPv4Address(octets))
    if kind == _IPV6 and len(octets := frame[_IPV6_DESTINATION]) == 16:
        return _of(iid, IPv6Address(octets))
    if kind == _SCALE_UP and len(octets := frame[_ACC_ID]) == 4:
        number = int.from_bytes(octets, "big")
        return scale_up_group_eid(iid, number) if number >= FIRST_SCALE_UP_GROUP else names.eid(iid, number)
    raise ValueError(f"a frame of {len(frame)} octets with EtherType {kind.hex()} names no destination")


def _of(iid: int, address: IPAddress) -> Eid:
    group = address.is_multicast or address == IPV4_BROADCAST
    return group_eid(iid, address) if group else Eid.of(iid, address)
