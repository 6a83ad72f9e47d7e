"""An accelerator's network interface: its links to the access routers, and who gets which frames.

A multi-homed accelerator sends every flow over one of its links, chosen by a hash of what names the flow, so that
frames of a flow stay in order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from accelerator.ethernet import PacketError, decode_ethernet, ethernet

# Is given the payload of a frame; raises PacketError when it cannot take it.
Handler = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Uplink:
    """A link to an access router: how to send on it, the address of the router's port, and whether there is carrier."""

    send: Callable[[bytes], None]
    router_mac: bytes
    is_up: Callable[[], bool]


class Interface:
    """One interface with the MAC address `mac`, six octets.

    Attributes:
        uplinks: the links, in the order in which they were attached.
        refused: frames that could not be read or were for somebody else.
        taps: are shown every frame before anybody else; one that says True has taken it.
    """

    def __init__(self, mac: bytes) -> None:
        self.mac = mac
        self.uplinks: list[Uplink] = []
        self.refused = 0
        self.taps: list[Callable[[bytes], bool]] = []
        self._handlers: dict[int, Handler] = {}

    def attach(self, send: Callable[[bytes], None], router_mac: bytes, is_up: Callable[[], bool] = lambda: True) -> int:
        """Adds a link; returns its index."""
        self.uplinks.append(Uplink(send, router_mac, is_up))
        return len(self.uplinks) - 1

    def uplink_to(self, router_mac: bytes) -> Uplink:
        """The link to the router's port with that MAC address. Raises OSError if there is none."""
        for uplink in self.uplinks:
            if uplink.router_mac == router_mac:
                return uplink
        raise OSError(f"router_mac = {router_mac.hex(':')}: {self.mac.hex(':')} has no link there")

    def handle(self, ether_type: int, handler: Handler) -> None:
        """From now on `handler` gets the payload of frames of this EtherType."""
        self._handlers[ether_type] = handler

    def send(self, ether_type: int, payload: bytes, flow: bytes) -> None:
        """Sends a frame over the link of its flow, one of those that are up. Raises RuntimeError without a link."""
        uplink = self.uplink_of(flow)
        uplink.send(ethernet(uplink.router_mac, self.mac, ether_type, payload))

    def uplink_of(self, flow: bytes) -> Uplink:
        """The link that a flow takes now. Raises RuntimeError without a link."""
        if not self.uplinks:
            raise RuntimeError(f"{self.mac.hex(':')} is not attached")
        usable = [uplink for uplink in self.uplinks if uplink.is_up()] or self.uplinks
        return usable[zlib.crc32(flow) % len(usable)]

    def send_to_all(self, ether_type: int, payload: bytes, group: bytes) -> None:
        """Sends a frame to the MAC address of a group over every link that is up."""
        for uplink in self.uplinks:
            if uplink.is_up():
                uplink.send(ethernet(group, self.mac, ether_type, payload))

    def receive(self, frame: bytes) -> None:
        """Takes a frame from the wire; a bad one is counted and forgotten."""
        for tap in self.taps:
            if tap(frame):
                return
        try:
            destination, _, ether_type, payload = decode_ethernet(frame)
            handler = self._handlers.get(ether_type)
            if destination != self.mac:
                raise PacketError(f"ethernet.destination = {destination.hex(':')}: not for {self.mac.hex(':')}")
            if handler is None:
                raise PacketError(f"ethernet.ether_type = {ether_type:#06x}: nobody here takes it")
            handler(payload)
        except PacketError:
            self.refused += 1
