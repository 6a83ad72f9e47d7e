"""How a peer of another implementation speaks, and what has to be tolerated from it (wire reference 13).

A profile is for named peers, never the default: each tolerance gives up a protection that the RFCs demand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from controller.lisp.address import DistinguishedName
from controller.lisp.auth import Algorithm, Key, MacScope, sign, verify
from controller.lisp.constants import XTR_ID_LENGTH, XTR_IDENTITY_LENGTH
from controller.lisp.lcaf import Address, InstanceId
from controller.lisp.message_encode import encode
from controller.lisp.messages import Authenticated, MapRequest
from controller.lisp.options import DecodeOptions
from controller.lisp.records import EidRecord, RequestRecord

RecordT = TypeVar("RecordT", EidRecord, RequestRecord)


class MacSettings(Protocol):
    """What a machine is told about authentication data; a profile overrides it."""

    @property
    def mac_scope(self) -> MacScope: ...  # noqa: D102 - see the class
    @property
    def full_mac(self) -> bool: ...  # noqa: D102
    @property
    def strict_scope(self) -> MacScope | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of peer. The defaults are those of the RFCs.

    `algorithm`, `key_id`: the only ones that it knows. `mac_scope`, `full_mac`: of its authentication data
    and of ours for it (choices C2, C2b); None: as configured.

    `identity`: it puts xTR-ID and Site-ID into a Map-Register; without, its address is its identity. `names`:
    it knows distinguished names. `subscriptions`: it knows RFC 9437 and unsolicited Map-Notifies. `ordered_nonces`:
    each of its nonces is greater than the last; without, an old message of its that is played back counts.
    `signed_publications`: its Map-Notifies about subscriptions carry a MAC; without, whoever can send from its
    address can say what it likes about the EIDs subscribed to there.

    `short_trailer`: a subscription of it ends with the xTR-ID, without Site-ID. `uncounted_ack_records`: its
    Map-Notify-Acks say that there are no records, and have some. `zero_name_length`: it gives a name the
    mask-len 0. `iid_mask_len`: what it writes into, and expects in, the IID mask-len of instance-IDs.
    """

    name: str
    algorithm: Algorithm | None = None
    key_id: int | None = None
    mac_scope: MacScope | None = None
    full_mac: bool | None = None
    identity: bool = True
    names: bool = True
    subscriptions: bool = True
    ordered_nonces: bool = True
    signed_publications: bool = True
    short_trailer: bool = False
    uncounted_ack_records: bool = False
    zero_name_length: bool = False
    iid_mask_len: int = 0

    def decode_options(self, options: DecodeOptions) -> DecodeOptions:
        """The options for what this peer sends."""
        if not (self.short_trailer or self.uncounted_ack_records):
            return options
        return replace(
            options, short_request_trailer=self.short_trailer, uncounted_ack_records=self.uncounted_ack_records
        )

    def problem_of(self, key: Key) -> str | None:
        """Why a key is none for this peer; None if it is."""
        if self.algorithm is not None and key.algorithm is not self.algorithm:
            return f"profile {self.name} knows {self.algorithm.name} only"
        if self.key_id is not None and key.key_id != self.key_id:
            return f"profile {self.name} knows Key ID {self.key_id} only"
        return None

    def sign(self, message: Authenticated, key: Key, settings: MacSettings) -> bytes:
        """Encode a message for this peer, as `auth.sign`. Raises EncodeError."""
        return sign(
            replace(message, records=self.records(message.records)) if self._rewrites else message,
            key,
            mac_scope=self.mac_scope or settings.mac_scope,
            full_length=settings.full_mac if self.full_mac is None else self.full_mac,
        )

    def verify(self, octets: bytes, message: Authenticated, key: Key, settings: MacSettings) -> None:
        """Check the authentication data of a message of this peer, as `auth.verify`. Raises AuthenticationError."""
        verify(octets, message, key, strict_scope=self.mac_scope or settings.strict_scope)

    def records(self, records: Iterable[RecordT]) -> tuple[RecordT, ...]:
        """Records as this peer writes them."""
        return tuple(map(self._record, records)) if self._rewrites else tuple(records)

    def encode_request(self, request: MapRequest) -> bytes:
        """Encode a Map-Request for this peer. Raises EncodeError."""
        octets = encode(replace(request, records=self.records(request.records)) if self._rewrites else request)
        if not self.short_trailer or request.xtr is None:
            return octets
        return octets[: XTR_ID_LENGTH - XTR_IDENTITY_LENGTH]  # without the Site-ID, which comes last

    @property
    def _rewrites(self) -> bool:
        return self.zero_name_length or self.iid_mask_len != 0

    def _record(self, record: RecordT) -> RecordT:
        eid = record.eid
        if isinstance(eid, InstanceId):
            eid = replace(eid, mask_len=self.iid_mask_len)
        return replace(record, eid=eid, mask_len=0 if self.zero_name_length and _is_name(eid) else record.mask_len)


def _is_name(eid: Address) -> bool:
    return isinstance(eid.address if isinstance(eid, InstanceId) else eid, DistinguishedName)


STRICT: Final = Profile("strict")
OOR: Final = Profile(
    "oor",
    algorithm=Algorithm.HMAC_SHA1_96,
    key_id=0,
    mac_scope="whole",
    full_mac=True,
    identity=False,
    names=False,
    subscriptions=False,
    ordered_nonces=False,
    iid_mask_len=32,
)
LISPERS: Final = Profile(
    "lispers",
    algorithm=Algorithm.HMAC_SHA256_128,
    mac_scope="whole",
    full_mac=True,
    ordered_nonces=False,
    signed_publications=False,
    short_trailer=True,
    uncounted_ack_records=True,
    zero_name_length=True,
)
PROFILES: Final = {profile.name: profile for profile in (STRICT, OOR, LISPERS)}
