"""Where things are in the memory that native code and Python share: offsets in octets from the beginning of each.

A *hub* carries packets between switches; each *switch* has ports, a ring of received packets, and objects of its
program; a *context* is a packet inside a switch; a *buffer* holds octets and counts who refers to them.
"""

from __future__ import annotations

from typing import Final

NONE: Final = (1 << 64) - 1

# Buffer: a header, then the area. Octets are read a little beyond their end, so the area ends with slack.
BUF_NEXT: Final = 0
BUF_REFERENCES: Final = 8
BUF_CLASS: Final = 16
BUF_AREA: Final = 64
HEADROOM: Final = 256  # left in front of received octets, for headers that are added
SLACK: Final = 64
SMALL_AREA: Final = 2048 + HEADROOM + SLACK
LARGE_AREA: Final = 10240 + HEADROOM + SLACK

# Hub
HUB_SMALL: Final = 0  # free buffers
HUB_LARGE: Final = 8
HUB_EVENTS: Final = 16  # ring of events for Python
HUB_EVENT_MASK: Final = 24
HUB_EVENT_HEAD: Final = 32  # next to be read
HUB_EVENT_TAIL: Final = 40  # next to be written
HUB_EVENTS_LOST: Final = 48
HUB_ACTIVE_HEAD: Final = 56  # switches that have received packets
HUB_ACTIVE_TAIL: Final = 64
HUB_TIME: Final = 72  # struct timespec
HUB_BUFFERS: Final = 88  # buffers made so far
HUB_RINGS: Final = 96  # packet rings of network interfaces
HUB_BYTES: Final = 128

# Packet rings of a network interface (TPACKET_V2)
PR_NEXT: Final = 0
PR_SWITCH: Final = 8
PR_PORT: Final = 16
PR_RX: Final = 24  # address, frames, octets of a frame, next frame
PR_RX_COUNT: Final = 32
PR_RX_OCTETS: Final = 40
PR_RX_AT: Final = 48
PR_TX: Final = 56
PR_TX_COUNT: Final = 64
PR_TX_OCTETS: Final = 72
PR_TX_AT: Final = 80
PR_TX_WAITING: Final = 88  # frames that the kernel has not been told of
PR_RX_SOCKET: Final = 96
PR_TX_SOCKET: Final = 104
PR_PLAIN_SOCKET: Final = 112  # for what does not fit a frame
PR_LOST: Final = 120
PR_BYTES: Final = 128

# Packet descriptor, in the ring of a switch
DESCRIPTOR_BYTES: Final = 32
DESC_BUFFER: Final = 0
DESC_DATA: Final = 8
DESC_LENGTH: Final = 16
DESC_PORT: Final = 24

# Event
EVENT_BYTES: Final = 64
EV_KIND: Final = 0
EV_SWITCH: Final = 8
EV_PORT: Final = 16
EV_BUFFER: Final = 24
EV_DATA: Final = 32
EV_LENGTH: Final = 40
EV_OTHER: Final = 48
OUTPUT, DIGEST, LOG, TRACE = range(4)

# Switch
SW_HUB: Final = 0
SW_PROCESS: Final = 8  # the program's function that takes a batch
SW_INDEX: Final = 16
SW_DROP_PORT: Final = 24
SW_CPU_PORT: Final = 32
SW_STARTED: Final = 40  # ns
SW_CLOCK: Final = 48  # a fixed time in ns, 0 for the machine's monotonic clock
SW_NOW: Final = 56  # ns, of the current batch
SW_COLLECT: Final = 64  # all output becomes events
SW_RING: Final = 72
SW_RING_MASK: Final = 80
SW_RING_HEAD: Final = 88
SW_RING_TAIL: Final = 96
SW_ACTIVE: Final = 104
SW_ACTIVE_NEXT: Final = 112
SW_PORTS: Final = 120
SW_CONTEXTS: Final = 128  # free contexts
SW_GROUPS: Final = 136  # multicast groups by id
SW_SESSIONS: Final = 144  # clone sessions by id
SW_RANDOM: Final = 152
SW_SCRATCH: Final = 160  # where the input of a hash is gathered
SW_SCRATCH_BYTES: Final = 168
SW_AGAIN_HEAD: Final = 176  # packets with another pass before them
SW_AGAIN_TAIL: Final = 184
SW_ENDLESS: Final = 192  # packets dropped after too many passes
SW_UNSENT: Final = 200
SW_TRACE_EVERY: Final = 208  # 0 for no sampling
SW_TRACE_COUNT: Final = 216
SW_PACKETS: Final = 224  # packets begun
SW_OBJECTS: Final = 256  # addresses of the program's objects

