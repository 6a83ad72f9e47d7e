"""Authentication Data: lengths, scopes, keys (choices C1, C2, C2b)."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.lisp import (
    Algorithm,
    Authenticated,
    AuthenticationError,
    EncodeError,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    decode,
    derive_key,
    sign,
    verify,
)
from controller.lisp.auth import prepared_hmac
from controller.lisp.constants import MessageType
from tests.compiled import compiled_part, needs_compiled
from tests.lisp.vectors import MAPPING, SECRET, SIGNED, XTR, octets_of

REGISTER = MapRegister(7, (MAPPING,), want_notify=True, xtr=XTR)
MESSAGES: tuple[Authenticated, ...] = (REGISTER, MapNotify(7, (MAPPING,)), MapNotifyAck(7, (MAPPING,)))
MACS = [algorithm for algorithm in Algorithm if algorithm is not Algorithm.NONE]


def received(octets: bytes) -> Authenticated:
    message = decode(octets)
    assert isinstance(message, Authenticated)
    return message


@pytest.mark.parametrize(
    ("algorithm", "truncated", "full"),
    [
        (Algorithm.NONE, 0, 0),
        (Algorithm.HMAC_SHA1_96, 12, 20),
        (Algorithm.HMAC_SHA256_128, 16, 32),
        (Algorithm.HMAC_SHA256_128_HKDF, 16, 32),
    ],
)
@pytest.mark.parametrize("message", MESSAGES)
def test_lengths(message: Authenticated, algorithm: Algorithm, truncated: int, full: int) -> None:
    key = Key(9, algorithm, SECRET)
    short, long = sign(message, key), sign(message, key, full_length=True)
    assert (len(received(short).auth_data), len(received(long).auth_data)) == (truncated, full)
    for octets in (short, long):
        got = received(octets)
        assert (got.key_id, got.algorithm) == (9, algorithm)
        verify(octets, got, key)


def test_only_the_last_scope_covers_the_identity() -> None:
    """By the letter of RFC 9301 xTR-ID and Site-ID can be changed unnoticed; the whole scope prevents it."""
    key = Key(1, Algorithm.HMAC_SHA256_128, SECRET)
    by_the_letter = sign(REGISTER, key)[:-1] + b"\x0e"
    verify(by_the_letter, received(by_the_letter), key)
    whole = sign(REGISTER, key, mac_scope="whole")[:-1] + b"\x0e"
    with pytest.raises(AuthenticationError):
        verify(whole, received(whole), key)


def test_scopes_are_one_without_a_trailer() -> None:
    key = Key(1, Algorithm.HMAC_SHA256_128, SECRET)
    for message in MESSAGES[1:]:
        octets = sign(message, key, mac_scope="whole")
        assert octets == sign(message, key, mac_scope="records")
        verify(octets, received(octets), key, strict_scope="records")
        verify(octets, received(octets), key, strict_scope="whole")


@pytest.mark.parametrize("algorithm", MACS)
@pytest.mark.parametrize("length", [0, 1, 11, 13, 15, 17, 31, 33])
def test_unfit_lengths(algorithm: Algorithm, length: int) -> None:
    key = Key(1, algorithm, SECRET)
    octets = sign(REGISTER, key, full_length=True)
    full = len(received(octets).auth_data)
    mac = (octets[16 : 16 + full] + bytes(16))[:length]
    changed = octets[:14] + length.to_bytes(2, "big") + mac + octets[16 + full :]
    with pytest.raises(AuthenticationError, match="do not fit"):
        verify(changed, received(changed), key)


def test_key_must_be_the_one_that_the_message_names() -> None:
    octets = sign(REGISTER, Key(1, Algorithm.HMAC_SHA256_128, SECRET))
    message = received(octets)
    for wrong, why in (
        (Key(2, Algorithm.HMAC_SHA256_128, SECRET), "uses key id 1"),
        (Key(1, Algorithm.HMAC_SHA256_128_HKDF, SECRET), "algorithm 2, not 1 and 3"),
        (Key(1, Algorithm.NONE, b""), "uses key id 1 and algorithm 2"),
        (Key(1, Algorithm.HMAC_SHA256_128, b"other"), "wrong MAC for key id 1"),
    ):
        with pytest.raises(AuthenticationError, match=why) as caught:
            verify(octets, message, wrong)
        assert "map-register with nonce 0x7: " in str(caught.value)


def test_unauthenticated_messages_need_a_key_that_says_so() -> None:
    octets = sign(REGISTER, Key(1, Algorithm.NONE, b""))
    message = received(octets)
    verify(octets, message, Key(1, Algorithm.NONE, b""))
    with pytest.raises(AuthenticationError):
        verify(octets, message, Key(1, Algorithm.HMAC_SHA256_128, SECRET))
    stuffed = octets[:14] + b"\0\1" + b"x" + octets[16:]
    with pytest.raises(AuthenticationError, match="do not fit NONE"):
        verify(stuffed, received(stuffed), Key(1, Algorithm.NONE, b""))


def test_unknown_algorithm_fits_no_key() -> None:
    octets = bytearray(sign(REGISTER, Key(1, Algorithm.HMAC_SHA256_128, SECRET)))
    octets[13] = 9
    for algorithm in Algorithm:
        with pytest.raises(AuthenticationError, match="algorithm 9"):
            verify(bytes(octets), received(bytes(octets)), Key(1, algorithm, SECRET))


@pytest.mark.parametrize("name", SIGNED)
def test_every_flipped_bit_of_a_mac_is_noticed(name: str) -> None:
    octets = octets_of(name)
    key = SIGNED[name].key
    for bit in range(16 * 8, (16 + len(received(octets).auth_data)) * 8):
        changed = bytearray(octets)
        changed[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises(AuthenticationError, match="wrong MAC"):
            verify(bytes(changed), received(bytes(changed)), key)


def test_macs_by_their_definition() -> None:
    """The same MACs from the library's one-shot functions, over octets laid out by hand."""
    octets = octets_of("V1")
    covered = octets[:16] + bytes(16) + octets[32:72]
    assert hmac.digest(SECRET, covered, "sha256")[:16] == octets[16:32]
    octets = octets_of("V4")
    assert hmac.digest(SECRET, octets[:16] + bytes(20) + octets[36:], "sha1") == octets[16:36]


