"""The fuzzers' corpus, replayed; what fuzzes is `make fuzz`."""

from __future__ import annotations

import pytest

from controller.lisp import DecodeError, MapRequest
from fuzz import decoders, machines, seeds
from fuzz.machines import Step, steps_of
from fuzz.targets import CORPUS, TARGETS, corpus_of


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_nothing(name: str) -> None:
    inputs = corpus_of(name)
    assert inputs
    for path in inputs:
        try:
            TARGETS[name](path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.name} breaks {name}") from error


def test_the_seeds_are_those_of_the_golden_vectors() -> None:
    for target, name, octets in seeds.seeds():
        assert (CORPUS / target / name).read_bytes() == octets, f"{target}/{name}: run python -m fuzz.seeds"


def test_every_input_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_a_decoder_that_raises_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(octets: bytes) -> MapRequest:
        raise IndexError(octets)

    monkeypatch.setattr(decoders, "decode", careless)
    with pytest.raises(IndexError):
        TARGETS["map_request"](b"\x10")


def test_a_decoder_that_loses_something_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = corpus_of("map_reply")[0].read_bytes()
    monkeypatch.setattr(decoders, "encode", lambda _: corpus_of("map_reply")[1].read_bytes())
    with pytest.raises(AssertionError, match="after encoding"):
        TARGETS["map_reply"](first)


def test_an_error_without_a_place_in_the_message_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(octets: bytes) -> MapRequest:
        raise DecodeError("nonce", 1, len(octets) + 1, "is somewhere")

    monkeypatch.setattr(decoders, "decode", lost)
    with pytest.raises(AssertionError, match="not in the message"):
        TARGETS["map_request"](b"\x10")


def test_steps_survive_being_written() -> None:
    steps = [Step(0x80, b"abc", 3), Step(0x13, b""), Step(0, b"x" * 300)]
    assert list(steps_of(b"".join(step.encode() for step in steps))) == steps
    assert list(steps_of(b"\0\0\xff\xffabc")) == [Step(0, b"abc")]
    assert len(list(steps_of(b"\0" * 1000))) == machines.MAX_STEPS


def test_the_seeds_of_the_machines_get_somewhere() -> None:
    """Otherwise their fuzzers would only find refusals."""
    conversation = machines.conversation_with_map_server()
    conversation.run((CORPUS / "map_server" / "register-0-subscribed").read_bytes())
    assert {"map-register-accepted", "subscription-accepted"} <= conversation.events
    events: set[str] = set()
    for path in corpus_of("xtr"):
        conversation = machines.conversation_with_xtr()
        conversation.run(path.read_bytes())
        events |= conversation.events
    expected = {"registration-acknowledged", "map-reply-negative", "subscription-confirmed", "publication-accepted"}
    assert expected | {"rloc-unreachable"} <= events
