// The pipe that has the cells of collectives: registers belong to one pipe, so what comes in at ports of all pipes has to
// meet in one. Its one port in use loops back, and every packet comes from the pipe that forwards, by way of its egress,
// and goes back there: fabric.p4 makes the work order and whatever leaves the switch.
#ifndef FABRIC_TNA_COLLECTIVE_PIPE_P4_
#define FABRIC_TNA_COLLECTIVE_PIPE_P4_

#include "collective_frame.p4"
#include "collective_passes.p4"
#include "collective_renewal.p4"

@pa_auto_init_metadata
struct collective_metadata_t {
    collective_next_t next;
}

#define EXTRACT_BRIDGE(kind, name, field) packet.extract(hdr.bridge_##name);

// The bridge header and the packet's own headers pass through as they are.
#define EMIT_PASSENGERS(packet, hdr)    \
    packet.emit(hdr.bridge);            \
    packet.emit(hdr.bridge_flags);      \
    BRIDGE_VALUES(EMIT_BRIDGE)          \
    packet.emit(hdr.result);            \
    packet.emit(hdr.ethernet);          \
    packet.emit(hdr.scale_up);          \
    packet.emit(hdr.ipv4);              \
    packet.emit(hdr.udp);               \
    packet.emit(hdr.incc);
#ifndef EMIT_BRIDGE
#define EMIT_BRIDGE(kind, name, field)  packet.emit(hdr.bridge_##name);
#endif

parser CollectivesIngressParser(packet_in packet, out headers_t hdr, out collective_metadata_t meta,
                                out ingress_intrinsic_metadata_t ig_intr_md) {
    CollectiveFrame() frame;

    state start {
        packet.extract(ig_intr_md);
        packet.advance(PORT_METADATA_SIZE);
        transition select(ig_intr_md.ingress_port) {
            COLLECTIVE_PORT : parse_work;
            default         : reject;
        }
    }

    state parse_work {
        packet.extract(hdr.work);
        packet.extract(hdr.state);
        packet.extract(hdr.bridge);
        packet.extract(hdr.bridge_flags);
        BRIDGE_VALUES(EXTRACT_BRIDGE)
        frame.apply(packet, hdr, hdr.bridge.kind);
        transition accept;
    }
}

control CollectivesIngress(inout headers_t hdr, inout collective_metadata_t meta,
                           in ingress_intrinsic_metadata_t ig_intr_md,
                           in ingress_intrinsic_metadata_from_parser_t ig_prsr_md,
                           inout ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md,
                           inout ingress_intrinsic_metadata_for_tm_t ig_tm_md) {
    CollectiveNext()    next;
    CollectiveRenewal() renewal;

    // Packets and octets of collectives that went no further, by drop_reason_t.
    Counter<bit<64>, bit<8>>(DROP_COUNTER_SIZE, CounterType_t.PACKETS_AND_BYTES) absorbed;

    action drop() {
        absorbed.count(meta.next.reason);
        ig_dprsr_md.drop_ctl = 1;
    }

    action send() {
        ig_tm_md.ucast_egress_port = meta.next.port;
    }

    action replicate() {
        ig_tm_md.mcast_grp_a = meta.next.replicas;
    }

    action leave() {
        hdr.bridge.origin = ORIGIN_RESULT;
        hdr.bridge_flags.encapsulate = 0;
        hdr.work.setInvalid();
        hdr.state.setInvalid();
    }

    action leave_upwards() {
        hdr.bridge.origin = ORIGIN_RESULT;
        hdr.work.setInvalid();
        hdr.state.setInvalid();
    }

    apply {
        next.apply(hdr, meta.next);
        if (meta.next.reason != drop_reason_t.NONE) {
            drop();
        } else if (meta.next.again) {
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

control CollectivesIngressDeparser(packet_out packet, inout headers_t hdr, in collective_metadata_t meta,
                                   in ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.state);
        EMIT_PASSENGERS(packet, hdr)
    }
}

parser CollectivesEgressParser(packet_in packet, out headers_t hdr, out collective_metadata_t meta,
                               out egress_intrinsic_metadata_t eg_intr_md) {
    CollectiveFrame() frame;

    state start {
        packet.extract(eg_intr_md);
        packet.extract(hdr.work);
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
        packet.extract(hdr.bridge);
        packet.extract(hdr.bridge_flags);
        BRIDGE_VALUES(EXTRACT_BRIDGE)
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

control CollectivesEgress(inout headers_t hdr, inout collective_metadata_t meta,
                          in egress_intrinsic_metadata_t eg_intr_md,
                          in egress_intrinsic_metadata_from_parser_t eg_prsr_md,
                          inout egress_intrinsic_metadata_for_deparser_t eg_dprsr_md,
                          inout egress_intrinsic_metadata_for_output_port_t eg_oport_md) {
    CollectivePass() collective_pass;

    apply {
        collective_pass.apply(hdr);
    }
}

control CollectivesEgressDeparser(packet_out packet, inout headers_t hdr, in collective_metadata_t meta,
                                  in egress_intrinsic_metadata_for_deparser_t eg_dprsr_md) {
    apply {
        packet.emit(hdr.work);
        packet.emit(hdr.state);
        EMIT_PASSENGERS(packet, hdr)
        packet.emit(hdr.incc_values);
    }
}

Pipeline(CollectivesIngressParser(), CollectivesIngress(), CollectivesIngressDeparser(),
         CollectivesEgressParser(), CollectivesEgress(), CollectivesEgressDeparser()) collective_pipe;

#endif  // FABRIC_TNA_COLLECTIVE_PIPE_P4_
