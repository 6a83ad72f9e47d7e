// What becomes of packets: unicast, multicast, clones, resubmission, recirculation, truncation, digests, the
// controller's port. Every packet that leaves tells how it came about.
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 255;

@controller_header("packet_in")
header packet_in_t {
    bit<9> ingress_port;
    bit<7> reason;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9> egress_port;
    bit<7> padding;
}

header command_t {
    bit<8>  op;
    bit<8>  argument;
    bit<8>  kept;       // metadata that a copy was to keep
    bit<8>  lost;       // metadata that it was not to keep
    bit<8>  instance_type;
    bit<16> replica;
    bit<16> length;
    bit<8>  passes;
}

struct headers_t {
    packet_in_t  packet_in;
    packet_out_t packet_out;
    command_t    command;
}

struct metadata_t {
    @field_list(1)
    bit<8> kept;
    bit<8> lost;
}

struct sample_t {
    bit<8> argument;
    bit<9> port;
}

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        transition select(standard.ingress_port) {
            CPU_PORT: from_controller;
            default: command;
        }
    }
    state from_controller {
        packet.extract(headers.packet_out);
        transition command;
    }
    state command {
        packet.extract(headers.command);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        bit<8> op = headers.command.op;
        headers.command.kept = meta.kept;
        headers.command.lost = meta.lost;
        headers.command.passes = headers.command.passes + 1;
        meta.kept = 0x11;
        meta.lost = 0x22;
        if (headers.packet_out.isValid()) {
            standard.egress_spec = headers.packet_out.egress_port;
            headers.packet_out.setInvalid();
        } else if (op == 0) {
            standard.egress_spec = (bit<9>)headers.command.argument;
        } else if (op == 1) {
            standard.mcast_grp = (bit<16>)headers.command.argument;
        } else if (op == 2) {
            mark_to_drop(standard);
        } else if (op == 3) {
            standard.egress_spec = 2;
            clone_preserving_field_list(CloneType.I2E, (bit<32>)headers.command.argument, 1);
        } else if (op == 4) {
            standard.egress_spec = 2;
        } else if (op == 5) {
            standard.egress_spec = 2;
            if (standard.instance_type == 0) {
                resubmit_preserving_field_list(1);
            }
        } else if (op == 6) {
            standard.egress_spec = 2;
        } else if (op == 7) {
            standard.egress_spec = 2;
            truncate((bit<32>)headers.command.argument);
        } else if (op == 8) {
            standard.egress_spec = 2;
            digest<sample_t>(1, { headers.command.argument, standard.ingress_port });
        } else if (op == 9) {
            standard.egress_spec = CPU_PORT;
            headers.packet_in.setValid();
            headers.packet_in.ingress_port = standard.ingress_port;
            headers.packet_in.reason = 5;
        } else if (op == 10) {
            standard.mcast_grp = 1;
            mark_to_drop(standard);
        } else if (op == 11) {
            mark_to_drop(standard);
            standard.mcast_grp = (bit<16>)headers.command.argument;
        } else if (op == 12) {
            resubmit_preserving_field_list(1);
        } else if (op == 13) {
            standard.egress_spec = 2;
            standard.priority = 1;
        } else if (op == 14) {
            standard.egress_spec = 2;
        } else if (op == 15) {
            mark_to_drop(standard);
            clone(CloneType.I2E, (bit<32>)headers.command.argument);
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        bit<8> op = headers.command.op;
        headers.command.instance_type = (bit<8>)standard.instance_type;
        headers.command.replica = standard.egress_rid;
        headers.command.length = (bit<16>)standard.packet_length;
        if (standard.instance_type == 1 || standard.instance_type == 2) {
            headers.command.kept = meta.kept;
            headers.command.lost = meta.lost;
        } else if (op == 4) {
            clone_preserving_field_list(CloneType.E2E, (bit<32>)headers.command.argument, 1);
        } else if (op == 6) {
            if (headers.command.passes < headers.command.argument) {
                recirculate_preserving_field_list(1);
            }
        } else if (op == 14) {
            mark_to_drop(standard);
        }
    }
}

control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.packet_in);
        packet.emit(headers.command);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
