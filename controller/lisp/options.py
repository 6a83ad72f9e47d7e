"""What a receiver may be told about its peers: known vendors, and tolerance for a foreign implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.lisp.constants import DEFAULT_OUI


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Settings of `decode`.

    `known_ouis`: organisations whose vendor LCAFs carry the metadata of choice C13; any other drops the
    message (RFC 9306 §4).

    The remaining two are for lispers.net and break the RFCs, so they are off: `short_request_trailer`
    accepts a Map-Request whose trailer is the xTR-ID without Site-ID (taken as 0); `uncounted_ack_records`
    accepts a Map-Notify-Ack whose record count is 0 although records follow.
    """

    known_ouis: frozenset[int] = frozenset({DEFAULT_OUI})
    short_request_trailer: bool = False
    uncounted_ack_records: bool = False


DEFAULT_OPTIONS: Final = DecodeOptions()
