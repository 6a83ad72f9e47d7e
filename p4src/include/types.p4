// Field widths and code points of the fabric, shared by every stage and architecture.
#ifndef FABRIC_TYPES_P4_
#define FABRIC_TYPES_P4_

// The name of an object in P4Info, put together by a macro.
#define NAME_OF(name) #name

typedef bit<48>  mac_addr_t;
typedef bit<32>  ipv4_addr_t;
typedef bit<128> ipv6_addr_t;
typedef bit<32>  acc_id_t;         // a Scale-Up address: the accelerator's number in its PoD
typedef bit<128> eid_t;            // any EID or RLOC: IPv6 address, or IPv4 address or AccID in the low 32 bits
typedef bit<16>  fabric_port_t;    // wide enough for every target; architectures narrow it at their seam
typedef bit<24>  iid_t;            // Instance-ID as the data header carries it (RFC 9300 section 5.3)
typedef bit<32>  site_id_t;        // low bits of the LISP Site-ID: the PoD
typedef bit<16>  rloc_set_id_t;
typedef bit<16>  group_id_t;       // multicast group of the replication engine; bmv2 wants it below 32768
typedef bit<16>  replica_id_t;     // which copy of a replicated packet
typedef bit<32>  flow_hash_t;
typedef bit<5>   hash_rotation_t;
typedef bit<16>  tick_t;           // 1.024 ms
typedef bit<2>   color_t;
typedef bit<32>  cell_index_t;     // of a collective's slot and parity of round

const bit<16> ETHERTYPE_IPV4     = 0x0800;
const bit<16> ETHERTYPE_IPV6     = 0x86DD;
const bit<16> ETHERTYPE_SCALE_UP = 0x88B5;  // IEEE 802: local experimental EtherType 1

const bit<16> ETHERNET_OCTETS = 14;
const bit<16> IPV4_OCTETS     = 20;
const bit<16> IPV6_OCTETS     = 40;
const bit<16> UDP_OCTETS      = 8;
const bit<16> TUNNEL_OCTETS   = 8;
const bit<16> SCALE_UP_OCTETS = 24;
const bit<16> INCC_OCTETS     = 24;
const bit<16> INCC_VALUES_OCTETS = COLLECTIVE_VALUES * 4;
const bit<16> EMPTY_UDP_OCTETS = UDP_OCTETS + INCC_OCTETS;
const bit<16> FULL_UDP_OCTETS = EMPTY_UDP_OCTETS + INCC_VALUES_OCTETS;

// In front of what a tunnel carries, behind the outer IP header: of an IP packet, of a frame.
const bit<16> PACKET_TUNNEL_OCTETS = UDP_OCTETS + TUNNEL_OCTETS;
const bit<16> FRAME_TUNNEL_OCTETS  = UDP_OCTETS + TUNNEL_OCTETS + ETHERNET_OCTETS;

const bit<3> IPV4_FLAG_MF = 1;
const bit<3> IPV4_FLAG_DF = 2;

const bit<8> IP_PROTOCOL_HOP_BY_HOP = 0;    // IPv6: in front of every MLD message
const bit<8> IP_PROTOCOL_IGMP       = 2;
const bit<8> IP_PROTOCOL_TCP        = 6;
const bit<8> IP_PROTOCOL_UDP        = 17;
const bit<8> IP_PROTOCOL_SCTP       = 132;

const bit<4> SCALE_UP_VERSION = 1;
const bit<4> SCALE_UP_COLLECTIVE = 5;          // operation
const bit<8> NEXT_HEADER_COLLECTIVE = 1;

// UDP destination ports: the encapsulations (RFC 9300, RFC 7348, VXLAN-GPE), RoCEv2 and collectives (docs/incc.md).
const bit<16> UDP_PORT_LISP      = 4341;
const bit<16> UDP_PORT_VXLAN     = 4789;
const bit<16> UDP_PORT_VXLAN_GPE = 4790;
const bit<16> UDP_PORT_ROCE      = 4791;
const bit<16> UDP_PORT_COLLECTIVE = 49169;

