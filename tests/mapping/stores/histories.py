"""Histories of a store: commits of every kind of change, and closings, as hypothesis draws them."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from controller.lisp import Endpoint
from controller.mapping import (
    Change,
    Contribution,
    Contributions,
    Forgotten,
    Gone,
    NonceFloor,
    Receipt,
    Refresh,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
)
from controller.mapping.content import Terms
from tests.lisp.strategies import U16, U32, U64, eids, ip_addresses, rloc_records, tuples_of

History = list[list[Change] | None]
"""Commits, and None where the store is closed and opened again."""

some_terms = st.builds(Terms.of, U32, tuples_of(rloc_records, 0, 3), st.floats(0, 1e9), st.booleans())
xtrs = st.builds(XtrKey, U64, st.binary(min_size=16, max_size=16) | ip_addresses)


@st.composite
def refreshes(draw: st.DrawFn, some_xtrs: st.SearchStrategy[XtrKey]) -> st.SearchStrategy[Refresh]:
    """Those of one Map-Register that is sent again and again: nonce and both MACs differ."""
    xtr, key_id, like = draw(some_xtrs), draw(st.sampled_from([0, 1, 255])), object()
    source = draw(st.builds(Endpoint, ip_addresses, U16))
    length, reply_length = draw(st.sampled_from([0, 16, 32])), draw(st.sampled_from([None, 0, 16]))
    records, reply_records = draw(st.binary(max_size=40)), draw(st.binary(max_size=40))

    def refresh(nonce: int, seed: int) -> Refresh:
        number, mac = nonce.to_bytes(8, "big"), Random(seed).randbytes(32)
        register = b"\x3c\0\1\1" + number + bytes((1, 2, 0, length)) + mac[:length] + records
        reply = None
        if reply_length is not None:
            reply = b"\x40\0\0\1" + number + bytes((1, 2, 0, reply_length)) + mac[:reply_length] + reply_records
        own = number + mac[:length] + mac[: reply_length or 0]
        return Refresh(Receipt(xtr, key_id, nonce, register, reply, source), like, own)

    return st.builds(refresh, U64, U16)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Change] | None]:
    """Commits, and None where the file is closed and opened again; few EIDs and xTRs, so that much is replaced."""
    some_eids = st.sampled_from(draw(st.lists(eids, min_size=1, max_size=3)))
    some_xtrs = st.sampled_from(draw(st.lists(xtrs, min_size=1, max_size=2)))
    repeated = draw(st.lists(refreshes(some_xtrs), min_size=1, max_size=2))
    changes: st.SearchStrategy[Change] = st.one_of(
        *repeated,
        st.builds(Contributions, tuples_of(some_eids, 1, 3), some_xtrs, some_terms, U64),
        st.builds(Contribution, some_eids, some_xtrs, some_terms, U64),
        st.builds(Withdrawn, some_eids, some_xtrs),
        st.builds(Forgotten, some_eids, some_xtrs),
        st.builds(NonceFloor, some_xtrs, U64),
        st.builds(Gone, some_eids, st.booleans()),
        st.builds(
            Receipt,
            some_xtrs,
            st.sampled_from([0, 1, 255]),
            U64,
            st.binary(max_size=40),
            st.none() | st.binary(max_size=40),
            st.builds(Endpoint, ip_addresses, U16),
        ),
        st.builds(
            Subscription,
            some_eids,
            some_xtrs,
            st.sampled_from(SubscriptionKind),
            tuples_of(ip_addresses, 0, 3),
            U64,
            st.booleans(),
            st.frozensets(eids, max_size=3),
        ),
    )
    return draw(st.lists(st.none() | st.lists(changes, max_size=6), max_size=8))
