// encapsulation (egress): puts the payload into a tunnel to the chosen RLOC (RFC 9300 section 5.3), as the tunnel stage
// has decided.
#ifndef FABRIC_ENCAPSULATION_P4_
#define FABRIC_ENCAPSULATION_P4_

control Encapsulation(inout headers_t hdr, inout metadata_t meta) {
    bit<16> udp_len = 0;

    action add_tunnel() {
        hdr.encap_udp.setValid();
        hdr.encap_udp.src_port = ENTROPY_PORT(meta);
        hdr.encap_udp.dst_port = meta.tunnel.udp_port;
        hdr.encap_udp.length = udp_len;
        hdr.encap_udp.checksum = 0;             // RFC 9300 section 5.3: SHOULD be zero, over IPv6 too
        hdr.encap_tunnel.setValid();
        hdr.encap_tunnel.flags = meta.tunnel.flags;
        hdr.encap_tunnel.reserved = 0;
        hdr.encap_tunnel.next_protocol = meta.tunnel.next_protocol;
        hdr.encap_tunnel.iid = meta.tunnel.iid;
        hdr.encap_tunnel.low = 0;
    }

    action add_ipv4() {
        hdr.encap_ipv4.setValid();
        hdr.encap_ipv4.version = 4;
        hdr.encap_ipv4.ihl = 5;
        hdr.encap_ipv4.total_len = udp_len + IPV4_OCTETS;
        hdr.encap_ipv4.identification = 0;
        hdr.encap_ipv4.flags = IPV4_FLAG_DF;
        hdr.encap_ipv4.frag_offset = 0;
        hdr.encap_ipv4.ttl = meta.payload.ttl;
        hdr.encap_ipv4.protocol = IP_PROTOCOL_UDP;
        hdr.encap_ipv4.checksum = 0;            // the architecture's deparser fills it in
        hdr.encap_ipv4.src = meta.source_rloc[31:0];
        hdr.encap_ipv4.dst = meta.rloc[31:0];
    }

    action add_ipv6() {
        hdr.encap_ipv6.setValid();
        hdr.encap_ipv6.version = 6;
        hdr.encap_ipv6.flow_label = ENTROPY_LABEL(meta);
        hdr.encap_ipv6.payload_len = udp_len;
        hdr.encap_ipv6.next_header = IP_PROTOCOL_UDP;
        hdr.encap_ipv6.hop_limit = meta.payload.ttl;
        hdr.encap_ipv6.src = meta.source_rloc;
        hdr.encap_ipv6.dst = meta.rloc;
    }

    // RFC 6040 normal mode. By itself, since a version, a class and a label are too much for one word in one step.
    action copy_class_ipv4() {
        hdr.encap_ipv4.dscp = meta.payload.dscp;
        hdr.encap_ipv4.ecn = meta.payload.ecn;
    }

    action copy_class_ipv6() {
        hdr.encap_ipv6.dscp = meta.payload.dscp;
        hdr.encap_ipv6.ecn = meta.payload.ecn;
    }

    action add_ethernet() {
        hdr.encap_ethernet.setValid();
        hdr.encap_ethernet.dst = VXLAN_ROUTED_DST;
        hdr.encap_ethernet.src = VXLAN_ROUTED_SRC;
    }

    apply {
        if (meta.encapsulate) {
            udp_len = meta.payload.total_len + meta.tunnel.octets;
            add_tunnel();
            if (meta.rloc_is_ipv6) {
                add_ipv6();
                copy_class_ipv6();
            } else {
                add_ipv4();
                copy_class_ipv4();
            }
            if (meta.tunnel.carries_frame && meta.payload.kind != payload_kind_t.SCALE_UP) {
                add_ethernet();
                if (meta.payload.kind == payload_kind_t.IPV6) {
                    hdr.encap_ethernet.ether_type = ETHERTYPE_IPV6;
                } else {
                    hdr.encap_ethernet.ether_type = ETHERTYPE_IPV4;
                }
            }
        }
    }
}

#endif  // FABRIC_ENCAPSULATION_P4_