// Flags octet of the tunnel header; I and P have the same place in every encapsulation.
const bit<8> TUNNEL_FLAG_I       = 0x08;
const bit<8> TUNNEL_FLAG_P       = 0x04;
const bit<8> TUNNEL_FLAG_OAM     = 0x01;  // VXLAN-GPE only: not for the tenant
const bit<8> TUNNEL_VERSION_MASK = 0x30;  // VXLAN-GPE only
const bit<8> TUNNEL_GPE_MASK     = TUNNEL_FLAG_P | TUNNEL_FLAG_OAM | TUNNEL_VERSION_MASK;
const bit<8> TUNNEL_KEY_MASK     = 0x03;  // LISP and LISP-GPE only: the payload is encrypted (RFC 8061)

// Next Protocol of VXLAN-GPE and LISP-GPE (RFC 9305 section 3).
const bit<8> NEXT_PROTOCOL_NONE     = 0x00;
const bit<8> NEXT_PROTOCOL_IPV4     = 0x01;
const bit<8> NEXT_PROTOCOL_IPV6     = 0x02;
const bit<8> NEXT_PROTOCOL_ETHERNET = 0x03;

// The outer UDP source port carries the flow's entropy: 49152-65535 (RFC 9300 section 12, RFC 7348 section 5).
const bit<2> ENTROPY_PORT_HIGH = 3;

// VXLAN carries Ethernet frames only. An IP packet gets this header there; both addresses are local to the tunnel, and
// whoever ends it routes by the IP packet.
const mac_addr_t VXLAN_ROUTED_SRC = 0x02004C495350;
const mac_addr_t VXLAN_ROUTED_DST = 0x02004C495351;

// What a port connects to; filled by port_context.
enum bit<8> port_role_t {
    UNKNOWN = 0,
    ACCESS  = 1,   // an accelerator
    CORE    = 2    // the underlay: another switch
}

// What a forwarded packet is, tunnels taken off; filled by the payload stage.
enum bit<8> payload_kind_t {
    NONE     = 0,
    IPV4     = 1,
    IPV6     = 2,
    SCALE_UP = 3
}

// How many receivers the destination means; filled by the payload stage.
enum bit<8> cast_t {
    UNICAST    = 0,
    MULTICAST  = 1,
    BROADCAST  = 2,
    LINK_LOCAL = 3   // multicast that no router forwards
}

// Which of the draft's two networks an Instance-ID belongs to; filled by the instance stage.
enum bit<8> domain_t {
    SCALE_OUT = 0,
    SCALE_UP  = 1
}

// Encapsulation of an Instance-ID; filled by the instance stage, obeyed by the tunnel stage.
enum bit<8> encapsulation_t {
    NONE      = 0,
    LISP      = 1,
    VXLAN_GPE = 2,
    LISP_GPE  = 3,
    VXLAN     = 4
}

// Which packets of an Instance-ID are spread one by one instead of flow by flow.
enum bit<8> spray_t {
    FLOW     = 0,   // none
    TOLERANT = 1,   // those that say that they tolerate reordering
    EVERY    = 2    // all: the tenant's transport reorders by itself
}

// Collectives: docs/incc.md.
const bit<4> COLLECTIVE_VERSION = 1;
const bit<8> COLLECTIVE_EMPTY    = 0x01;   // flags
const bit<8> COLLECTIVE_OVERFLOW = 0x02;
const bit<8> COLLECTIVE_MISMATCH = 0x04;
const bit<16> COLLECTIVE_EVERYBODY = 0xFFFF;   // target: all want the values

enum bit<4> collective_kind_t {
    CONTRIBUTION = 0,
    RESULT       = 1,
    CLEAR        = 2
}

// How a value is combined with the one that its cell has; the code points are those of the header.
enum bit<8> collective_operation_t {
    SUM     = 0,
    MINIMUM = 1,
    MAXIMUM = 2,
    AND     = 3,
    OR      = 4,
    XOR     = 5
}

