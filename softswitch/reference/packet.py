"""A packet in flight."""

from __future__ import annotations

from softswitch.reference.layout import Fields


class PacketDropped(Exception):  # noqa: N818 - an outcome, not an error
    """Processing of this packet ends here."""


class Packet:
    """What the engine knows of a packet besides the state of the switch.

    data:           octets as they enter the parser
    payload:        what the parser has left
    ingress_port:   the port it arrived on
    ingress_length: octets it had when it arrived, or was last recirculated; what counters count
    length:         octets it has now, headers added and removed included
    limit:          it is cut to this many octets when it leaves, None for not at all
    egress_port:    set when it has left ingress
    The field-list and session attributes record what the program has asked for; None or 0 for nothing.
    """

    __slots__ = (
        "checksum_error",
        "clone_list",
        "clone_session",
        "data",
        "digest",
        "egress_port",
        "error",
        "exited",
        "fields",
        "id",
        "ingress_length",
        "ingress_port",
        "length",
        "limit",
        "payload",
        "recirculate_list",
        "resubmit_list",
    )

    def __init__(self, id: int, fields: Fields, data: bytes, ingress_port: int, ingress_length: int) -> None:
        self.id = id
        self.fields = fields
        self.data = data
        self.payload = data
        self.ingress_port = ingress_port
        self.ingress_length = ingress_length
        self.length = len(data)
        self.limit: int | None = None
        self.egress_port: int | None = None
        self.error = 0
        self.checksum_error = False
        self.exited = False
        self.clone_session: int | None = None
        self.clone_list = 0
        self.digest = 0
        self.resubmit_list = 0
        self.recirculate_list = 0

    def copy(self, id: int) -> Packet:
        """The packet as it is now, with nothing asked for."""
        copy = Packet(id, self.fields.copy(), self.data, self.ingress_port, self.ingress_length)
        copy.payload = self.payload
        copy.length = self.length
        copy.limit = self.limit
        copy.error = self.error
        copy.checksum_error = self.checksum_error
        return copy
