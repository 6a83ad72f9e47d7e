// Field widths and code points of the fabric, shared by every stage and architecture.
#ifndef FABRIC_TYPES_P4_
#define FABRIC_TYPES_P4_

typedef bit<48> mac_addr_t;
typedef bit<32> ipv4_addr_t;
typedef bit<16> fabric_port_t;    // wide enough for every target; architectures narrow it at their seam
typedef bit<24> iid_t;            // Instance-ID as the data header carries it (RFC 9300 section 5.3)
typedef bit<32> site_id_t;        // low bits of the LISP Site-ID: the PoD
typedef bit<16> rloc_set_id_t;
typedef bit<32> flow_hash_t;
typedef bit<5>  hash_rotation_t;

const bit<16> ETHERTYPE_IPV4 = 0x0800;

const bit<16> IPV4_HEADER_OCTETS = 20;
const bit<3>  IPV4_FLAG_MF       = 1;
const bit<3>  IPV4_FLAG_DF       = 2;

const bit<8> IP_PROTOCOL_TCP  = 6;
const bit<8> IP_PROTOCOL_UDP  = 17;
const bit<8> IP_PROTOCOL_SCTP = 132;

// UDP destination ports of the encapsulations (RFC 9300, VXLAN-GPE).
const bit<16> UDP_PORT_LISP      = 4341;
const bit<16> UDP_PORT_VXLAN_GPE = 4790;

// Flags octet of the tunnel header; I and P have the same place in every encapsulation.
const bit<8> TUNNEL_FLAG_I       = 0x08;
const bit<8> TUNNEL_FLAG_P       = 0x04;
const bit<8> TUNNEL_FLAG_OAM     = 0x01;  // VXLAN-GPE only: not for the tenant
const bit<8> TUNNEL_VERSION_MASK = 0x30;  // VXLAN-GPE only
const bit<8> TUNNEL_KEY_MASK     = 0x03;  // LISP only: the payload is encrypted (RFC 8061)

// Next Protocol of VXLAN-GPE and LISP-GPE (RFC 9305 section 3).
const bit<8> NEXT_PROTOCOL_NONE = 0x00;
const bit<8> NEXT_PROTOCOL_IPV4 = 0x01;

// The outer UDP source port carries the flow's entropy: 49152-65535 (RFC 9300 section 12, RFC 7348 section 5).
const bit<16> ENTROPY_PORT_BASE = 0xC000;
const bit<16> ENTROPY_PORT_MASK = 0x3FFF;

// What a port connects to; filled by port_context.
enum bit<8> port_role_t {
    UNKNOWN = 0,
    ACCESS  = 1,   // an accelerator
    CORE    = 2    // the underlay: another switch
}

// Encapsulation of an Instance-ID; filled by the instance stage, obeyed by the encapsulation stage.
enum bit<8> encapsulation_t {
    NONE      = 0,
    LISP      = 1,
    VXLAN_GPE = 2
}

// What ingress has decided; egress only carries it out.
enum bit<8> verdict_t {
    UNDECIDED = 0,
    FORWARD   = 1,
    PUNT      = 2,
    DROP      = 3
}

// Why a packet went to the controller; the `reason` of packet_in.
enum bit<8> punt_reason_t {
    NONE                = 0,
    UNKNOWN_DESTINATION = 1,  // no map-cache entry for the EID
    TO_LOCAL_RLOC       = 2   // addressed to this router itself, not tunnelled
}

// Why a packet was dropped; the index of the drop counter.
enum bit<8> drop_reason_t {
    NONE                = 0,
    MALFORMED           = 1,   // truncated, not IPv4, IPv4 options
    BAD_CHECKSUM        = 2,
    UNKNOWN_PORT        = 3,   // no port context
    UNSUPPORTED_PAYLOAD = 4,   // nothing this pipeline forwards, or an unknown Next Protocol
    NO_INSTANCE_ID      = 5,   // the tunnel header names no Instance-ID
    FOREIGN_INSTANCE_ID = 6,   // an Instance-ID that is not configured here
    ECN_NOT_CAPABLE     = 7,   // RFC 6040: congestion was marked on a payload that cannot carry the mark
    TTL_EXPIRED         = 8,
    UNKNOWN_DESTINATION = 9,   // no map-cache entry, and the Instance-ID's policy is to drop
    NEGATIVE_NO_REASON  = 10,  // negative map-cache entry, ACT 3 (RFC 9301 section 5.4)
    NEGATIVE_POLICY     = 11,  // ACT 4
    NEGATIVE_AUTH       = 12,  // ACT 5
    NO_RLOC             = 13,  // the RLOC-set has no usable member
    NO_UNDERLAY_ROUTE   = 14
}

#endif  // FABRIC_TYPES_P4_
