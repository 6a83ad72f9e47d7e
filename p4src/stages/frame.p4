// The frame, taken apart as far as it could matter. It knows no ports and no addresses: ingress decides what a parsed
// header does. Each architecture's parser goes through this one. Where copying header fields is the parser's business
// (SEE_...), it fills meta.payload with the outermost packet and meta.inner with that in a tunnel.
#ifndef FABRIC_FRAME_P4_
#define FABRIC_FRAME_P4_

parser Frame(packet_in packet, inout headers_t hdr, inout metadata_t meta) {
    IPV4_CHECKSUMS(outer_sum, inner_sum)

    state start {
        transition parse_ethernet;
    }

    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_IPV4     : parse_ipv4;
            ETHERTYPE_IPV6     : parse_ipv6;
            ETHERTYPE_SCALE_UP : parse_scale_up;
            default            : accept;
        }
    }

    state parse_scale_up {
        SEE_FIRST_WORD(packet, meta.payload_word)
        packet.extract(hdr.scale_up);
        SEE_SCALE_UP(meta.payload, hdr.scale_up)
        transition select(hdr.scale_up.operation, hdr.scale_up.next_header) {
            (SCALE_UP_COLLECTIVE, NEXT_HEADER_COLLECTIVE) : parse_incc;
            default : accept;
        }
    }

    // Of a fragmented packet only the first fragment has a transport header. It is not looked at, for all fragments of a
    // flow shall go the same way; nor is a packet with options, which is dropped.
    state parse_ipv4 {
        SEE_FIRST_WORD(packet, meta.payload_word)
        packet.extract(hdr.ipv4);
        SEE_IPV4(meta.payload, hdr.ipv4)
        VERIFY_IPV4(outer_sum, hdr.ipv4, meta)
        transition select(hdr.ipv4.ihl, hdr.ipv4.flags, hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_UDP)  : parse_udp;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_TCP)  : parse_ports;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_SCTP) : parse_ports;
            default : accept;
        }
    }

    // A fragment header is one of the extension headers, behind which nothing is looked at.
    state parse_ipv6 {
        SEE_FIRST_WORD(packet, meta.payload_word)
        packet.extract(hdr.ipv6);
        SEE_IPV6(meta.payload, hdr.ipv6)
        transition select(hdr.ipv6.next_header) {
            IP_PROTOCOL_UDP  : parse_udp;
            IP_PROTOCOL_TCP  : parse_ports;
            IP_PROTOCOL_SCTP : parse_ports;
            default : accept;
        }
    }

    state parse_ports {
        packet.extract(hdr.ports);
        SEE_PORTS(meta.payload, hdr.ports)
        transition accept;
    }

    state parse_udp {
        packet.extract(hdr.udp);
        SEE_PORTS(meta.payload, hdr.udp)
        transition select(hdr.udp.dst_port) {
            UDP_PORT_LISP      : parse_lisp;
            UDP_PORT_VXLAN     : parse_vxlan;
            UDP_PORT_VXLAN_GPE : parse_vxlan_gpe;
            UDP_PORT_ROCE      : parse_bth;
            UDP_PORT_COLLECTIVE : parse_incc;
            default : accept;
        }
    }

    state parse_bth {
        packet.extract(hdr.bth);
        SEE_BTH(meta.payload, hdr.bth)
        transition accept;
    }

    // Plain LISP (P=0) does not say what it carries: the first nibble does. In LISP-GPE the Next Protocol does, and N, E
    // and V mean nothing (RFC 9305 section 3). With a key the payload is encrypted.
    state parse_lisp {
        packet.extract(hdr.tunnel);
        transition select(hdr.tunnel.flags, hdr.tunnel.next_protocol, packet.lookahead<bit<4>>()) {
            (0 &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), _, 4) : parse_inner_ipv4;
            (0 &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), _, 6) : parse_inner_ipv6;
            (TUNNEL_FLAG_P &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), NEXT_PROTOCOL_IPV4, _)     : parse_inner_ipv4;
            (TUNNEL_FLAG_P &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), NEXT_PROTOCOL_IPV6, _)     : parse_inner_ipv6;
            (TUNNEL_FLAG_P &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), NEXT_PROTOCOL_ETHERNET, _) : parse_inner_ethernet;
            default : accept;
        }
    }

    state parse_vxlan {
        packet.extract(hdr.tunnel);
        transition parse_inner_ethernet;
    }

    // Version 0, P set: the Next Protocol names the payload. OAM is nobody's payload.
    state parse_vxlan_gpe {
        packet.extract(hdr.tunnel);
        transition select(hdr.tunnel.flags, hdr.tunnel.next_protocol) {
            (TUNNEL_FLAG_P &&& TUNNEL_GPE_MASK, NEXT_PROTOCOL_IPV4)     : parse_inner_ipv4;
            (TUNNEL_FLAG_P &&& TUNNEL_GPE_MASK, NEXT_PROTOCOL_IPV6)     : parse_inner_ipv6;
            (TUNNEL_FLAG_P &&& TUNNEL_GPE_MASK, NEXT_PROTOCOL_ETHERNET) : parse_inner_ethernet;
            default : accept;
        }
    }

    state parse_inner_ethernet {
        packet.extract(hdr.inner_ethernet);
        transition select(hdr.inner_ethernet.ether_type) {
            ETHERTYPE_IPV4     : parse_inner_ipv4;
            ETHERTYPE_IPV6     : parse_inner_ipv6;
            ETHERTYPE_SCALE_UP : parse_inner_scale_up;
            default : accept;
        }
    }

    state parse_inner_scale_up {
        SEE_FIRST_WORD(packet, meta.inner_word)
        packet.extract(hdr.inner_scale_up);
        SEE_SCALE_UP(meta.inner, hdr.inner_scale_up)
        transition select(hdr.inner_scale_up.operation, hdr.inner_scale_up.next_header) {
            (SCALE_UP_COLLECTIVE, NEXT_HEADER_COLLECTIVE) : parse_incc;
            default : accept;
        }
    }

    state parse_inner_ipv4 {
        SEE_FIRST_WORD(packet, meta.inner_word)
        packet.extract(hdr.inner_ipv4);
        SEE_IPV4(meta.inner, hdr.inner_ipv4)
        REMEMBER_IPV4(inner_sum, hdr.inner_ipv4, meta)
        transition select(hdr.inner_ipv4.ihl, hdr.inner_ipv4.flags, hdr.inner_ipv4.frag_offset,
                          hdr.inner_ipv4.protocol) {
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_UDP)  : parse_inner_udp;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_TCP)  : parse_inner_ports;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_SCTP) : parse_inner_ports;
            default : accept;
        }
    }

    state parse_inner_ipv6 {
        SEE_FIRST_WORD(packet, meta.inner_word)
        packet.extract(hdr.inner_ipv6);
        SEE_IPV6(meta.inner, hdr.inner_ipv6)
        transition select(hdr.inner_ipv6.next_header) {
            IP_PROTOCOL_UDP  : parse_inner_udp;
            IP_PROTOCOL_TCP  : parse_inner_ports;
            IP_PROTOCOL_SCTP : parse_inner_ports;
            default : accept;
        }
    }

    state parse_inner_ports {
        packet.extract(hdr.inner_ports);
        SEE_PORTS(meta.inner, hdr.inner_ports)
        transition accept;
    }

    state parse_inner_udp {
        packet.extract(hdr.inner_udp);
        SEE_PORTS(meta.inner, hdr.inner_udp)
        transition select(hdr.inner_udp.dst_port) {
            UDP_PORT_ROCE       : parse_inner_bth;
            UDP_PORT_COLLECTIVE : parse_incc;
            default : accept;
        }
    }

    state parse_inner_bth {
        packet.extract(hdr.inner_bth);
        SEE_BTH(meta.inner, hdr.inner_bth)
        transition accept;
    }

    // Outside of tunnels and inside. Whether it is what it looks like is known when its destination is.
    state parse_incc {
#ifdef WITHOUT_COLLECTIVES
        transition accept;
#elif defined(WITHOUT_VALUES_IN_INGRESS)
        packet.extract(hdr.incc);
        transition accept;
#else
        packet.extract(hdr.incc);
        transition select(hdr.incc.version, hdr.incc.flags) {
            (COLLECTIVE_VERSION, 0 &&& COLLECTIVE_EMPTY) : parse_incc_values;
            default : accept;
        }
#endif
    }

    state parse_incc_values {
        packet.extract(hdr.incc_values);
        transition accept;
    }
}

#endif  // FABRIC_FRAME_P4_
