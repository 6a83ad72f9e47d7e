// encapsulation (egress): puts the payload into a tunnel to the chosen RLOC (RFC 9300 section 5.3).
#ifndef FABRIC_ENCAPSULATION_P4_
#define FABRIC_ENCAPSULATION_P4_

// Octets that the tunnel adds in front of an IP payload: IPv4, UDP, tunnel header; and of them those that UDP counts.
const bit<16> ENCAP_IPV4_OCTETS = 36;
const bit<16> ENCAP_UDP_OCTETS  = 16;

control Encapsulation(inout headers_t hdr, inout metadata_t meta) {
    action add_outer(bit<16> udp_port, bit<8> flags, bit<8> next_protocol) {
        hdr.encap_ipv4.setValid();
        hdr.encap_ipv4.version = 4;
        hdr.encap_ipv4.ihl = 5;
        hdr.encap_ipv4.dscp = meta.payload.dscp;
        hdr.encap_ipv4.ecn = meta.payload.ecn;  // RFC 6040 normal mode
        hdr.encap_ipv4.total_len = meta.payload.total_len + ENCAP_IPV4_OCTETS;
        hdr.encap_ipv4.identification = 0;
        hdr.encap_ipv4.flags = IPV4_FLAG_DF;
        hdr.encap_ipv4.frag_offset = 0;
        hdr.encap_ipv4.ttl = meta.payload.ttl;
        hdr.encap_ipv4.protocol = IP_PROTOCOL_UDP;
        hdr.encap_ipv4.checksum = 0;            // the architecture's deparser fills it in
        hdr.encap_ipv4.src = meta.source_rloc;
        hdr.encap_ipv4.dst = meta.rloc;
        hdr.encap_udp.setValid();
        hdr.encap_udp.src_port = ENTROPY_PORT_BASE | (meta.payload.hash[15:0] & ENTROPY_PORT_MASK);
        hdr.encap_udp.dst_port = udp_port;
        hdr.encap_udp.length = meta.payload.total_len + ENCAP_UDP_OCTETS;
        hdr.encap_udp.checksum = 0;             // RFC 9300: SHOULD be zero
        hdr.encap_tunnel.setValid();
        hdr.encap_tunnel.flags = flags;
        hdr.encap_tunnel.reserved = 0;
        hdr.encap_tunnel.next_protocol = next_protocol;
        hdr.encap_tunnel.iid = meta.iid;
        hdr.encap_tunnel.low = 0;
    }

    table encapsulation {
        key = { meta.encapsulation : exact @name("encapsulation"); }
        actions = { add_outer; @defaultonly NoAction; }
        const default_action = NoAction();
        const entries = {
            encapsulation_t.LISP      : add_outer(UDP_PORT_LISP, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE);
            encapsulation_t.VXLAN_GPE : add_outer(UDP_PORT_VXLAN_GPE, TUNNEL_FLAG_I | TUNNEL_FLAG_P, NEXT_PROTOCOL_IPV4);
        }
    }

    apply {
        if (meta.encapsulate) {
            encapsulation.apply();
        }
    }
}

#endif  // FABRIC_ENCAPSULATION_P4_
