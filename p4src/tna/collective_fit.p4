// The passes of collectives alone: what their registers cost a chip, whatever else a program does
// (docs/tofino-collectives.md).
// Not to be used: ingress sends everything round and round.
#include "arch.p4"
#include "../include/sizes.p4"
#include "../include/types.p4"
#include "bridge.p4"
#include "collective_work.p4"
#include "collective_seam.p4"
#include "../include/headers.p4"
#include "../include/metadata.p4"
#include "../stages/collective_outcome.p4"
#include "collective_passes.p4"

struct nothing_t {
    bit<8> nothing;
}

parser FitIngressParser(packet_in packet, out headers_t hdr, out nothing_t meta,
                        out ingress_intrinsic_metadata_t ig_intr_md) {
    state start {
        packet.extract(ig_intr_md);
        packet.advance(PORT_METADATA_SIZE);
        packet.extract(hdr.work);
        packet.extract(hdr.ethernet);
        packet.extract(hdr.incc);
        transition accept;
    }
}

control FitIngress(inout headers_t hdr, inout nothing_t meta, in ingress_intrinsic_metadata_t ig_intr_md,
                   in ingress_intrinsic_metadata_from_parser_t ig_prsr_md,
                   inout ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md,
                   inout ingress_intrinsic_metadata_for_tm_t ig_tm_md) {
    CollectiveKeeping() keeping;

    apply {
        keeping.apply(hdr);
        ig_tm_md.ucast_egress_port = COLLECTIVE_PORT;
    }
}

control FitIngressDeparser(packet_out packet, inout headers_t hdr, in nothing_t meta,
                           in ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.incc);
    }
}

parser FitEgressParser(packet_in packet, out headers_t hdr, out nothing_t meta,
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

control FitEgress(inout headers_t hdr, inout nothing_t meta, in egress_intrinsic_metadata_t eg_intr_md,
                  in egress_intrinsic_metadata_from_parser_t eg_prsr_md,
                  inout egress_intrinsic_metadata_for_deparser_t eg_dprsr_md,
                  inout egress_intrinsic_metadata_for_output_port_t eg_oport_md) {
    CollectivePass() collective_pass;

    apply {
        collective_pass.apply(hdr);
    }
}

control FitEgressDeparser(packet_out packet, inout headers_t hdr, in nothing_t meta,
                          in egress_intrinsic_metadata_for_deparser_t eg_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.incc);
        packet.emit(hdr.incc_values);
    }
}

Pipeline(FitIngressParser(), FitIngress(), FitIngressDeparser(),
         FitEgressParser(), FitEgress(), FitEgressDeparser()) pipe;

Switch(pipe) main;
