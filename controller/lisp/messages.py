"""The control messages as values: RFC 9301 §5, with the subscription fields of RFC 9437 §4.

`nonce` is an unsigned 64-bit number everywhere. Authentication fields are filled in by `auth.sign`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from controller.lisp.address import NO_ADDRESS, IPAddress
from controller.lisp.lcaf import Address
from controller.lisp.records import EidRecord, RequestRecord, XtrIdentity


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Asks for mappings, probes a locator, or solicits a request (RFC 9301 §5.2).

    `itr_rlocs`: 1 to 32 addresses where the answer may go; a single `NoAddress` unsubscribes (RFC 9437 §5).
    `authoritative`: A, the site itself shall answer; `probe`: P; `smr`: S; `pitr`: p; `smr_invoked`: s;
    `local_xtr`: L; `dont_map_reply`: D; `reply_record`: the sender's own mapping (M); `xtr`: the identity
    that a subscription needs (I).
    """

    nonce: int
    itr_rlocs: tuple[Address, ...]
    records: tuple[RequestRecord, ...]
    source_eid: Address = NO_ADDRESS
    authoritative: bool = False
    probe: bool = False
    smr: bool = False
    pitr: bool = False
    smr_invoked: bool = False
    local_xtr: bool = False
    dont_map_reply: bool = False
    reply_record: EidRecord | None = None
    xtr: XtrIdentity | None = None


@dataclass(frozen=True, slots=True)
class MapReply:
    """Answers a Map-Request, with its nonce (RFC 9301 §5.4).

    `probe`: P, `echo_nonce`: E; `security`: the LISP-SEC authentication data after the records,
    uninterpreted (S).
    """

    nonce: int
    records: tuple[EidRecord, ...]
    probe: bool = False
    echo_nonce: bool = False
    security: bytes | None = None


@dataclass(frozen=True, slots=True)
class MapRegister:
    """Registers or, with Record TTL 0, withdraws mappings (RFC 9301 §5.6).

    `key_id` and `algorithm` have 8 bits. `proxy_reply`: P; `lisp_sec`: S; `eid_notify`: E; `use_ttl`: T,
    the Record TTL is the registration's timeout; `merge`: a; `want_notify`: M; `xtr`: who registers (I).
    """

    nonce: int
    records: tuple[EidRecord, ...]
    key_id: int = 0
    algorithm: int = 0
    auth_data: bytes = b""
    proxy_reply: bool = False
    lisp_sec: bool = False
    eid_notify: bool = False
    use_ttl: bool = False
    merge: bool = False
    want_notify: bool = False
    xtr: XtrIdentity | None = None


@dataclass(frozen=True, slots=True)
class MapNotify:
    """Acknowledges a registration, or tells a change of a mapping (RFC 9301 §5.7, RFC 9437 §6).

    `xtr` is there for what older implementations append; it is never sent.
    """

    nonce: int
    records: tuple[EidRecord, ...]
    key_id: int = 0
    algorithm: int = 0
    auth_data: bytes = b""
    xtr: XtrIdentity | None = None


@dataclass(frozen=True, slots=True)
class MapNotifyAck:
    """Acknowledges an unsolicited Map-Notify with its nonce and records (RFC 9301 §5.7). Fields as there."""

    nonce: int
    records: tuple[EidRecord, ...]
    key_id: int = 0
    algorithm: int = 0
    auth_data: bytes = b""
    xtr: XtrIdentity | None = None


@dataclass(frozen=True, slots=True)
class Ecm:
    """A control message inside an IP and UDP header of its own (RFC 9301 §5.8).

    `source`, `destination` (of one IP version), ports and `ttl` are those of the inner headers; `payload`
    is the inner message as octets. `security`: LISP-SEC authentication data before the inner headers,
    uninterpreted (S); `ddt`: D; `to_etr`: E, `to_ms`: M.
    """

    source: IPAddress
    destination: IPAddress
    source_port: int
    destination_port: int
    payload: bytes
    security: bytes | None = None
    ddt: bool = False
    to_etr: bool = False
    to_ms: bool = False
    ttl: int = 64


Authenticated: TypeAlias = MapRegister | MapNotify | MapNotifyAck
Message: TypeAlias = MapRequest | MapReply | MapRegister | MapNotify | MapNotifyAck | Ecm
