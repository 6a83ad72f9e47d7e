// Action profiles and selectors, and entries that time out.
#include <core.p4>
#include <v1model.p4>

header flow_t {
    bit<8>  table_number;
    bit<8>  destination;
    bit<32> entropy;
    bit<8>  answer;
}

struct headers_t {
    flow_t flow;
}

struct metadata_t { }

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.flow);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    action answer(bit<8> value) {
        headers.flow.answer = value;
    }
    action drop() {
        mark_to_drop(standard);
    }

    action_profile(16) profile;
    table shared_one {
        key = { headers.flow.destination: exact; }
        actions = { answer; drop; }
        implementation = profile;
    }
    action_selector(HashAlgorithm.crc16, 32w64, 32w16) balancer;
    table balanced {
        key = {
            headers.flow.destination: exact;
            headers.flow.entropy: selector;
        }
        actions = { answer; drop; NoAction; }
        implementation = balancer;
    }
    table ageing {
        key = { headers.flow.destination: exact; }
        actions = { answer; NoAction; }
        support_timeout = true;
    }

    apply {
        standard.egress_spec = 1;
        if (headers.flow.table_number == 0) {
            shared_one.apply();
        } else if (headers.flow.table_number == 1) {
            if (balanced.apply().hit) {
                headers.flow.table_number = 0x81;
            }
        } else {
            ageing.apply();
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.flow);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
