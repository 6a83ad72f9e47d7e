// Parsers and deparsers of the TNA program. Ingress takes off what ends here and rewrites the payload; egress looks at the
// Ethernet header alone, and puts in front of it what the packet or the copy needs.
#ifndef FABRIC_TNA_PARSER_P4_
#define FABRIC_TNA_PARSER_P4_

#define EMIT_TO_EGRESS              \
    EMIT_ORDER(packet, hdr)         \
    EMIT_BRIDGE(packet, hdr)        \
    EMIT_PACKET(packet, hdr)
#define EMIT_PACKET(packet, hdr)    \
    packet.emit(hdr.ethernet);      \
    packet.emit(hdr.scale_up);      \
    packet.emit(hdr.ipv4);          \
    packet.emit(hdr.ipv6);          \
    packet.emit(hdr.udp);           \
    packet.emit(hdr.ports);         \
    packet.emit(hdr.bth);           \
    packet.emit(hdr.tunnel);        \
    packet.emit(hdr.inner_ethernet);\
    packet.emit(hdr.inner_scale_up);\
    packet.emit(hdr.inner_ipv4);    \
    packet.emit(hdr.inner_ipv6);    \
    packet.emit(hdr.inner_udp);     \
    packet.emit(hdr.inner_ports);   \
    packet.emit(hdr.inner_bth);     \
    EMIT_COLLECTIVE(packet, hdr)
#define EMIT_TO_LINK                \
    packet.emit(hdr.packet_in);     \
    packet.emit(hdr.link);          \
    packet.emit(hdr.encap_ipv4);    \
    packet.emit(hdr.encap_ipv6);    \
    packet.emit(hdr.encap_udp);     \
    packet.emit(hdr.encap_tunnel);  \
    packet.emit(hdr.encap_ethernet);\
    packet.emit(hdr.ethernet);      \
    packet.emit(hdr.inner_ethernet);\
    EMIT_RESULT(packet, hdr)
#define CROSS_BRIDGE(kind, name, field) meta.field = hdr.bridge_##name.value;

// What a checksum is made of: of a whole header; of one that was only rewritten, with what the parser remembers of it.
#define IPV4_FIELDS(ip)                                                                     \
    { ip.version, ip.ihl, ip.dscp, ip.ecn, ip.total_len, ip.identification, ip.flags,       \
      ip.frag_offset, ip.ttl, ip.protocol, ip.src, ip.dst }
#define IPV4_REWRITTEN(ip, residual)                                                        \
    { ip.version, ip.ihl, ip.dscp, ip.ecn, ip.ttl, ip.protocol, residual }

parser FabricIngressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                           PARSED ingress_intrinsic_metadata_t ig_intr_md) {
    Frame() frame;

    state start {
        EXTRACT_INTRINSIC(packet, ig_intr_md)
        meta.port = ig_intr_md.ingress_port;
        SKIP_PORT_METADATA(packet)
        transition select(ig_intr_md.ingress_port) {
            CPU_PORT : parse_packet_out;
            default  : parse_frame;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        meta.from_cpu = true;
        meta.role = port_role_t.ACCESS;
        meta.iid = hdr.packet_out.iid;
        transition parse_frame;
    }

    state parse_frame {
        frame.apply(packet, hdr, meta);
        transition accept;
    }
}

control FabricIngressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                              in ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md) {
    Checksum() ipv4_checksum;
    Checksum() inner_checksum;
    SAMPLE_MIRROR(sample)

    apply {
        if (ig_dprsr_md.mirror_type == MIRROR_SAMPLE) {
            sample.emit<sample_h>(meta.sample_session, { ORIGIN_SAMPLE, meta.ingress_port, meta.iid });
        }
        // Only of what this router has changed: the controller gets and gives packets as they are.
        if (meta.rewritten == 1) {
            hdr.ipv4.checksum = ipv4_checksum.update(IPV4_FIELDS(hdr.ipv4));
        }
        if (hdr.inner_ipv4.isValid()) {
            hdr.inner_ipv4.checksum = inner_checksum.update(IPV4_REWRITTEN(hdr.inner_ipv4, meta.inner_residual));
        }
        EMIT_TO_EGRESS
    }
}

parser FabricEgressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                          PARSED egress_intrinsic_metadata_t eg_intr_md) {
#ifdef WITH_COLLECTIVES
    CollectiveFrame() collective_frame;

#endif
    state start {
        EXTRACT_INTRINSIC(packet, eg_intr_md)
        transition select(packet.lookahead<bit<8>>()) {
            ORIGIN_SAMPLE : parse_sample;
            default       : parse_bridge;
        }
    }

    state parse_sample {
        packet.extract(hdr.sample);
        meta.ingress_port = hdr.sample.ingress_port;
        meta.iid = hdr.sample.iid;
        meta.verdict = verdict_t.PUNT;
        meta.punt_reason = punt_reason_t.SAMPLE;
        transition accept;
    }

    state parse_bridge {
        EXTRACT_BRIDGE(packet, hdr)
        meta.verdict = hdr.bridge.verdict;
        meta.punt_reason = hdr.bridge.punt_reason;
        meta.payload.kind = hdr.bridge.kind;
        BRIDGE_VALUES(CROSS_BRIDGE)
        meta.iid = hdr.bridge_iid.value;
#ifdef WITH_COLLECTIVES
        transition select(hdr.bridge.origin) {
            ORIGIN_RESULT : parse_result;
            default       : parse_ethernet;
        }
    }

    // The packet that it was is still there.
    state parse_result {
        packet.extract(hdr.result);
        collective_frame.apply(packet, hdr, hdr.bridge.kind);
        transition accept;
    }

    state parse_ethernet {
#endif
        packet.extract(hdr.ethernet);
        transition select(hdr.bridge_flags.inner_frame) {
            1 : parse_inner_ethernet;
            default : accept;
        }
    }

    state parse_inner_ethernet {
        packet.extract(hdr.inner_ethernet);
        transition accept;
    }
}

control FabricEgressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                             in egress_intrinsic_metadata_for_deparser_t eg_dprsr_md) {
    Checksum() encap_checksum;
#ifdef WITH_COLLECTIVES
    Checksum() result_checksum;
#endif

    apply {
        if (hdr.encap_ipv4.isValid()) {
            hdr.encap_ipv4.checksum = encap_checksum.update(IPV4_FIELDS(hdr.encap_ipv4));
        }
#ifdef WITH_COLLECTIVES
        if (hdr.ipv4.isValid()) {
            hdr.ipv4.checksum = result_checksum.update(IPV4_FIELDS(hdr.ipv4));
        }
#endif
        EMIT_TO_LINK
    }
}

#endif  // FABRIC_TNA_PARSER_P4_
