"""What an xTR must not forget, over restarts and clocks that go back: its own nonces and those it believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.mapping.machine import NonceSource, NonceUse, StoreError
from controller.xtr import LinkNonces, MemoryNonceStore, NonceStore, Xtr
from controller.xtr.nonce_file import FileNonceStore
from tests.mapping.harness import drop_reason, events
from tests.xtr.support import HOST, OTHER, SUBNET, XtrBench, acks, names, record, registers, requests

MEMBER = NonceUse.MEMBER.lowest + 1000


def clock(seconds: int) -> NonceSource:
    return NonceSource(1_700_000_000_000 + 1000 * seconds, 0.0, lambda bits: 0)


def life(store: NonceStore, seconds: int = 0) -> XtrBench:
    """D1 in one life of its process, which begins at that time."""
    bench = XtrBench(nonces=clock(seconds))
    bench.xtr = Xtr(bench.config, 0.0, nonces=clock(seconds), store=store)
    return bench


def register_nonces(bench: XtrBench) -> list[int]:
    return [message.nonce for message in registers(bench.attach(HOST))]


@pytest.mark.requirement("PR-AUTH-5", "PR-AUTH-6")
@pytest.mark.parametrize("later", [5, 0, -3600])
def test_own_nonces_ascend_over_a_restart_whatever_the_clock_says(later: int) -> None:
    store = MemoryNonceStore()
    first = life(store)
    (before,) = register_nonces(first)
    asked = requests(first.miss(OTHER))[0].nonce
    second = life(store, later)
    (after,) = register_nonces(second)
    assert after > before
    assert requests(second.miss(OTHER))[0].nonce > asked


def test_without_a_store_only_the_clock_keeps_them_ascending() -> None:
    (before,) = register_nonces(life(MemoryNonceStore()))
    (after,) = register_nonces(life(MemoryNonceStore(), -3600))
    assert after < before, "that is what the store is for"


@pytest.mark.requirement("PR-PUB-6", "PR-AUTH-6")
def test_a_captured_notification_is_a_replay_in_the_next_life() -> None:
    store = MemoryNonceStore()
    first = life(store)
    captured = record(OTHER, "203.0.113.1")
    first.notify(MEMBER, captured)
    assert first.entries()["40.0.0.8/32"] == ("forward", ["203.0.113.1"])
    forgetful, second = life(MemoryNonceStore(), 10), life(store, 10)
    forgetful.notify(MEMBER, captured)
    assert "40.0.0.8/32" in forgetful.entries(), "an xTR that keeps nothing believes it again"
    heard = second.notify(MEMBER, captured)
    assert second.entries() == {}
    assert acks(heard) == [MEMBER], "its acknowledgement may have been lost (choice C11)"
    assert drop_reason(second.notify(MEMBER - 1, captured)) == "replay"
    second.notify(MEMBER + 1, captured)
    assert "40.0.0.8/32" in second.entries()


@pytest.mark.requirement("PR-PUB-6")
def test_a_captured_publication_is_one_too_and_subscribing_again_works() -> None:
    store = MemoryNonceStore()
    first = life(store)
    nonce = first.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    first.notify(nonce + 1, record(HOST, "192.0.40.2"))
    second = life(store, -5)
    assert drop_reason(second.notify(nonce, record(HOST, "203.0.113.1"))) == "replay"
    again = second.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    assert again > nonce + 1
    second.notify(again + 1, record(HOST, "192.0.40.2"))
    assert second.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])


class StubbornStore(MemoryNonceStore):
    broken = False
    commits = 0

    def commit(self, nonces: Mapping[str, LinkNonces]) -> None:
        if self.broken:
            raise StoreError("disk full")
        self.commits += 1
        super().commit(nonces)


def test_a_store_that_fails_is_reported_and_tried_again() -> None:
    store = StubbornStore()
    bench = life(store)
    store.broken = True
    outputs = bench.attach(HOST)
    assert registers(outputs), "an xTR that cannot write goes on"
    (event,) = events(outputs, "store-failed")
    assert event.fields["detail"] == "disk full"
    store.broken = False
    assert names(bench.attach(OTHER)) == []
    assert store.load()["scale-up"].registration >= registers(bench.attach(SUBNET))[0].nonce


def test_writes_are_few() -> None:
    store = StubbornStore()
    bench = life(store)
    bench.acknowledge(bench.attach(HOST))
    for minute in range(1, 60):
        for _, output in bench.run(60.0 * minute):
            bench.acknowledge([output])
    assert store.commits <= 2


# ---- the file -----------------------------------------------------------------------------------------------------

numbers = st.integers(-1, 2**64 - 2)
contents = st.dictionaries(
    st.text(min_size=1, max_size=20), st.builds(LinkNonces, numbers, numbers, numbers, numbers), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(st.lists(contents, max_size=5))
def test_the_file_has_what_was_committed_last(tmp_path_factory: pytest.TempPathFactory, history: list[dict]) -> None:  # type: ignore[type-arg]
    file = tmp_path_factory.mktemp("nonces") / "D1"
    last: Mapping[str, LinkNonces] = {}
    for nonces in history:
        with FileNonceStore(file) as store:
            assert store.load() == last
            store.commit(nonces)
            assert store.load() == nonces
            last = nonces
    with FileNonceStore(file) as store:
        assert store.load() == last
    assert file.stat().st_mode & 0o077 == 0


def test_a_write_that_did_not_end_leaves_what_was_before(tmp_path: Path) -> None:
    file = tmp_path / "D1"
    with FileNonceStore(file) as store:
        store.commit({"su": LinkNonces(1, 2, 3, 4)})
    before = file.read_bytes()
    with FileNonceStore(file) as store:
        store.commit({"su": LinkNonces(5, 6, 7, 8)})
    after = file.read_bytes()
    after += bytes(8192 - len(after))
    before += bytes(8192 - len(before))
    changed = [at for at in range(8192) if before[at] != after[at]]
    for at in changed:
        file.write_bytes(after[:at] + before[at : changed[-1] + 1] + after[changed[-1] + 1 :])
        with FileNonceStore(file) as store:
            assert store.load() == {"su": LinkNonces(1, 2, 3, 4)}


@pytest.mark.parametrize("octets", [b"x", b"sites:\n" * 2000])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "D1"
    file.write_bytes(octets)
    with pytest.raises(StoreError, match=f"^{file}: is damaged, or no file of nonces$"):
        FileNonceStore(file)
    assert file.read_bytes() == octets
    with pytest.raises(StoreError, match=f"^{tmp_path}: cannot be opened or created"):
        FileNonceStore(tmp_path)


def test_the_file_serves_an_xtr(tmp_path: Path) -> None:
    with FileNonceStore(tmp_path / "D1") as store:
        (before,) = register_nonces(life(store))
    with FileNonceStore(tmp_path / "D1") as store:
        (after,) = register_nonces(life(store, -3600))
    assert after > before
