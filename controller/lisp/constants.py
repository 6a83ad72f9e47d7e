"""The code points, sizes and timers that the LISP documents fix, in one table.

Field layouts and flag masks stand beside the code that reads and writes them; here is only what more than one
module, or a control plane above this package, needs to know.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

# UDP ports.
DATA_PORT: Final = 4341  # LISP and LISP-GPE, RFC 9300 §5.3 and RFC 9305 §5
CONTROL_PORT: Final = 4342  # RFC 9301 §12.1
VXLAN_PORT: Final = 4789  # RFC 7348 §5
VXLAN_GPE_PORT: Final = 4790  # draft-ietf-nvo3-vxlan-gpe
L2_LISP_PORT: Final = 8472  # RFC 8060 §5.6


class Afi(IntEnum):
    """Address family identifiers, 16 bits (IANA; the ones that LISP uses)."""

    NONE = 0
    IPV4 = 1
    IPV6 = 2
    MAC = 6  # the value of RFC 8060 §4.10.2
    DISTINGUISHED_NAME = 17
    LCAF = 16387
    MAC_IANA = 16389  # "48-bit MAC" of the IANA table


class MessageType(IntEnum):
    """The upper four bits of every control message (RFC 9301 §5.1)."""

    MAP_REQUEST = 1
    MAP_REPLY = 2
    MAP_REGISTER = 3
    MAP_NOTIFY = 4
    MAP_NOTIFY_ACK = 5
    MAP_REFERRAL = 6
    ECM = 8
    SHARED_EXTENSION = 15


class LcafType(IntEnum):
    """Types of LISP Canonical Address Format, 8 bits (RFC 8060, RFC 9306)."""

    NULL = 0
    AFI_LIST = 1
    INSTANCE_ID = 2
    AS_NUMBER = 3
    APPLICATION_DATA = 4
    GEO_COORDINATES = 5
    OPAQUE_KEY = 6
    NAT_TRAVERSAL = 7
    NONCE_LOCATOR = 8
    MULTICAST_INFO = 9
    EXPLICIT_LOCATOR_PATH = 10
    SECURITY_KEY = 11
    SOURCE_DEST_KEY = 12
    REPLICATION_LIST = 13
    JSON = 14
    KEY_VALUE = 15
    ENCAPSULATION_FORMAT = 16
    VENDOR_SPECIFIC = 255


class EncapsulationBit(IntFlag):
    """Bits of the encapsulation format LCAF (RFC 8060 §5.6)."""

    LISP = 0x01
    L2_LISP = 0x02
    VXLAN = 0x04
    VXLAN_GPE = 0x08
    NVGRE = 0x10
    GENEVE = 0x20
    GUE = 0x40


class NextProtocol(IntEnum):
    """Payload of LISP-GPE (RFC 9305 §3) and, for values 1 to 4, of VXLAN-GPE."""

    IPV4 = 0x01
    IPV6 = 0x02
    ETHERNET = 0x03
    NSH = 0x04
    EXPERIMENT_1 = 0x7E  # Scale-Up frames without a MAC header
    EXPERIMENT_2 = 0x7F


# Sizes and special values.
MAX_INSTANCE_ID: Final = 0xFFFFFF  # the data header has 24 bits (choice C12)
MAX_NONCE: Final = 2**64 - 1
MAX_ITR_RLOCS: Final = 32  # 5 bits of "count minus one"
MAX_LCAF_DEPTH: Final = 4
MAX_SECURITY_LENGTH: Final = 512  # octets of LISP-SEC data in an ECM; what RFC 9303 defines needs far less
MAX_NAME_LENGTH: Final = 30  # characters of a name used as EID: 8 x (30 + NUL) fits 8 bits (choice C15)
XTR_ID_LENGTH: Final = 16  # octets
XTR_IDENTITY_LENGTH: Final = 24  # octets of xTR-ID and Site-ID together
TTL_REMOVE: Final = 0  # Record TTL in a withdrawal
TTL_RECEIVER_DECIDES: Final = 0xFFFFFFFF
PRIORITY_UNUSABLE: Final = 255
RLE_LEVEL: Final = 128  # replication level required by RFC 8378
UNFRAGMENTED_IPV4: Final = 576  # octets of a control packet that needs no path MTU knowledge, RFC 9301 §5
UNFRAGMENTED_IPV6: Final = 1280
DEFAULT_OUI: Final = 0xACDE48  # the OUI whose vendor LCAF carries the accelerator metadata (choice C13)

# Timers, in seconds unless named otherwise.
MAP_REQUEST_INTERVAL: Final = 1.0  # per EID-prefix, RFC 9301 §5.3
MAP_REQUEST_RETRIES: Final = 10
MAP_REQUEST_PAUSE: Final = 30.0  # after the last of the retries
MAP_REPLY_INTERVAL: Final = 3.0  # per RLOC, RFC 9301 §5.4
SMR_INTERVAL: Final = 3.0  # RFC 9301 §6.1
REGISTER_INTERVAL: Final = 60.0  # RFC 9301 §8.2
REGISTER_TIMEOUT: Final = 180.0
QUICK_REGISTER_INTERVAL: Final = 20.0
QUICK_REGISTER_PERIOD: Final = 300.0
REGISTER_RETRY_FIRST: Final = 1.0  # doubles, RFC 9301 §5.7
REGISTER_RETRY_MAX: Final = 60.0
NOTIFY_RETRY_DELAYS: Final = (3.0, 3.0, 3.0, 6.0, 12.0, 24.0)  # RFC 9301 §5.7
NEGATIVE_TTL_NOT_LISP: Final = 15  # minutes, RFC 9301 §8.1
NEGATIVE_TTL_UNREGISTERED: Final = 1  # minutes
TEMPORARY_SUBSCRIPTION_TTL: Final = 15  # minutes, RFC 9437 §5
LSB_TIMER: Final = 300.0  # RFC 9300 §13.1