# Port
PORT_BYTES: Final = 128
PORT_COUNT: Final = 512
PORT_KIND: Final = 0
PORT_PEER: Final = 8  # a switch, or a packet ring
PORT_PEER_PORT: Final = 16
PORT_RX_PACKETS: Final = 24
PORT_RX_BYTES: Final = 32
PORT_TX_PACKETS: Final = 40
PORT_TX_BYTES: Final = 48
PORT_LOST: Final = 56
PORT_UP: Final = 64  # for the watch ports of selector groups
ABSENT, TO_PYTHON, LINK, RING = range(4)

# Context
CTX_NEXT: Final = 0
CTX_BUFFER: Final = 8
CTX_DATA: Final = 16
CTX_DATA_LENGTH: Final = 24
CTX_PAYLOAD: Final = 32
CTX_PAYLOAD_LENGTH: Final = 40
CTX_INGRESS_PORT: Final = 48
CTX_INGRESS_LENGTH: Final = 56
CTX_LENGTH: Final = 64
CTX_LIMIT: Final = 72
CTX_EGRESS_PORT: Final = 80
CTX_ERROR: Final = 88
CTX_CHECKSUM_ERROR: Final = 96
CTX_EXITED: Final = 104
CTX_CLONE_SESSION: Final = 112
CTX_CLONE_LIST: Final = 120
CTX_DIGEST: Final = 128
CTX_RESUBMIT: Final = 136
CTX_RECIRCULATE: Final = 144
CTX_FIELDS: Final = 192

# Table: an exact one has one group, whose mask is all ones.
T_WORDS: Final = 0  # of a key
T_ACTION: Final = 8  # default action and its parameters
T_DATA: Final = 16
T_GROUPS: Final = 24  # addresses of the mask groups, best first
T_GROUP_COUNT: Final = 32
T_RANGES: Final = 40  # number of range fields; each takes the last words of the key
T_RANGE_WORDS: Final = 48  # words of each of them
T_FIRST_WINS: Final = 56  # the first group that has a match decides (longest prefix match)
T_BYTES: Final = 64

# Group of entries with one mask: an open-addressed hash table of records
G_BEST: Final = 0  # no entry ranks higher
G_COUNT: Final = 8
G_MASK: Final = 16  # slots - 1
G_SLOTS: Final = 24
G_KEY_MASK: Final = 32  # words

# Record of an entry
R_NEXT: Final = 0  # the next of the same masked key, lower in rank
R_RANK: Final = 8
R_CELL: Final = 16
R_ACTION: Final = 24
R_DATA: Final = 32
R_KEY: Final = 40

# Cell of an entry: what the data plane counts there
CELL_PACKETS: Final = 0
CELL_BYTES: Final = 8
CELL_LAST_HIT: Final = 16
CELL_METER: Final = 24

# Member
M_ACTION: Final = 0
M_DATA: Final = 8
M_PARAMETERS: Final = 16

# Selector group
S_COUNT: Final = 0
S_WATCHED: Final = 8
S_SLOTS: Final = 16
SLOT_BYTES: Final = 16
SLOT_MEMBER: Final = 0
SLOT_WATCH: Final = 8

# Multicast group or clone session
P_COUNT: Final = 0
P_OCTETS: Final = 8  # a clone is cut to this many, 0 for not at all
P_REPLICAS: Final = 16
REPLICA_BYTES: Final = 16
REPLICA_PORT: Final = 0
REPLICA_INSTANCE: Final = 8

# Actions that are none: the parameters are a member, or a selector group
NO_ACTION: Final = 1 << 32
OF_MEMBER: Final = (1 << 32) + 1
OF_GROUP: Final = (1 << 32) + 2

# Meter cell
METER_CONFIGURED: Final = 0
METER_ORIGIN: Final = 8
METER_PEAK: Final = 16  # two buckets
METER_COMMITTED: Final = 48
BUCKET_RATE: Final = 0
BUCKET_BURST: Final = 8
BUCKET_TOKENS: Final = 16
BUCKET_FILLED: Final = 24
METER_BYTES: Final = 80

# Parameters of a CRC, then its table
CRC_WIDTH: Final = 0
CRC_INITIAL: Final = 8
CRC_FINAL: Final = 16
CRC_REFLECT_IN: Final = 24
CRC_REFLECT_OUT: Final = 32
CRC_TABLE: Final = 40
CRC_BYTES: Final = 40 + 256 * 8

# Value set: members of fields, each field being words of value, care mask, low and high
V_COUNT: Final = 0
V_MEMBERS: Final = 8
