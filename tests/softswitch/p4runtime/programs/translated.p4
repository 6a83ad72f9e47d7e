// User-defined types that the control plane sees otherwise than the data plane, for the tests of translation.
#include <core.p4>
#include <v1model.p4>

@p4runtime_translation("lispfabric.test/port", 32)
type bit<9> port_t;

@p4runtime_translation("lispfabric.test/vrf", string)
type bit<4> vrf_t;

type bit<16> label_t;

header frame_t {
    bit<8> selector;
    label_t label;
}

@controller_header("packet_in")
header packet_in_t {
    port_t ingress_port;
    bit<7> pad;
}

struct headers_t {
    packet_in_t packet_in;
    frame_t frame;
}

struct metadata_t {
    vrf_t vrf;
    port_t ingress_port;
}

parser TranslatedParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.frame);
        transition accept;
    }
}

control TranslatedVerify(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control TranslatedIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    register<label_t>(4) labels;

    action set_vrf(vrf_t vrf) {
        meta.vrf = vrf;
    }

    action forward(port_t port) {
        standard.egress_spec = (bit<9>) port;
    }

    action report() {
        standard.egress_spec = 510;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = meta.ingress_port;
    }

    table classify {
        key = {
            meta.ingress_port: exact;
        }
        actions = {
            set_vrf;
            NoAction;
        }
        default_action = NoAction();
    }

    table route {
        key = {
            meta.vrf: exact;
            hdr.frame.label: ternary;
        }
        actions = {
            forward;
            report;
            NoAction;
        }
        default_action = NoAction();
    }

    apply {
        meta.ingress_port = (port_t) standard.ingress_port;
        labels.write(0, hdr.frame.label);
        classify.apply();
        route.apply();
    }
}

control TranslatedEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {}
}

control TranslatedChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control TranslatedDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.frame);
    }
}

V1Switch(TranslatedParser(), TranslatedVerify(), TranslatedIngress(), TranslatedEgress(), TranslatedChecksum(), TranslatedDeparser()) main;
