"""One accelerator's links shared by all groups that it is a member of.

A process that is an accelerator binds its sockets once, while PyTorch has a group for the whole job and others besides.
A result belongs to the group whose EID it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from accelerator.attachment import Attachment, ReceiveBatch, UnixAttachment
from accelerator.ethernet import PacketError
from accelerator.incc.carriers import Carrier
from accelerator.incc.group import attach_link, carrier_of
from accelerator.rendezvous import Descriptor


class SharedLinks:
    """The links of one accelerator of a running fabric."""

    def __init__(self, control: str | Path, accelerator: str) -> None:
        self._attach = attach_link(control, accelerator)
        self._links: dict[bytes, _SharedLink] = {}

    def attach(self, descriptor: Descriptor) -> Attachment:
        """A group's way over the link that it has to take. Raises GroupError if there is no such link."""
        link = self._links.get(descriptor.router_mac)
        if link is None:
            made = self._attach(descriptor)
            assert isinstance(made, UnixAttachment)
            link = self._links[descriptor.router_mac] = _SharedLink(made)
        return _Member(link, carrier_of(descriptor, link.attachment.mac))


class _SharedLink:
    """A link that is open while somebody uses it."""

    def __init__(self, attachment: UnixAttachment) -> None:
        self.attachment = attachment
        self._members: list[_Member] = []

    def add(self, member: _Member) -> None:
        if not self._members:
            self.attachment.open(self._receive)
        self._members.append(member)

    def remove(self, member: _Member) -> None:
        if member in self._members:
            self._members.remove(member)
            if not self._members:
                self.attachment.close()

    def _receive(self, packets: Sequence[bytes]) -> None:
        if len(self._members) == 1:
            self._members[0].give(packets)
            return
        for member in list(self._members):
            if mine := [packet for packet in packets if member.is_for(packet)]:
                member.give(mine)


class _Member:
    """One group's attachment. `lost`: packets that could not be sent."""

    def __init__(self, link: _SharedLink, carrier: Carrier) -> None:
        self.carrier = carrier
        self.lost = 0
        self._link = link
        self._receive: ReceiveBatch | None = None

    @property
    def mac(self) -> bytes:
        """The accelerator's MAC address."""
        return self._link.attachment.mac

    def is_for(self, packet: bytes) -> bool:
        if self.carrier.is_plain(packet):
            return True
        try:
            self.carrier.open(packet)
        except PacketError:
            return False
        return True

    def open(self, receive: ReceiveBatch) -> None:
        self._receive = receive
        self._link.add(self)

    def send(self, packets: Iterable[bytes]) -> None:
        before = self._link.attachment.lost
        self._link.attachment.send(packets)
        self.lost += self._link.attachment.lost - before

    def give(self, packets: Sequence[bytes]) -> None:
        if self._receive is not None:
            self._receive(packets)

    def close(self) -> None:
        self._receive = None
        self._link.remove(self)
