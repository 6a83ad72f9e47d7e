"""Ways for a group's packets: links of a running fabric, an interface of this process, a UDP socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from accelerator.attachment import Attachment, InterfaceAttachment, UdpAttachment, UnixAttachment
from accelerator.incc.carriers import MEMBER_PORT, Carrier, DatagramCarrier, ScaleUpCarrier, UdpCarrier
from accelerator.incc.errors import GroupError
from accelerator.incc.header import UDP_PORT
from accelerator.incc.packets import Place
from accelerator.interface import Interface
from accelerator.links import find_links
from accelerator.neighbours import interface_to
from accelerator.rendezvous import Descriptor

# Makes the way for a member's packets, once it is known what the group is.
Attach = Callable[[Descriptor], Attachment]


def place_of(descriptor: Descriptor) -> Place:
    """The group as its packets have it."""
    return Place(descriptor.group, descriptor.rank, descriptor.generation, descriptor.slots, descriptor.values)


def carrier_of(descriptor: Descriptor, mac: bytes | None) -> Carrier:
    """What the group's packets travel in. `mac`: None where a UDP socket makes the headers. Raises ValueError."""
    if mac is None:
        if descriptor.carrier == "scale-up":
            raise ValueError(f"carrier = {descriptor.carrier!r}: a UDP socket sends none of these")
        return DatagramCarrier()
    eid, address = descriptor.eid, descriptor.address
    if isinstance(eid, int) and isinstance(address, int):
        return ScaleUpCarrier(mac, descriptor.router_mac, address, eid)
    assert not isinstance(eid, int)
    assert not isinstance(address, int)
    return UdpCarrier(mac, descriptor.router_mac, address, eid)


def attach_link(control: str | Path, accelerator: str) -> Attach:
    """Attaches by the link of a running fabric that the group's packets have to take."""

    def attach(descriptor: Descriptor) -> Attachment:
        for link in find_links(control, accelerator):
            if link.router_mac == descriptor.router_mac:
                return UnixAttachment(link)
        raise GroupError(f"{accelerator} has no link to the router {descriptor.router_mac.hex(':')}")

    return attach


def attach_interface(interface: Interface) -> Attach:
    """Attaches by an interface of this process, for accelerators of an emulated fabric in the same event loop."""

    def attach(descriptor: Descriptor) -> Attachment:
        carrier = carrier_of(descriptor, interface.mac)
        return InterfaceAttachment(interface, descriptor.router_mac, carrier.is_plain)

    return attach


def attach_udp(port: int = MEMBER_PORT) -> Attach:
    """Attaches by a UDP socket, for a machine or namespace that has the member's address; `port`: its own.

    A host with several links sends over that to the router where the fabric has it as a member.
    """

    def attach(descriptor: Descriptor) -> Attachment:
        eid, address = descriptor.eid, descriptor.address
        if isinstance(eid, int) or isinstance(address, int):
            raise GroupError(f"group {descriptor.name}: UDP cannot carry {descriptor.carrier}")
        return UdpAttachment((address, port), (eid, UDP_PORT), interface_to(descriptor.router_mac))

    return attach
