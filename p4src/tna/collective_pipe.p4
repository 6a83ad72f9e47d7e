// The pipe that has the cells of collectives: registers belong to one pipe, so what comes in at ports of all pipes has to
// meet in one. Its one port in use loops back, and every packet comes from the pipe that forwards and goes back there:
// fabric.p4 makes the work order and whatever leaves the switch. What has been ordered passes by egress, is checked in
// ingress, and only then comes to a cell.
#ifndef FABRIC_TNA_COLLECTIVE_PIPE_P4_
#define FABRIC_TNA_COLLECTIVE_PIPE_P4_

#include "collective_frame.p4"
#include "collective_passes.p4"
#include "../stages/collective_check.p4"
#include "collective_admission.p4"
#include "collective_renewal.p4"

// The bridge header and the packet's own headers pass through as they are.
#define EMIT_PASSENGERS(packet, hdr)    \
    EMIT_BRIDGE(packet, hdr)            \
    packet.emit(hdr.result);            \
    packet.emit(hdr.ethernet);          \
    packet.emit(hdr.scale_up);          \
    packet.emit(hdr.ipv4);              \
    packet.emit(hdr.ipv6);              \
    packet.emit(hdr.udp);               \
    packet.emit(hdr.incc);

parser CollectivesIngressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                                PARSED ingress_intrinsic_metadata_t ig_intr_md) {
    CollectiveFrame() frame;

    state start {
        EXTRACT_INTRINSIC(packet, ig_intr_md)
        SKIP_PORT_METADATA(packet)
        transition select(ig_intr_md.ingress_port) {
            COLLECTIVE_PORT : parse_work;
            default         : reject;
        }
    }

    state parse_work {
        packet.extract(hdr.work);
        transition select(hdr.work.step) {
            collective_step_t.CHECK       : parse_unchecked;
            collective_step_t.CHECK_CLEAR : parse_unchecked;
            default                       : parse_cell;
        }
    }

    state parse_unchecked {
        packet.extract(hdr.unchecked);
        transition parse_bridge;
    }

    state parse_cell {
        packet.extract(hdr.cell);
        packet.extract(hdr.state);
        transition parse_bridge;
    }

    state parse_bridge {
        EXTRACT_BRIDGE(packet, hdr)
        meta.payload.kind = hdr.bridge.kind;
        meta.payload.total_len = hdr.bridge_total_len.value;
        transition select(hdr.work.step) {
            collective_step_t.CHECK       : parse_packet;
            collective_step_t.CHECK_CLEAR : parse_packet;
            default                       : parse_result;
        }
    }

    state parse_result {
        packet.extract(hdr.result);
        transition parse_packet;
    }

    state parse_packet {
        frame.apply(packet, hdr, hdr.bridge.kind);
        transition accept;
    }
}

control CollectivesIngress(inout headers_t hdr, inout metadata_t meta,
                           in ingress_intrinsic_metadata_t ig_intr_md,
                           in ingress_intrinsic_metadata_from_parser_t ig_prsr_md,
                           inout ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md,
                           inout ingress_intrinsic_metadata_for_tm_t ig_tm_md) {
    CollectiveAdmission() admission;
    CollectiveNext()      behind_pass;
    CollectiveRenewal()   renewal;

    // Packets and octets of collectives that went no further, by drop_reason_t.
    INDEXED_COUNTER(absorbed, bit<8>, DROP_COUNTER_SIZE)

    collective_next_t next = { drop_reason_t.NONE, 0, 0, false };

    action drop() {
        COUNT_AT(absorbed, next.reason)
        ig_dprsr_md.drop_ctl = 1;
    }

    action send() {
        ig_tm_md.ucast_egress_port = next.port;
    }

    action replicate() {
        ig_tm_md.mcast_grp_a = next.replicas;
    }

    action leave() {
        hdr.bridge.origin = ORIGIN_RESULT;
        hdr.bridge_flags.encapsulate = 0;
        hdr.work.setInvalid();
        hdr.cell.setInvalid();
        hdr.state.setInvalid();
    }

    action leave_upwards() {
        hdr.bridge.origin = ORIGIN_RESULT;
        hdr.work.setInvalid();
        hdr.cell.setInvalid();
        hdr.state.setInvalid();
    }

    apply {
        if (hdr.unchecked.isValid()) {
            admission.apply(hdr, meta, next);
        } else {
            behind_pass.apply(hdr, next);
        }
        if (next.reason != drop_reason_t.NONE) {
            drop();
        } else if (next.again) {
            send();
        } else {
            renewal.apply(hdr, hdr.bridge.kind);
            if (hdr.result.outcome == collective_outcome_t.RELEASE) {
                replicate();
                leave();
            } else if (hdr.result.outcome == collective_outcome_t.CONTRIBUTE) {
                send();
                leave_upwards();
            } else {
                send();
                leave();
            }
        }
    }
}

control CollectivesIngressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                                   in ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.cell);
        packet.emit(hdr.state);
        EMIT_PASSENGERS(packet, hdr)
    }
}

parser CollectivesEgressParser(packet_in packet, out headers_t hdr, out metadata_t meta,
                               PARSED egress_intrinsic_metadata_t eg_intr_md) {
    CollectiveFrame() frame;

    state start {
        EXTRACT_INTRINSIC(packet, eg_intr_md)
        packet.extract(hdr.work);
        packet.extract(hdr.cell);
        transition select(hdr.work.step) {
            collective_step_t.HARVEST : parse_state;
            collective_step_t.REPLACE : parse_state;
            default                   : parse_bridge;
        }
    }

    state parse_state {
        packet.extract(hdr.state);
        transition parse_bridge;
    }

    state parse_bridge {
        EXTRACT_BRIDGE(packet, hdr)
        packet.extract(hdr.result);
        frame.apply(packet, hdr, hdr.bridge.kind);
        transition select(hdr.incc.flags) {
            0 &&& COLLECTIVE_EMPTY : parse_values;
            default                : accept;
        }
    }

    state parse_values {
        packet.extract(hdr.incc_values);
        transition accept;
    }
}

control CollectivesEgress(inout headers_t hdr, inout metadata_t meta,
                          in egress_intrinsic_metadata_t eg_intr_md,
                          in egress_intrinsic_metadata_from_parser_t eg_prsr_md,
                          inout egress_intrinsic_metadata_for_deparser_t eg_dprsr_md,
                          inout egress_intrinsic_metadata_for_output_port_t eg_oport_md) {
    CollectivePass() collective_pass;

    apply {
        collective_pass.apply(hdr);
    }
}

control CollectivesEgressDeparser(packet_out packet, inout headers_t hdr, in metadata_t meta,
                                  in egress_intrinsic_metadata_for_deparser_t eg_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.cell);
        packet.emit(hdr.state);
        EMIT_PASSENGERS(packet, hdr)
        packet.emit(hdr.incc_values);
    }
}

#ifndef FABRIC_ON_V1MODEL
Pipeline(CollectivesIngressParser(), CollectivesIngress(), CollectivesIngressDeparser(),
         CollectivesEgressParser(), CollectivesEgress(), CollectivesEgressDeparser()) collective_pipe;
#endif

#endif  // FABRIC_TNA_COLLECTIVE_PIPE_P4_
