"""Flag bits in the first 32-bit word of each control message, by the letters of RFC 9301 §5 and RFC 9437 §4."""

from __future__ import annotations

from typing import Final

REQUEST_A: Final = 0x08000000  # the site itself shall answer
REQUEST_M: Final = 0x04000000  # a mapping of the sender follows the records
REQUEST_P: Final = 0x02000000  # probe
REQUEST_S: Final = 0x01000000  # solicit a request
REQUEST_PITR: Final = 0x00800000
REQUEST_SMR_INVOKED: Final = 0x00400000
REQUEST_I: Final = 0x00100000  # xTR-ID and Site-ID follow
REQUEST_L: Final = 0x00004000  # sent from within the site's RLOC-set
REQUEST_D: Final = 0x00002000  # do not reply
REQUEST_IRC_SHIFT: Final = 8  # number of ITR-RLOCs minus one
REQUEST_IRC_MASK: Final = 0x1F

REPLY_P: Final = 0x08000000  # answers a probe
REPLY_E: Final = 0x04000000  # echo-nonce capable
REPLY_S: Final = 0x02000000  # LISP-SEC data follows the records

REGISTER_P: Final = 0x08000000  # proxy reply wanted
REGISTER_S: Final = 0x04000000  # LISP-SEC capable
REGISTER_I: Final = 0x02000000  # xTR-ID and Site-ID follow
REGISTER_E: Final = 0x00001000  # EID-notify
REGISTER_T: Final = 0x00000800  # Record TTL is the timeout
REGISTER_MERGE: Final = 0x00000400
REGISTER_M: Final = 0x00000100  # Map-Notify wanted

ECM_S: Final = 0x08000000  # LISP-SEC data precedes the inner headers
ECM_D: Final = 0x04000000  # DDT
ECM_E: Final = 0x02000000  # to ETR
ECM_M: Final = 0x01000000  # to Map-Server

TYPE_SHIFT: Final = 28
RECORD_COUNT: Final = 0x000000FF
