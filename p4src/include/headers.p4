// Headers as they are on the wire, and their order in a packet.
#ifndef FABRIC_HEADERS_P4_
#define FABRIC_HEADERS_P4_

#include "sizes.p4"
#include "types.p4"

header ethernet_h {
    mac_addr_t dst;
    mac_addr_t src;
    bit<16>    ether_type;
}

header ipv4_h {
    bit<4>      version;
    bit<4>      ihl;
    bit<6>      dscp;
    bit<2>      ecn;
    bit<16>     total_len;
    bit<16>     identification;
    bit<3>      flags;
    bit<13>     frag_offset;
    bit<8>      ttl;
    bit<8>      protocol;
    bit<16>     checksum;
    ipv4_addr_t src;
    ipv4_addr_t dst;
}

header ipv6_h {
    bit<4>      version;
    bit<6>      dscp;
    bit<2>      ecn;
    bit<20>     flow_label;
    bit<16>     payload_len;
    bit<8>      next_header;
    bit<8>      hop_limit;
    ipv6_addr_t src;
    ipv6_addr_t dst;
}

// The Scale-Up header, EtherType 0x88B5: docs/scale-up-frame.md. `length` counts the octets behind it.
header scale_up_h {
    bit<4>   version;
    bit<4>   operation;
    bit<3>   virtual_channel;
    bit<1>   reorder;       // the receiver puts packets into order by itself
    bit<2>   reserved;
    bit<2>   ecn;           // as in IP
    bit<8>   hop_limit;
    bit<8>   next_header;
    acc_id_t dst;
    acc_id_t src;
    bit<16>  entropy;       // packets that must stay in order have the same
    bit<16>  length;
    bit<32>  sequence;
    bit<32>  tag;
}

header udp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

// The first four octets of every transport header with ports.
header ports_h {
    bit<16> src_port;
    bit<16> dst_port;
}

// The first eight octets of RoCEv2's Base Transport Header, as far as they tell the flow.
header bth_h {
    bit<8>  opcode;
    bit<8>  flags;
    bit<16> partition;
    bit<8>  reserved;
    bit<24> queue_pair;     // of the destination
}

// LISP, LISP-GPE, VXLAN and VXLAN-GPE lay out their eight octets alike; the UDP port tells them apart.
header tunnel_h {
    bit<8>  flags;
    bit<16> reserved;       // LISP: high bits of nonce or map-version
    bit<8>  next_protocol;  // LISP: low bits of nonce or map-version
    iid_t   iid;
    bit<8>  low;            // LISP: Locator-Status-Bits
}

// A packet of a collective (docs/incc.md), behind a Scale-Up or UDP header.
header incc_h {
    bit<4>                 version;
    collective_kind_t      kind;
    collective_operation_t operation;
    bit<8>                 flags;
    bit<8>                 generation;
    bit<16>                group;
    bit<16>                rank;
    bit<16>                slot;
    bit<16>                round;
    bit<16>                target;
    bit<16>                signature;
    bit<32>                scale;
    bit<32>                cookie;
}

// What is done once for each value of a packet: EACH_VALUE(MACRO) is MACRO(0) MACRO(1) and so on.
#define EACH_OF_32_VALUES(V)                                                                        \
    V(0)  V(1)  V(2)  V(3)  V(4)  V(5)  V(6)  V(7)  V(8)  V(9)  V(10) V(11) V(12) V(13) V(14) V(15) \
    V(16) V(17) V(18) V(19) V(20) V(21) V(22) V(23) V(24) V(25) V(26) V(27) V(28) V(29) V(30) V(31)
#if COLLECTIVE_VALUES == 64
#define EACH_VALUE(V) EACH_OF_32_VALUES(V)                                                          \
    V(32) V(33) V(34) V(35) V(36) V(37) V(38) V(39) V(40) V(41) V(42) V(43) V(44) V(45) V(46) V(47) \
    V(48) V(49) V(50) V(51) V(52) V(53) V(54) V(55) V(56) V(57) V(58) V(59) V(60) V(61) V(62) V(63)
#else
#define EACH_VALUE(V) EACH_OF_32_VALUES(V)
#endif

#define VALUE_FIELD(n) bit<32> v##n;
header incc_values_h {
    EACH_VALUE(VALUE_FIELD)
}

@controller_header("packet_in")
header packet_in_h {
    fabric_port_t ingress_port;
    punt_reason_t reason;
    iid_t         iid;
    bit<16>       mtu;      // TOO_BIG: the largest IP packet that would have fitted, in octets
}

// mode 0: transmit on `port`. mode 1 (submit): take the packet through ingress as if an accelerator of `iid` had sent it.
@controller_header("packet_out")
header packet_out_h {
    fabric_port_t port;
    bit<8>        mode;
    iid_t         iid;
}

const bit<8> PACKET_OUT_SUBMIT = 1;

// link and encap_* are only ever added, the unprefixed and inner_* are what was received. So encapsulating is making
// encap_* valid, decapsulating is making the received outer headers invalid, and a border that re-encapsulates does
// both in one pass without copying a header.
struct headers_t {
    ARCHITECTURE_HEADERS
    packet_out_h packet_out;
    packet_in_h  packet_in;
    ethernet_h   link;            // of the link the packet leaves on
    ipv4_h       encap_ipv4;
    ipv6_h       encap_ipv6;
    udp_h        encap_udp;
    tunnel_h     encap_tunnel;
    ethernet_h   encap_ethernet;  // VXLAN around an IP packet
    ethernet_h   ethernet;
    scale_up_h   scale_up;
    ipv4_h       ipv4;
    ipv6_h       ipv6;
    udp_h        udp;
    ports_h      ports;
    bth_h        bth;
    tunnel_h     tunnel;
    ethernet_h   inner_ethernet;
    scale_up_h   inner_scale_up;
    ipv4_h       inner_ipv4;
    ipv6_h       inner_ipv6;
    udp_h        inner_udp;
    ports_h      inner_ports;
    bth_h        inner_bth;
    incc_h        incc;           // behind the innermost of these, tunnel or not
    incc_values_h incc_values;
}

#endif  // FABRIC_HEADERS_P4_
