// Parser and deparser of the v1model program. The parser knows no ports and no addresses: it takes a frame apart as
// far as it could matter, and ingress decides what of it does.
#ifndef FABRIC_V1MODEL_PARSER_P4_
#define FABRIC_V1MODEL_PARSER_P4_

parser FabricParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    state start {
        transition select(standard_metadata.ingress_port) {
            CPU_PORT : parse_packet_out;
            default  : parse_ethernet;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition parse_ethernet;
    }

    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_IPV4 : parse_ipv4;
            default        : accept;
        }
    }

    // Of a fragmented packet only the first fragment has a transport header. It is not looked at, for all fragments of a
    // flow shall go the same way; nor is a packet with options, which is dropped.
    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        transition select(hdr.ipv4.ihl, hdr.ipv4.flags, hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_UDP)  : parse_udp;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_TCP)  : parse_ports;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_SCTP) : parse_ports;
            default : accept;
        }
    }

    state parse_ports {
        packet.extract(hdr.ports);
        transition accept;
    }

    state parse_udp {
        packet.extract(hdr.udp);
        transition select(hdr.udp.dst_port) {
            UDP_PORT_LISP      : parse_lisp;
            UDP_PORT_VXLAN_GPE : parse_vxlan_gpe;
            default : accept;
        }
    }

    // Plain LISP does not say what it carries: the first nibble does. With P=1 it would be LISP-GPE, and with a key it
    // would be encrypted.
    state parse_lisp {
        packet.extract(hdr.tunnel);
        transition select(hdr.tunnel.flags, packet.lookahead<bit<4>>()) {
            (0 &&& (TUNNEL_FLAG_P | TUNNEL_KEY_MASK), 4) : parse_inner_ipv4;
            default : accept;
        }
    }

    // Version 0, P set: the Next Protocol names the payload. OAM is nobody's payload.
    state parse_vxlan_gpe {
        packet.extract(hdr.tunnel);
        transition select(hdr.tunnel.flags, hdr.tunnel.next_protocol) {
            (TUNNEL_FLAG_P &&& (TUNNEL_FLAG_P | TUNNEL_FLAG_OAM | TUNNEL_VERSION_MASK), NEXT_PROTOCOL_IPV4) :
                parse_inner_ipv4;
            default : accept;
        }
    }

    state parse_inner_ipv4 {
        packet.extract(hdr.inner_ipv4);
        transition select(hdr.inner_ipv4.ihl, hdr.inner_ipv4.flags, hdr.inner_ipv4.frag_offset,
                          hdr.inner_ipv4.protocol) {
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_UDP)  : parse_inner_ports;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_TCP)  : parse_inner_ports;
            (5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_SCTP) : parse_inner_ports;
            default : accept;
        }
    }

    state parse_inner_ports {
        packet.extract(hdr.inner_ports);
        transition accept;
    }
}

control FabricDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.encap_ipv4);
        packet.emit(hdr.encap_udp);
        packet.emit(hdr.encap_tunnel);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.udp);
        packet.emit(hdr.ports);
        packet.emit(hdr.tunnel);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_ports);
    }
}

#endif  // FABRIC_V1MODEL_PARSER_P4_
