// The collectives alone, for TNA: groups of members on the ports of one switch, in Scale-Up frames and in UDP over IPv4 and
// IPv6. Tunnels, and with them trees of switches, are the forwarding program's (fabric.p4), which takes in the same
// controls; whatever is none of a group here is dropped. It shows what the collectives cost a chip, and it is what a
// switch that does nothing else would run.
#include "arch.p4"
#include "../include/sizes.p4"
#include "../include/types.p4"
#include "bridge.p4"
#include "collective_work.p4"
#include "collective_seam.p4"
#include "../include/headers.p4"
#include "../include/metadata.p4"
#include "../stages/port_context.p4"
#include "../stages/domain.p4"
#include "../stages/instance.p4"
#include "../stages/collective_group.p4"
#include "../stages/collective_check.p4"
#include "../stages/collective_outcome.p4"
#include "../stages/collective_copy.p4"
#include "../stages/collective_rewrite.p4"
#include "collective_passes.p4"

parser CollectivesIngressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                                out ingress_intrinsic_metadata_t ig_intr_md) {
    state start {
        packet.extract(ig_intr_md);
        meta.port = ig_intr_md.ingress_port;
        packet.advance(PORT_METADATA_SIZE);
        transition select(ig_intr_md.ingress_port) {
            COLLECTIVE_PORT : parse_work;
            CPU_PORT        : parse_packet_out;
            default         : parse_frame;
        }
    }

    state parse_work {
        packet.extract(hdr.work);
        packet.extract(hdr.ethernet);
        packet.extract(hdr.incc);
        transition accept;
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        meta.from_cpu = true;
        transition parse_frame;
    }

    state parse_frame {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_SCALE_UP : parse_scale_up;
            ETHERTYPE_IPV4     : parse_ipv4;
            ETHERTYPE_IPV6     : parse_ipv6;
            default            : accept;
        }
    }

    state parse_scale_up {
        packet.extract(hdr.scale_up);
        meta.payload.kind = payload_kind_t.SCALE_UP;
        meta.payload.src = (eid_t) hdr.scale_up.src;
        meta.payload.dst = (eid_t) hdr.scale_up.dst;
        meta.payload.total_len = hdr.scale_up.length;
        transition select(hdr.scale_up.version, hdr.scale_up.operation, hdr.scale_up.next_header) {
            (SCALE_UP_VERSION, SCALE_UP_COLLECTIVE, NEXT_HEADER_COLLECTIVE) : parse_incc;
            default : accept;
        }
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        meta.payload.kind = payload_kind_t.IPV4;
        meta.payload.dst = (eid_t) hdr.ipv4.dst;
        meta.payload.total_len = hdr.ipv4.total_len;
        transition select(hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.flags, hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (4, 5, 0 &&& IPV4_FLAG_MF, 0, IP_PROTOCOL_UDP) : parse_udp;
            default : accept;
        }
    }

    state parse_ipv6 {
        packet.extract(hdr.ipv6);
        meta.payload.kind = payload_kind_t.IPV6;
        meta.payload.dst = hdr.ipv6.dst;
        meta.payload.total_len = hdr.ipv6.payload_len;
        transition select(hdr.ipv6.version, hdr.ipv6.next_header) {
            (6, IP_PROTOCOL_UDP) : parse_udp;
            default : accept;
        }
    }

    state parse_udp {
        packet.extract(hdr.udp);
        transition select(hdr.udp.dst_port) {
            UDP_PORT_COLLECTIVE : parse_incc;
            default : accept;
        }
    }

    state parse_incc {
        packet.extract(hdr.incc);
        transition accept;
    }
}