def test_derived_keys_by_the_definition_of_hkdf() -> None:
    for kind, salt in (
        (MessageType.MAP_REGISTER, b"Map-Register Authentication"),
        (MessageType.MAP_NOTIFY, b"Map-Notify Authentication"),
        (MessageType.MAP_NOTIFY_ACK, b"Map-Notify-Ack Authentication"),
    ):
        extracted = hmac.digest(salt, (5).to_bytes(8, "big") + SECRET, hashlib.sha256)
        assert derive_key(SECRET, 5, kind) == hmac.digest(extracted, b"\x01", hashlib.sha256)


def test_derived_keys_differ_by_message_and_nonce() -> None:
    kinds = (MessageType.MAP_REGISTER, MessageType.MAP_NOTIFY, MessageType.MAP_NOTIFY_ACK)
    assert len({derive_key(SECRET, nonce, kind) for kind in kinds for nonce in (1, 2)}) == 6


def test_signing_ignores_what_the_message_says_of_its_authentication() -> None:
    key = Key(1, Algorithm.HMAC_SHA256_128, SECRET)
    assert sign(replace(REGISTER, key_id=5, algorithm=1, auth_data=b"old"), key) == sign(REGISTER, key)


def test_keys_are_checked_and_keep_their_secret() -> None:
    key = Key(1, Algorithm.HMAC_SHA256_128, b"very secret")
    assert "very secret" not in repr(key)
    assert key == Key(1, Algorithm.HMAC_SHA256_128, b"very secret") != Key(1, Algorithm.HMAC_SHA256_128, b"other")
    with pytest.raises(EncodeError, match=r"^key.key-id"):
        Key(256, Algorithm.NONE, b"")
    with pytest.raises(EncodeError, match=r"^key.secret") as caught:
        Key(1, Algorithm.HMAC_SHA1_96, b"")
    assert "HMAC_SHA1_96 needs a secret" in str(caught.value)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_copied_keys_still_sign(algorithm: Algorithm) -> None:
    key = Key(1, algorithm, SECRET)
    for twin in (copy.deepcopy(key), pickle.loads(pickle.dumps(key)), replace(key)):
        assert twin == key
        assert sign(REGISTER, twin) == sign(REGISTER, key)


def test_requests_have_no_authentication_data() -> None:
    assert not isinstance(decode(octets_of("V7")), Authenticated)
    assert isinstance(decode(octets_of("V7")), MapRequest)


# ---- HMAC with one key, in Python and compiled -------------------------------------------------------------------

HASHES = {"SHA1": "sha1", "SHA256": "sha256"}
COMPILED = compiled_part("controller.lisp._hmac")
secrets = st.binary(max_size=200)


@given(secrets, st.lists(st.binary(max_size=300), max_size=4))
@example(bytes(64), [b"", bytes(55), bytes(56), bytes(64)])  # around the ends of blocks
@example(b"k" * 65, [bytes(10_000)])
def test_a_prepared_hmac_is_the_hmac(secret: bytes, texts: list[bytes]) -> None:
    for name, standard in HASHES.items():
        digest = prepared_hmac(secret, name)  # type: ignore[arg-type]
        assert [digest(text) for text in texts] == [hmac.digest(secret, text, standard) for text in texts]


@needs_compiled
@given(secrets, st.lists(st.binary(max_size=300), max_size=4))
@example(bytes(64), [b"", bytes(55), bytes(56), bytes(64)])
@example(b"k" * 65, [bytes(10_000)])
def test_a_compiled_hmac_is_the_hmac(secret: bytes, texts: list[bytes]) -> None:
    assert COMPILED is not None
    for name, standard in HASHES.items():
        digest = COMPILED.prepare(secret, name)
        assert [digest(text) for text in texts] == [hmac.digest(secret, text, standard) for text in texts]


@needs_compiled
def test_a_compiled_hmac_takes_nothing_else() -> None:
    assert COMPILED is not None
    with pytest.raises(ValueError, match="no hash function MD5"):
        COMPILED.prepare(b"secret", "MD5")
    with pytest.raises(TypeError):
        COMPILED.prepare("secret", "SHA1")
    digest = COMPILED.prepare(b"secret", "SHA256")
    with pytest.raises(TypeError):
        digest("text")
    assert "secret" not in repr(digest)
