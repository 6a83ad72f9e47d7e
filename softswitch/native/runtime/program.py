"""What the translation of a program supplies to the runtime; see :mod:`softswitch.native.translate`.

Functions that run a part of the program answer 0, or 1 when the packet is dropped. Fields that the program does not
have read as 0 and are not written.
"""

from __future__ import annotations

from softswitch.native.words import hook


@hook
def context_bytes() -> int:
    """Size of a context, fields included."""
    raise NotImplementedError


@hook
def field_bytes() -> int:
    """Size of the fields of a packet."""
    raise NotImplementedError


@hook
def p4_parse(switch: int, context: int) -> int:
    """Parse, and verify checksums."""
    raise NotImplementedError


@hook
def p4_ingress(switch: int, context: int) -> int:
    """The ingress control."""
    raise NotImplementedError


@hook
def p4_egress(switch: int, context: int) -> int:
    """The egress control."""
    raise NotImplementedError


@hook
def p4_deparse(switch: int, context: int) -> int:
    """Update checksums, and run what the deparser does before it emits."""
    raise NotImplementedError


@hook
def p4_header_octets(context: int) -> int:
    """Size of the valid headers."""
    raise NotImplementedError


@hook
def p4_emit(context: int, target: int) -> int:
    """Write the valid headers."""
    raise NotImplementedError


@hook
def p4_keep_fields(list_id: int, source: int, target: int) -> int:
    """Clear the metadata of a copy but for a field list."""
    raise NotImplementedError


@hook
def p4_sample_digest(switch: int, context: int, digest: int) -> int:
    """Send a digest."""
    raise NotImplementedError


@hook
def p4_get_egress_spec(context: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_get_group(context: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_get_priority(context: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_get_enqueued_at(context: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_ingress_port(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_packet_length(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_instance_type(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_egress_port(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_egress_spec(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_parser_error(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_checksum_error(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_ingress_timestamp(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_egress_timestamp(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_replica_id(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_enqueued_at(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_enqueued_depth(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_queued_for(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_dequeued_depth(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError


@hook
def p4_set_queue_id(context: int, value: int) -> int:
    """A field of the architecture."""
    raise NotImplementedError
