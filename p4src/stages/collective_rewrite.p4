// collective_rewrite (egress): a packet of a collective is not passed on but begins here, with headers of its own, behind
// the link's header or a tunnel's. It comes from the group's EID; between switches it goes to that EID as well.
#ifndef FABRIC_COLLECTIVE_REWRITE_P4_
#define FABRIC_COLLECTIVE_REWRITE_P4_

const bit<8> COLLECTIVE_HOP_LIMIT = 64;

control CollectiveRewrite(inout headers_t hdr, inout metadata_t meta, in eid_t group) {
    bit<16> octets = INCC_OCTETS;

    action begin_scale_up() {
        meta.payload.total_len = octets + SCALE_UP_OCTETS;
        hdr.scale_up.setValid();
        hdr.scale_up.version = SCALE_UP_VERSION;
        hdr.scale_up.operation = SCALE_UP_COLLECTIVE;
        hdr.scale_up.virtual_channel = meta.payload.dscp[5:3];
        hdr.scale_up.reorder = (bit<1>) meta.payload.reorder;
        hdr.scale_up.reserved = 0;
        hdr.scale_up.ecn = meta.payload.ecn;
        hdr.scale_up.hop_limit = COLLECTIVE_HOP_LIMIT;
        hdr.scale_up.next_header = NEXT_HEADER_COLLECTIVE;
        hdr.scale_up.dst = meta.payload.dst[31:0];
        hdr.scale_up.src = group[31:0];
        hdr.scale_up.entropy = meta.payload.src_port;
        hdr.scale_up.length = octets;
        hdr.scale_up.sequence = 0;
        hdr.scale_up.tag = 0;
    }

    action begin_udp() {
        hdr.udp.setValid();
        hdr.udp.src_port = UDP_PORT_COLLECTIVE;
        hdr.udp.dst_port = UDP_PORT_COLLECTIVE;
        hdr.udp.length = octets + UDP_OCTETS;
        hdr.udp.checksum = 0;
    }

    // The architecture computes the checksum.
    action begin_ipv4() {
        meta.payload.total_len = octets + (UDP_OCTETS + IPV4_OCTETS);
        hdr.ipv4.setValid();
        hdr.ipv4.version = 4;
        hdr.ipv4.ihl = 5;
        hdr.ipv4.dscp = meta.payload.dscp;
        hdr.ipv4.ecn = meta.payload.ecn;
        hdr.ipv4.total_len = octets + (UDP_OCTETS + IPV4_OCTETS);
        hdr.ipv4.identification = 0;
        hdr.ipv4.flags = IPV4_FLAG_DF;
        hdr.ipv4.frag_offset = 0;
        hdr.ipv4.ttl = COLLECTIVE_HOP_LIMIT;
        hdr.ipv4.protocol = IP_PROTOCOL_UDP;
        hdr.ipv4.src = group[31:0];
        hdr.ipv4.dst = meta.payload.dst[31:0];
        begin_udp();
    }

    action begin_ipv6() {
        meta.payload.total_len = octets + (UDP_OCTETS + IPV6_OCTETS);
        hdr.ipv6.setValid();
        hdr.ipv6.version = 6;
        hdr.ipv6.dscp = meta.payload.dscp;
        hdr.ipv6.ecn = meta.payload.ecn;
        hdr.ipv6.flow_label = 0;
        hdr.ipv6.payload_len = octets + UDP_OCTETS;
        hdr.ipv6.next_header = IP_PROTOCOL_UDP;
        hdr.ipv6.hop_limit = COLLECTIVE_HOP_LIMIT;
        hdr.ipv6.src = group;
        hdr.ipv6.dst = meta.payload.dst;
        begin_udp();
    }

    apply {
        hdr.incc.kind = collective_kind_t.RESULT;
        if (meta.collective.outcome == collective_outcome_t.CONTRIBUTE) {
            hdr.incc.kind = collective_kind_t.CONTRIBUTION;
        }
        if (hdr.incc_values.isValid()) {
            octets = INCC_OCTETS + INCC_VALUES_OCTETS;
        } else {
            hdr.incc.flags = hdr.incc.flags | COLLECTIVE_EMPTY;
        }
        meta.payload.ttl = COLLECTIVE_HOP_LIMIT;
        if (meta.payload.kind == payload_kind_t.SCALE_UP) {
            begin_scale_up();
        } else if (meta.payload.kind == payload_kind_t.IPV4) {
            begin_ipv4();
        } else {
            begin_ipv6();
        }
    }
}

#endif  // FABRIC_COLLECTIVE_REWRITE_P4_
