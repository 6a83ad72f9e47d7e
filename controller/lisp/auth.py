"""Authentication Data of Map-Register, Map-Notify and Map-Notify-Ack (RFC 9301 §5.6, choices C1, C2, C2b)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal, TypeAlias

from controller.lisp.compiled import compiled
from controller.lisp.constants import XTR_IDENTITY_LENGTH, MessageType
from controller.lisp.errors import AuthenticationError, EncodeError
from controller.lisp.message_encode import authenticated_parts
from controller.lisp.messages import Authenticated, MapNotify, MapRegister

# What the MAC covers: by RFC 9301 the message up to the last RLOC-record; or the whole UDP payload, so that
# xTR-ID and Site-ID are covered too, as OpenOverlayRouter and lispers.net do (choice C2).
MacScope: TypeAlias = Literal["records", "whole"]

_AUTH_DATA_OFFSET: Final = 16
_INNER_PAD: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD: Final = bytes(octet ^ 0x5C for octet in range(256))
_HASHES: Final = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}
_compiled: Final = compiled("controller.lisp._hmac")
# HKDF salt by message type (RFC 9301 §5.6): the strings keep the derived keys of the three messages apart.
_SALTED: Final = {
    kind: hmac.new(salt, digestmod=hashlib.sha256)
    for kind, salt in (
        (MessageType.MAP_REGISTER, b"Map-Register Authentication"),
        (MessageType.MAP_NOTIFY, b"Map-Notify Authentication"),
        (MessageType.MAP_NOTIFY_ACK, b"Map-Notify-Ack Authentication"),
    )
}


class Algorithm(IntEnum):
    """Algorithm IDs (RFC 9301 §12.5)."""

    NONE = 0
    HMAC_SHA1_96 = 1
    HMAC_SHA256_128 = 2
    HMAC_SHA256_128_HKDF = 3


# Truncated length that the RFCs prescribe and full length that old implementations send, in octets.
_LENGTHS: Final = {
    Algorithm.NONE: (0, 0),
    Algorithm.HMAC_SHA1_96: (12, 20),
    Algorithm.HMAC_SHA256_128: (16, 32),
    Algorithm.HMAC_SHA256_128_HKDF: (16, 32),
}


def prepared_hmac(secret: bytes, hash_function: Literal["SHA1", "SHA256"]) -> Callable[[bytes], bytes]:
    """Return the function from octets to their whole HMAC (RFC 2104), for many messages with one key.

    Hashing the padded key is most of the work for a short message: it is done once, and the two hash states are
    copied. That takes half the time of copying an object of the standard library, which is one more layer.
    `_hmac.c` does the same in a third of that.
    """
    new = _HASHES[hash_function]
    size = new(b"").block_size
    padded = (new(secret).digest() if len(secret) > size else secret).ljust(size, b"\0")
    inner_copy = new(padded.translate(_INNER_PAD)).copy
    outer_copy = new(padded.translate(_OUTER_PAD)).copy

    def digest(message: bytes) -> bytes:
        inner = inner_copy()
        inner.update(message)
        outer = outer_copy()
        outer.update(inner.digest())
        return outer.digest()

    return digest


_prepare: Final[Callable[[bytes, Literal["SHA1", "SHA256"]], Callable[[bytes], bytes]]] = (
    _compiled.prepare if _compiled is not None else prepared_hmac
)


@dataclass(frozen=True, slots=True)
class Key:
    """A pre-shared key: `secret` octets as configured, its 8-bit `key_id`, and the algorithm it is for.

    Algorithm NONE admits unauthenticated messages, so have such a key only where that is wanted (PR-AUTH-8).

    Raises EncodeError for a key id that does not fit, or an empty secret where one is needed.
    """

    key_id: int
    algorithm: Algorithm
    secret: bytes = field(repr=False)
    _hmac: Callable[[bytes], bytes] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.key_id >> 8:
            raise EncodeError("key.key-id", self.key_id, "does not fit 8 bits")
        if self.algorithm is not Algorithm.NONE and not self.secret:
            raise EncodeError("key.secret", "(empty)", f"{self.algorithm.name} needs a secret")
        prepared = None
        if self.algorithm is Algorithm.HMAC_SHA1_96:
            prepared = _prepare(self.secret, "SHA1")
        elif self.algorithm is Algorithm.HMAC_SHA256_128:
            prepared = _prepare(self.secret, "SHA256")
        object.__setattr__(self, "_hmac", prepared)

    def __reduce__(self) -> tuple[type[Key], tuple[int, Algorithm, bytes]]:
        return Key, (self.key_id, self.algorithm, self.secret)  # hash states cannot be copied this way

    @property
    def digest(self) -> Callable[[bytes], bytes] | None:
        """The function from octets to their untruncated MAC; None if that depends on the message (algorithm 3)."""
        if self._hmac is not None:
            return self._hmac
        return None if self.algorithm is Algorithm.HMAC_SHA256_128_HKDF else _no_mac

    def mac(self, kind: MessageType, nonce: int, covered: bytes) -> bytes:
        """Return the untruncated MAC over `covered`, in which the Authentication Data is zero.

        `kind` and `nonce`, those of the message, count for algorithm 3 only. Nothing for algorithm NONE.
        """
        digest = self.digest
        if digest is not None:
            return digest(covered)
        return hmac.digest(derive_key(self.secret, nonce, kind), covered, "sha256")


def _no_mac(_: bytes) -> bytes:
    return b""


def derive_key(secret: bytes, nonce: int, kind: MessageType) -> bytes:
    """Return the 32-octet key of one message under algorithm 3.

    HKDF-SHA256 (RFC 5869) with the message's string as salt, the 8 octets of the nonce and the secret as
    input, no info (choice C1).
    """
    extract = _SALTED[kind].copy()
    extract.update(nonce.to_bytes(8, "big") + secret)
    return hmac.digest(extract.digest(), b"\x01", "sha256")


def sign(message: Authenticated, key: Key, *, mac_scope: MacScope = "records", full_length: bool = False) -> bytes:
    """Return `message` encoded, with Key ID, Algorithm ID and Authentication Data of `key`.

    The MAC is truncated as RFC 9301 §12.5 says unless `full_length`. The fields of the message itself do
    not count. Raises EncodeError as `encode` does.
    """
    length = _LENGTHS[key.algorithm][full_length]
    header, records, trailer = authenticated_parts(message, key.key_id, key.algorithm, length)
    covered = b"".join((header, bytes(length), records, trailer if mac_scope == "whole" else b""))
    mac = key.mac(_kind(message), message.nonce, covered)[:length]
    return b"".join((header, mac, records, trailer))


def verify(octets: bytes, message: Authenticated, key: Key, *, strict_scope: MacScope | None = None) -> None:
    """Check the Authentication Data of `octets`, which `message` was decoded from, against `key`.

    Truncated and full length are accepted (choice C2b). What the MAC covers is taken as RFC 9301 says and,
    failing that, as the whole payload, unless `strict_scope` demands one of them (choice C2); the two
    differ only with a trailer.

    Raises AuthenticationError if the key does not belong to the message, the length does not fit the
    algorithm, or the MAC is wrong.
    """
    if message.key_id != key.key_id or message.algorithm != key.algorithm:
        used = f"key id {message.key_id} and algorithm {message.algorithm}"
        raise AuthenticationError(f"{_name(message)}: uses {used}, not {key.key_id} and {int(key.algorithm)}")
    received = message.auth_data
    length = len(received)
    if length not in _LENGTHS[key.algorithm]:
        raise AuthenticationError(f"{_name(message)}: {length} octets do not fit {key.algorithm.name}")
    if key.algorithm is Algorithm.NONE:
        return
    covered = b"".join((octets[:_AUTH_DATA_OFFSET], bytes(length), octets[_AUTH_DATA_OFFSET + length :]))
    kind, nonce = _kind(message), message.nonce
    if message.xtr is None or strict_scope != "whole":
        records = covered if message.xtr is None else covered[:-XTR_IDENTITY_LENGTH]
        if hmac.compare_digest(key.mac(kind, nonce, records)[:length], received):
            return
    if message.xtr is not None and strict_scope != "records":  # noqa: SIM102 - one scope after the other
        if hmac.compare_digest(key.mac(kind, nonce, covered)[:length], received):
            return
    raise AuthenticationError(f"{_name(message)}: wrong MAC for key id {key.key_id}")


def _kind(message: Authenticated) -> MessageType:
    if isinstance(message, MapRegister):
        return MessageType.MAP_REGISTER
    return MessageType.MAP_NOTIFY if isinstance(message, MapNotify) else MessageType.MAP_NOTIFY_ACK


def _name(message: Authenticated) -> str:
    return f"{_kind(message).name.lower().replace('_', '-')} with nonce {message.nonce:#x}"
