// Load balancing with an action profile and an action selector, for the tests of members, groups and one-shots.
#include <core.p4>
#include <v1model.p4>

header frame_t {
    bit<8> flow;
    bit<8> service;
    bit<16> label;
}

struct headers_t {
    frame_t frame;
}

struct metadata_t {}

parser BalanceParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.frame);
        transition accept;
    }
}

control BalanceVerify(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control BalanceIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    action_profile(4) labels;
    @max_group_size(6)
    action_selector(HashAlgorithm.crc32, 32, 16) paths;
    @selector_size_semantics("sum_of_members")
    @max_group_size(3)
    @max_member_weight(10)
    action_selector(HashAlgorithm.crc16, 32, 16) uplinks;

    action drop() {
        mark_to_drop(standard);
    }

    action forward(bit<9> port) {
        standard.egress_spec = port;
    }

    action set_label(bit<16> label) {
        hdr.frame.label = label;
    }

    table service {
        key = {
            hdr.frame.service: exact;
            hdr.frame.flow: selector;
        }
        actions = {
            forward;
            drop;
        }
        implementation = paths;
        size = 16;
    }

    table backup {
        key = {
            hdr.frame.label: exact;
            hdr.frame.flow: selector;
        }
        actions = {
            forward;
            drop;
        }
        implementation = uplinks;
        size = 16;
    }

    table label {
        key = {
            hdr.frame.service: exact;
        }
        actions = {
            set_label;
            NoAction;
        }
        implementation = labels;
        size = 16;
    }

    apply {
        label.apply();
        if (!service.apply().hit) {
            backup.apply();
        }
    }
}

control BalanceEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {}
}

control BalanceChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control BalanceDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.frame);
    }
}

V1Switch(BalanceParser(), BalanceVerify(), BalanceIngress(), BalanceEgress(), BalanceChecksum(), BalanceDeparser()) main;
