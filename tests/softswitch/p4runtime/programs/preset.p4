// Tables that the program fills, constant and not, and translated types in digests and registers.
#include <core.p4>
#include <v1model.p4>

@p4runtime_translation("lispfabric.test/port", bit<32>)
type bit<9> port_t;

@p4runtime_translation("lispfabric.test/tenant", string)
type bit<8> tenant_t;

header frame_t {
    bit<8> selector;
    bit<8> tenant;
}

struct headers_t {
    frame_t frame;
}

struct metadata_t {}

struct seen_t {
    port_t ingress_port;
    tenant_t tenant;
    bit<8> selector;
}

parser PresetParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.frame);
        transition accept;
    }
}

control PresetVerify(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control PresetIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    register<tenant_t>(4) last_tenant;
    direct_counter(CounterType.packets) hits;

    action forward(bit<9> port) {
        standard.egress_spec = port;
    }

    action drop() {
        mark_to_drop(standard);
    }

    // Clients can change these.
    table rules {
        key = {
            hdr.frame.selector: ternary;
        }
        actions = {
            forward;
            drop;
        }
        default_action = drop();
        counters = hits;
        entries = {
            0x01: forward(1);
            0x02 &&& 0x0F: forward(2);
        }
    }

    // Clients cannot.
    table fixed {
        key = {
            hdr.frame.selector: ternary;
        }
        actions = {
            forward;
            NoAction;
        }
        default_action = NoAction();
        const entries = {
            0xF0 &&& 0xF0: forward(3);
            0x80 &&& 0x80: forward(4);
        }
    }

    apply {
        last_tenant.write(0, (tenant_t) hdr.frame.tenant);
        digest<seen_t>(1, {(port_t) standard.ingress_port, (tenant_t) hdr.frame.tenant, hdr.frame.selector});
        rules.apply();
        fixed.apply();
    }
}

control PresetEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {}
}

control PresetChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control PresetDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.frame);
    }
}

V1Switch(PresetParser(), PresetVerify(), PresetIngress(), PresetEgress(), PresetChecksum(), PresetDeparser()) main;
