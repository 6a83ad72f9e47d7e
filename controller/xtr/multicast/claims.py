"""Joining and leaving replication lists: Map-Registers for groups (RFC 8378 §5.1.2), kept up as leases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from controller.lisp import Eid, EidRecord, MapRegister, XtrIdentity, replicas, replication_locator
from controller.lisp.constants import TTL_REMOVE
from controller.mapping.machine import Event, Send, TimerQueue
from controller.xtr.config import XtrConfig
from controller.xtr.links import Links
from controller.xtr.multicast.election import Proof
from controller.xtr.nonces import NonceKeeper

_REMEMBERED_NONCES: Final = 16


class ClaimKey(NamedTuple):
    """One list of one mapping system."""

    link: str
    group: Eid


@dataclass(slots=True)
class Claim:
    """An entry of ours in a list, or its withdrawal.

    `sent`: the nonces that are not acknowledged, each with the time of its Map-Register. `retry`: seconds
    until the next repetition. `proof`: the last acknowledgement. `since`: when the first one came.
    """

    withdrawn: bool = False
    sent: dict[int, float] = field(default_factory=dict)
    retry: float = 0.0
    proof: Proof | None = None
    since: float = 0.0


class Claims:
    """All lists that this xTR is in, or is leaving."""

    def __init__(self, config: XtrConfig, links: Links, nonces: NonceKeeper) -> None:
        self._config = config
        self._links = links
        self._nonces = nonces
        self._identity = XtrIdentity(config.xtr_id, config.site_id)
        self._locator = replication_locator(config.rlocs[:1])
        self._claims: dict[ClaimKey, Claim] = {}
        self._by_nonce: dict[tuple[str, int], ClaimKey] = {}
        self._timers: TimerQueue[ClaimKey] = TimerQueue()

    def join(self, key: ClaimKey, now: float) -> list[Send]:
        """Be in the list."""
        held = self._claims.get(key)
        return [] if held is not None and not held.withdrawn else self._begin(key, Claim(), now)

    def leave(self, key: ClaimKey, now: float) -> list[Send]:
        """Be in the list no more; also for an entry that an earlier life left behind."""
        held = self._claims.get(key)
        return [] if held is not None and held.withdrawn else self._begin(key, Claim(withdrawn=True), now)

    def joined(self, key: ClaimKey) -> bool:
        """Whether this xTR is, or wants to be, in the list."""
        held = self._claims.get(key)
        return held is not None and not held.withdrawn

    def renew(self, key: ClaimKey, now: float) -> list[Send]:
        """Refresh an entry ahead of time, for the sake of its acknowledgement; not while one is waited for."""
        held = self._claims.get(key)
        return [] if held is None or held.sent else [self._register(key, held, now)]

    def waits(self, key: ClaimKey) -> bool:
        """Whether an acknowledgement is waited for."""
        held = self._claims.get(key)
        return held is not None and bool(held.sent)

    def proof(self, key: ClaimKey) -> Proof | None:
        """The last acknowledgement of an entry that is still wanted."""
        held = self._claims.get(key)
        return None if held is None or held.withdrawn else held.proof

    def since(self, key: ClaimKey) -> float:
        """When the first acknowledgement came of an entry that has one."""
        return self._claims[key].since

    def acknowledged(self, link: str, nonce: int, records: tuple[EidRecord, ...], now: float) -> Eid | None:
        """A mapping system acknowledged: returns the group; None if that nonce is none of these."""
        key = self._by_nonce.get((link, nonce))
        if key is None:
            return None
        claim = self._claims[key]
        sent = claim.sent[nonce]
        self._settle(key, claim)
        if claim.withdrawn:
            del self._claims[key]
            return key.group
        listed = frozenset(rloc for record in records if record.key == key.group for rloc in replicas(record))
        if claim.proof is None:
            claim.since = now
        claim.proof = Proof(sent, listed) if self._config.rlocs[0] in listed else None
        self._timers.set(key, now + self._config.register_interval)
        return key.group

    def tick(self, now: float) -> list[Send | Event]:
        """Refresh what is acknowledged, repeat what is not."""
        outputs: list[Send | Event] = []
        for key in self._timers.pop_due(now):
            claim = self._claims[key]
            if claim.sent:
                outputs.append(Event("map-register-unanswered", {"eid": str(key.group), "link": key.link}))
            outputs.append(self._register(key, claim, now))
        return outputs

    def next_deadline(self) -> float | None:
        """When the next Map-Register is due."""
        return self._timers.next_deadline()

    def unanswered(self) -> list[tuple[ClaimKey, float | None]]:
        """What waits for an acknowledgement, and when it is repeated."""
        return [(key, self._timers.due(key)) for key, claim in sorted(self._claims.items()) if claim.sent]

    def _begin(self, key: ClaimKey, claim: Claim, now: float) -> list[Send]:
        held = self._claims.get(key)
        if held is not None:
            self._settle(key, held)
        self._claims[key] = claim
        return [self._register(key, claim, now)]

    def _register(self, key: ClaimKey, claim: Claim, now: float) -> Send:
        config, link = self._config, self._links.named(key.link)
        claim.retry = min(2 * claim.retry, config.register_retry_max) if claim.sent else config.register_retry_first
        nonce = self._nonces.registration(key.link)
        claim.sent[nonce] = now
        self._by_nonce[key.link, nonce] = key
        if len(claim.sent) > _REMEMBERED_NONCES:
            oldest = next(iter(claim.sent))
            del claim.sent[oldest], self._by_nonce[key.link, oldest]
        self._timers.set(key, now + claim.retry)
        ttl = TTL_REMOVE if claim.withdrawn else config.record_ttl
        record = EidRecord.for_eid(key.group, ttl, [self._locator], authoritative=True)
        register = MapRegister(nonce, (record,), proxy_reply=True, merge=True, want_notify=True, xtr=self._identity)
        payload = link.profile.sign(register, self._links.signing_key(link), config)
        return self._links.send(link, payload)

    def _settle(self, key: ClaimKey, claim: Claim) -> None:
        for nonce in claim.sent:
            del self._by_nonce[key.link, nonce]
        claim.sent.clear()
        self._timers.cancel(key)