// What a packet does to its cell; filled by the collective cells.
enum bit<8> collective_visit_t {
    NONE     = 0,   // nothing: it is too late, or a repeat
    TAKEN    = 1,   // the cell is this packet's from now on
    ADDED    = 2,   // one more child has contributed
    REPLACED = 3,   // the result replaces what was contributed
    READ     = 4,   // a repeat that wants an answer
    CLEARED  = 5
}

// What becomes of a packet of a collective; filled by the collective stage.
enum bit<8> collective_outcome_t {
    NONE        = 0,   // it is none of a group here
    CLEAR       = 1,   // its cell is emptied
    VISIT       = 2,   // not known yet
    RELEASE     = 3,   // the result goes to every child
    ANSWER      = 4,   // the result goes to the member that asked again
    ANSWER_NODE = 5,   // the same, to the switch that asked again
    CONTRIBUTE  = 6    // what the children contributed goes to the parent
}

// What ingress has decided; egress only carries it out.
enum bit<8> verdict_t {
    UNDECIDED = 0,
    FORWARD   = 1,
    PUNT      = 2,
    DROP      = 3,
    REPLICATE = 4
}

// Why a packet went to the controller; the `reason` of packet_in.
enum bit<8> punt_reason_t {
    NONE                = 0,
    UNKNOWN_DESTINATION = 1,  // no map-cache entry or replication list for the EID
    TO_LOCAL_RLOC       = 2,  // addressed to this router itself, not tunnelled
    TOO_BIG             = 3,  // does not fit into the tunnel; `mtu` says what would
    MEMBERSHIP          = 4,  // IGMP or MLD of an accelerator
    SAMPLE              = 5   // a copy; the packet itself went its way
}

// Why a packet was dropped; the index of the drop counters.
enum bit<8> drop_reason_t {
    NONE                = 0,
    MALFORMED           = 1,   // truncated, another IP version than announced, IPv4 options
    BAD_CHECKSUM        = 2,
    UNKNOWN_PORT        = 3,   // no port context
    UNSUPPORTED_PAYLOAD = 4,   // nothing this pipeline, this domain or this encapsulation carries
    NO_INSTANCE_ID      = 5,   // the tunnel header names no Instance-ID, or the port has none for this domain
    FOREIGN_INSTANCE_ID = 6,   // an Instance-ID that is not configured here
    ECN_NOT_CAPABLE     = 7,   // RFC 6040: congestion was marked on a payload that cannot carry the mark
    TTL_EXPIRED         = 8,
    UNKNOWN_DESTINATION = 9,   // no map-cache entry, and the Instance-ID's policy is to drop
    NEGATIVE_NO_REASON  = 10,  // negative map-cache entry, ACT 3 (RFC 9301 section 5.4)
    NEGATIVE_POLICY     = 11,  // ACT 4
    NEGATIVE_AUTH       = 12,  // ACT 5
    NO_RLOC             = 13,  // the RLOC-set has no usable member
    NO_UNDERLAY_ROUTE   = 14,
    SPOOFED_SOURCE      = 15,  // the source AccID is not the port's
    TOO_BIG             = 16,  // a Scale-Up frame or a copy that does not fit into the tunnel
    SPLIT_HORIZON       = 17,  // it would go back to where it came from
    INSTANCE_LIMITED    = 18,  // above the Instance-ID's committed rate
    PUNT_LIMITED        = 19,  // for the controller, but above the port's punt rate
    PUNT_SUPPRESSED     = 20,  // for the controller, which has just been told of this destination
    NOT_A_MEMBER        = 21,  // collectives: port, RLOC, group and rank do not belong together
    STALE_GENERATION    = 22,  // of the group as it was before, or will be
    BAD_SLOT            = 23,  // not one of the group's
    STALE_ROUND         = 24,  // the slot is used for another round now
    REPEATED            = 25,  // has contributed already, and others have not
    ABSORBED            = 26,  // no fault: its values are in the switch now
    SLOT_CLEARED        = 27   // no fault: the controller's order has been carried out
}

#endif  // FABRIC_TYPES_P4_
