"""The nonces that an xTR must not forget (RFC 9301 §5.6, RFC 9437 §7.1), and the interface of whatever keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from controller.mapping.machine import COUNTER_LIMIT, Event, NonceSource, NonceUse, StoreError

_AHEAD: Final = 1 << 36
"""As many nonces are reserved at once, about a minute of the clock's: so that not each of them costs a write."""


@dataclass(frozen=True, slots=True)
class LinkNonces:
    """What is remembered about one mapping system, each -1 for nothing.

    `registration`, `subscription`: no own message had a nonce above this. `member`, `publication`: the greatest
    that was believed in a Map-Notify; what is not above it is a replay in the next life of the process.
    """

    registration: int = -1
    subscription: int = -1
    member: int = -1
    publication: int = -1


class NonceStore(Protocol):
    """Keeps the nonces of one xTR, by the name of the link."""

    def load(self) -> Mapping[str, LinkNonces]:
        """What was kept. Raises StoreError."""

    def commit(self, nonces: Mapping[str, LinkNonces]) -> None:
        """Keep `nonces` in place of all before. Raises StoreError."""


class MemoryNonceStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._nonces: Mapping[str, LinkNonces] = {}

    def load(self) -> Mapping[str, LinkNonces]:
        """What was kept."""
        return self._nonces

    def commit(self, nonces: Mapping[str, LinkNonces]) -> None:
        """Keep `nonces`."""
        self._nonces = dict(nonces)


class NonceKeeper:
    """Gives an xTR its nonces, greater than those of every earlier life, and remembers those of others.

    Own counters begin at the clock (choice C3): what is stored protects them where that goes backwards.
    """

    def __init__(self, links: Iterable[str], store: NonceStore, source: NonceSource, now: float) -> None:
        before = store.load()
        self._store = store
        self._source = source
        self._before = {name: before.get(name, LinkNonces()) for name in links}
        self._kept = {**before, **self._before}
        self._dirty = False
        self._registration = {
            name: max(source.first(NonceUse.REGISTRATION, now), earlier.registration + 1)
            for name, earlier in self._before.items()
        }
        self.first_registration: Final = dict(self._registration)
        """The first nonce of a Map-Register to each link in this life."""

    def unpredictable(self) -> int:
        """64 random bits, for a request that is no subscription."""
        return self._source.unpredictable()

    def registration(self, link: str) -> int:
        """The nonce of the next Map-Register."""
        nonce = self._registration[link]
        self._registration[link] = nonce + 1
        if nonce > self._kept[link].registration:
            self._keep(link, replace(self._kept[link], registration=_reserved(nonce)))
        return nonce

    def registered(self, link: str, nonce: int) -> bool:
        """Whether a Map-Register with that nonce was sent to a link in this life."""
        return self.first_registration[link] <= nonce < self._registration[link]

    def subscription(self, link: str, above: int, now: float) -> int:
        """A nonce for a subscription that begins anew: greater than `above` and all that came before."""
        earlier = self._before[link]
        lowest = max(above, earlier.subscription, earlier.publication) + 1
        nonce = max(self._source.first(NonceUse.SUBSCRIPTION, now), lowest)
        self.used(link, nonce)
        return nonce

    def used(self, link: str, nonce: int) -> None:
        """A subscription was asked for with this nonce."""
        if nonce > self._kept[link].subscription:
            self._keep(link, replace(self._kept[link], subscription=_reserved(nonce)))

    def believe(self, link: str, nonce: int, *, publication: bool) -> None:
        """A Map-Notify with this nonce was believed."""
        kept = self._kept[link]
        if publication and nonce > kept.publication:
            self._keep(link, replace(kept, publication=nonce))
        elif not publication and nonce > kept.member:
            self._keep(link, replace(kept, member=nonce))

    def floor(self, link: str, *, publication: bool) -> int:
        """The greatest nonce that was believed in an earlier life; -1 if there was none."""
        earlier = self._before[link]
        return earlier.publication if publication else earlier.member

    def commit(self) -> list[Event]:
        """Make what changed durable; a store that fails is reported, and tried again the next time."""
        if not self._dirty:
            return []
        try:
            self._store.commit(self._kept)
        except StoreError as error:
            return [Event("store-failed", {"detail": str(error)})]
        self._dirty = False
        return []

    def _keep(self, link: str, nonces: LinkNonces) -> None:
        self._kept[link] = nonces
        self._dirty = True


def _reserved(nonce: int) -> int:
    return max(nonce, min(nonce + _AHEAD, COUNTER_LIMIT))
