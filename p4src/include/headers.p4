// Headers as they are on the wire, and their order in a packet.
#ifndef FABRIC_HEADERS_P4_
#define FABRIC_HEADERS_P4_

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

// LISP, LISP-GPE, VXLAN and VXLAN-GPE lay out their eight octets alike; the UDP port tells them apart.
header tunnel_h {
    bit<8>  flags;
    bit<16> reserved;       // LISP: high bits of nonce or map-version
    bit<8>  next_protocol;  // LISP: low bits of nonce or map-version
    iid_t   iid;
    bit<8>  low;            // LISP: Locator-Status-Bits
}

@controller_header("packet_in")
header packet_in_h {
    fabric_port_t ingress_port;
    punt_reason_t reason;
    iid_t         iid;
}

// mode 0: transmit on `port`. mode 1 (submit): take the packet through ingress as if an accelerator of `iid` had sent it.
@controller_header("packet_out")
header packet_out_h {
    fabric_port_t port;
    bit<8>        mode;
    iid_t         iid;
}

const bit<8> PACKET_OUT_SUBMIT = 1;

// encap_* are only ever added, the unprefixed and inner_* are what was received. So encapsulating is making
// encap_* valid, decapsulating is making the received outer headers invalid, and a border that
// re-encapsulates does both in one pass without copying a header.
struct headers_t {
    packet_out_h packet_out;
    packet_in_h  packet_in;
    ethernet_h   ethernet;
    ipv4_h       encap_ipv4;
    udp_h        encap_udp;
    tunnel_h     encap_tunnel;
    ipv4_h       ipv4;
    udp_h        udp;
    ports_h      ports;
    tunnel_h     tunnel;
    ipv4_h       inner_ipv4;
    ports_h      inner_ports;
}

#endif  // FABRIC_HEADERS_P4_
