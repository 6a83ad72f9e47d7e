"""Translation between entities and P4Runtime's protobuf messages, against a P4Info."""

from controller.p4rt.codec.codec import Codec
from controller.p4rt.codec.encoded import Encoded, Rank
from controller.p4rt.codec.tables import TableCodec

__all__ = ["Codec", "Encoded", "Rank", "TableCodec"]
