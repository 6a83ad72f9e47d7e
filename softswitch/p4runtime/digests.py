"""Digests: configuration (`DigestEntry`) and the lists sent to clients (`DigestList`)."""

from __future__ import annotations

from collections.abc import Iterator

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import already_exists, invalid_argument, not_found
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.schema import Digest, look_up
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import DigestConfig, DigestList, DigestStream

Update = p4rt.Update


def write_digest(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.DigestEntry) -> None:
    """Switches a digest on or off, or changes how its lists are formed.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    digest = look_up(pipeline.schema.digests, message.digest_id, "digest")
    state = pipeline.state.digests(digest.name)
    old = state.config
    if kind == Update.INSERT and old is not None:
        raise already_exists(f"digest {digest.name}: it is configured already")
    if kind != Update.INSERT and old is None:
        raise not_found(f"digest {digest.name}: it is not configured")
    if kind == Update.DELETE:
        state.disable()
    else:
        config = message.config
        state.configure(DigestConfig(config.max_list_size, config.max_timeout_ns, config.ack_timeout_ns))
    undo.push(lambda: _restore(state, old))


def read_digests(pipeline: Pipeline, wanted: p4rt.DigestEntry) -> Iterator[p4rt.Entity]:
    """The configured digests that a request asks for; id 0 asks for all.

    Raises:
        P4RuntimeError: the request is refused.
    """
    digests = pipeline.schema.digests
    known = [look_up(digests, wanted.digest_id, "digest")] if wanted.digest_id else list(digests.values())
    for digest in known:
        config = pipeline.state.digests(digest.name).config
        if config is not None:
            message = p4rt.DigestEntry(
                digest_id=digest.id,
                config=p4rt.DigestEntry.Config(
                    max_timeout_ns=config.max_timeout_ns,
                    max_list_size=config.max_list_size,
                    ack_timeout_ns=config.ack_timeout_ns,
                ),
            )
            yield p4rt.Entity(digest_entry=message)


def encode_list(pipeline: Pipeline, digest_list: DigestList, timestamp_ns: int) -> p4rt.DigestList | None:
    """The message of a list, None for a digest that the P4Info does not have."""
    digest = _by_name(pipeline, digest_list.name)
    if digest is None:
        return None
    return p4rt.DigestList(
        digest_id=digest.id,
        list_id=digest_list.list_id,
        data=[digest.type.encode(iter(sample)) for sample in digest_list.samples],
        timestamp=timestamp_ns,
    )


def acknowledge(pipeline: Pipeline, ack: p4rt.DigestListAck) -> None:
    """A client has seen a list.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT for a digest that the P4Info does not have.
    """
    digest = pipeline.schema.digests.get(ack.digest_id)
    if digest is None:
        raise invalid_argument(f"the P4Info has no digest with id {ack.digest_id}")
    pipeline.state.digests(digest.name).ack(ack.list_id)


def _restore(state: DigestStream, config: DigestConfig | None) -> None:
    if config is None:
        state.disable()
    else:
        state.configure(config)


def _by_name(pipeline: Pipeline, name: str) -> Digest | None:
    return next((digest for digest in pipeline.schema.digests.values() if digest.name == name), None)