control CollectivesIngress(inout headers_t hdr, inout metadata_t meta, in ingress_intrinsic_metadata_t ig_intr_md,
                           in ingress_intrinsic_metadata_from_parser_t ig_prsr_md,
                           inout ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md,
                           inout ingress_intrinsic_metadata_for_tm_t ig_tm_md) {
    PortContext()      port_context;
    Domain()           domain;
    Instance()         instance;
    CollectiveGroup()  collective_group;
    CollectiveCheck()  collective_check;
    CollectiveBegin()  collective_begin;
    CollectiveRecall() collective_recall;
    CollectiveResume() collective_resume;

    // Packets and octets dropped, by drop_reason_t.
    Counter<bit<64>, bit<8>>(DROP_COUNTER_SIZE, CounterType_t.PACKETS_AND_BYTES) drops;

    action read_scale_up() {
        meta.payload.total_len = meta.payload.total_len + SCALE_UP_OCTETS;
        meta.payload.dscp = hdr.scale_up.virtual_channel ++ 3w0;
        meta.payload.ecn = hdr.scale_up.ecn;
        meta.payload.src_port = hdr.scale_up.entropy;
    }

    action read_ipv4() {
        meta.payload.dscp = hdr.ipv4.dscp;
        meta.payload.ecn = hdr.ipv4.ecn;
    }

    action read_ipv6() {
        meta.payload.total_len = meta.payload.total_len + IPV6_OCTETS;
        meta.payload.dscp = hdr.ipv6.dscp;
        meta.payload.ecn = hdr.ipv6.ecn;
    }

    action drop(drop_reason_t reason) {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = reason;
    }

    action drop_collective() {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = meta.negative;
    }

    action count_drop() {
        drops.count(meta.drop_reason);
        ig_dprsr_md.drop_ctl = 1;
    }

    action forward() {
        ig_tm_md.ucast_egress_port = (PortId_t) meta.egress_port;
    }

    action replicate() {
        ig_tm_md.mcast_grp_a = meta.group;
    }

    @hidden table verdict {
        key = {
            meta.objections.UNKNOWN_PORT        : ternary;
            meta.objections.NO_INSTANCE_ID      : ternary;
            meta.objections.SPOOFED_SOURCE      : ternary;
            meta.objections.FOREIGN_INSTANCE_ID : ternary;
            meta.objections.INSTANCE_LIMITED    : ternary;
            meta.objections.UNSUPPORTED_PAYLOAD : ternary;
            meta.objections.NEGATIVE            : ternary;
            meta.wishes.REPLICATE               : ternary;
            meta.wishes.FORWARD                 : ternary;
        }
        actions = { drop; drop_collective; replicate; forward; }
        const default_action = drop(drop_reason_t.UNKNOWN_DESTINATION);
        const entries = {
            (1, _, _, _, _, _, _, _, _) : drop(drop_reason_t.UNKNOWN_PORT);
            (_, 1, _, _, _, _, _, _, _) : drop(drop_reason_t.NO_INSTANCE_ID);
            (_, _, 1, _, _, _, _, _, _) : drop(drop_reason_t.SPOOFED_SOURCE);
            (_, _, _, 1, _, _, _, _, _) : drop(drop_reason_t.FOREIGN_INSTANCE_ID);
            (_, _, _, _, 1, _, _, _, _) : drop(drop_reason_t.INSTANCE_LIMITED);
            (_, _, _, _, _, 1, _, _, _) : drop(drop_reason_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, 1, _, _) : drop_collective();
            (_, _, _, _, _, _, _, 1, _) : replicate();
            (_, _, _, _, _, _, _, _, 1) : forward();
        }
        size = 16;
    }

    // The copies are made by what the work order says.
    action tell_egress() {
        hdr.work.origin = ORIGIN_RESULT;
        hdr.work.step = collective_step_t.NONE;
        hdr.work.outcome = meta.collective.outcome;
    }

    apply {
        meta.ingress_port = (fabric_port_t) ig_intr_md.ingress_port;
        if (hdr.work.isValid()) {
            collective_recall.apply(hdr, meta);
        } else {
            port_context.apply(hdr, meta);
            if (hdr.scale_up.isValid()) {
                read_scale_up();
            } else if (hdr.ipv4.isValid()) {
                read_ipv4();
            } else {
                read_ipv6();
            }
            if (!meta.from_cpu) {
                domain.apply(hdr, meta);
            }
        }
        collective_group.apply(hdr, meta);
        if (hdr.work.isValid()) {
            collective_resume.apply(hdr, meta);
            if (meta.collective.outcome != collective_outcome_t.VISIT) {
                tell_egress();
            }
        } else if (meta.collective.outcome != collective_outcome_t.NONE) {
            if (meta.collective.outcome != collective_outcome_t.CLEAR) {
                instance.apply(hdr, meta);
            }
            collective_check.apply(hdr, meta);
            collective_begin.apply(hdr, meta);
        }
        verdict.apply();
        if (meta.verdict == verdict_t.DROP) {
            count_drop();
        }
    }
}

control CollectivesIngressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                                   in ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.incc);
    }
}

parser CollectivesEgressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                               out egress_intrinsic_metadata_t eg_intr_md) {
    state start {
        packet.extract(eg_intr_md);
        packet.extract(hdr.work);
        packet.extract(hdr.ethernet);
        packet.extract(hdr.incc);
        transition select(hdr.work.values) {
            1       : parse_values;
            default : accept;
        }
    }

    state parse_values {
        packet.extract(hdr.incc_values);
        transition accept;
    }
}

control CollectivesEgress(inout headers_t hdr, inout metadata_t meta, in egress_intrinsic_metadata_t eg_intr_md,
                          in egress_intrinsic_metadata_from_parser_t eg_prsr_md,
                          inout egress_intrinsic_metadata_for_deparser_t eg_dprsr_md,
                          inout egress_intrinsic_metadata_for_output_port_t eg_oport_md) {
    CollectivePass()    collective_pass;
    CollectiveCopy()    collective_copy;
    CollectiveRewrite() collective_rewrite;

    action recall() {
        meta.collective.outcome = hdr.work.outcome;
        meta.collective.replica = hdr.work.replica;
        meta.payload.kind = hdr.work.kind;
        meta.payload.dscp = hdr.work.dscp;
        meta.payload.ecn = hdr.work.ecn;
        meta.payload.src_port = hdr.work.entropy;
    }

    action begin_link(bit<16> ether_type) {
        hdr.link.setValid();
        hdr.link.dst = meta.next_hop_mac;
        hdr.link.src = meta.port_mac;
        hdr.link.ether_type = ether_type;
    }

    apply {
        recall();
        collective_pass.apply(hdr);
        if (hdr.work.origin == ORIGIN_RESULT) {
            collective_copy.apply(hdr, meta, eg_intr_md.egress_rid);
            collective_rewrite.apply(hdr, meta, hdr.work.eid);
            if (meta.payload.kind == payload_kind_t.SCALE_UP) {
                begin_link(ETHERTYPE_SCALE_UP);
            } else if (meta.payload.kind == payload_kind_t.IPV4) {
                begin_link(ETHERTYPE_IPV4);
            } else {
                begin_link(ETHERTYPE_IPV6);
            }
            if (meta.objections.NO_RLOC == 1) {
                eg_dprsr_md.drop_ctl = 1;
            }
            hdr.ethernet.setInvalid();
            hdr.work.setInvalid();
        }
    }
}

control CollectivesEgressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                                  in egress_intrinsic_metadata_for_deparser_t eg_dprsr_md) {
    Checksum() ipv4_checksum;

    apply {
        if (hdr.ipv4.isValid()) {
            hdr.ipv4.checksum = ipv4_checksum.update({
                hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.dscp, hdr.ipv4.ecn, hdr.ipv4.total_len,
                hdr.ipv4.identification, hdr.ipv4.flags, hdr.ipv4.frag_offset, hdr.ipv4.ttl,
                hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst });
        }
        packet.emit(hdr.work);
        packet.emit(hdr.link);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.scale_up);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.udp);
        packet.emit(hdr.incc);
        packet.emit(hdr.incc_values);
    }
}

Pipeline(CollectivesIngressParser(), CollectivesIngress(), CollectivesIngressDeparser(),
         CollectivesEgressParser(), CollectivesEgress(), CollectivesEgressDeparser()) pipe;

Switch(pipe) main;
