// A small edge switch that has one of everything P4Runtime can name: every match kind, direct and indexed
// counters and meters, registers, a value set, a digest, a clone session, multicast and packet I/O.
// Compiled with -DNEXT it is the same switch one release later, for the tests of pipeline reconciliation.
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 510;
const bit<32> COPY_TO_CPU = 100;

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header ipv4_t {
    bit<4> version;
    bit<4> ihl;
    bit<8> diffserv;
    bit<16> total_len;
    bit<16> identification;
    bit<3> flags;
    bit<13> frag_offset;
    bit<8> ttl;
    bit<8> protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

@controller_header("packet_in")
header packet_in_t {
    bit<9> ingress_port;
    bit<3> reason;
    bit<4> pad;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9> egress_port;
    bit<7> pad;
}

struct headers_t {
    packet_out_t packet_out;
    packet_in_t packet_in;
    ethernet_t ethernet;
    ipv4_t ipv4;
}

struct learned_t {
    bit<48> address;
    bit<9> port;
}

struct special_t {
    bit<16> ether_type;
    bit<48> dst;
}

struct metadata_t {
    bit<2> color;
    @field_list(1)
    bit<9> ingress_port;
    bit<8> tenant;
}

parser EdgeParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    value_set<bit<16>>(4) routed_types;
    value_set<special_t>(4) special;

    state start {
        transition select(standard.ingress_port) {
            CPU_PORT: from_controller;
            default: ethernet;
        }
    }

    state from_controller {
        packet.extract(hdr.packet_out);
        transition ethernet;
    }

    state ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type, hdr.ethernet.dst) {
            special: accept;
            default: network;
        }
    }

    state network {
        transition select(hdr.ethernet.ether_type) {
            0x0800: ipv4;
            routed_types: ipv4;
            default: accept;
        }
    }

    state ipv4 {
        packet.extract(hdr.ipv4);
        transition accept;
    }
}

control EdgeVerify(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control EdgeIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    direct_counter(CounterType.packets_and_bytes) route_hits;
    direct_counter(CounterType.packets) bridge_hits;
    direct_meter<bit<2>>(MeterType.bytes) police_meter;
    counter(16, CounterType.packets_and_bytes) port_rx;
    meter(8, MeterType.packets) port_meter;
#ifdef NEXT
    register<bit<48>>(8) last_source;
#else
    register<bit<48>>(4) last_source;
#endif
    register<bit<9>>(4) last_port;

    action drop() {
        mark_to_drop(standard);
    }

    action flood(bit<16> group) {
        standard.mcast_grp = group;
    }

    action forward(bit<9> port) {
        standard.egress_spec = port;
    }

#ifdef NEXT
    action route(bit<9> port, bit<48> next_hop) {
        standard.egress_spec = port;
        hdr.ethernet.dst = next_hop;
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        route_hits.count();
    }
#else
    action route(bit<9> port, bit<48> next_hop) {
        standard.egress_spec = port;
        hdr.ethernet.dst = next_hop;
        route_hits.count();
    }
#endif

    action route_drop() {
        mark_to_drop(standard);
        route_hits.count();
    }

    action to_controller(bit<3> reason) {
        standard.egress_spec = CPU_PORT;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = standard.ingress_port;
        hdr.packet_in.reason = reason;
    }

    action copy_to_controller() {
        clone_preserving_field_list(CloneType.I2E, COPY_TO_CPU, 1);
    }

    action learn() {
        digest<learned_t>(1, { hdr.ethernet.src, standard.ingress_port });
    }

    action police() {
        police_meter.read(meta.color);
    }

    action set_tenant(bit<8> tenant) {
        meta.tenant = tenant;
    }

    action remember() {
        last_source.write(0, hdr.ethernet.src);
        last_port.write(0, standard.ingress_port);
    }

    table bridge {
        key = {
            hdr.ethernet.dst: exact;
        }
        actions = {
            forward;
            flood;
            to_controller;
            drop;
            @defaultonly NoAction;
        }
        counters = bridge_hits;
        default_action = drop();
        size = 64;
    }

    table routes {
        key = {
            meta.tenant: exact;
            hdr.ipv4.dst: lpm;
        }
        actions = {
            route;
            route_drop;
        }
        counters = route_hits;
        const default_action = route_drop();
        size = 16;
    }

    table acl {
        key = {
            hdr.ethernet.src: ternary;
            hdr.ipv4.protocol: range;
            hdr.ipv4.src: optional;
            standard.ingress_port: exact;
        }
        actions = {
            drop;
            copy_to_controller;
            to_controller;
            @tableonly police;
            @defaultonly NoAction;
        }
        meters = police_meter;
        default_action = NoAction();
        size = 8;
    }

    table sources {
        key = {
            hdr.ethernet.src: exact;
            standard.ingress_port: exact;
        }
        actions = {
            NoAction;
            learn;
        }
        default_action = learn();
        support_timeout = true;
        size = 32;
    }

    table tenants {
        key = {
            standard.ingress_port: range;
            hdr.ethernet.ether_type: ternary;
        }
        actions = {
            set_tenant;
            NoAction;
        }
        const entries = {
            (1 .. 2, 0x0800 &&& 0xffff): set_tenant(7);
            (1 .. 8, _): set_tenant(8);
        }
        default_action = NoAction();
    }

    table keyless {
        actions = {
            remember;
            NoAction;
        }
        default_action = NoAction();
    }

#ifdef NEXT
    table extra {
        key = {
            hdr.ipv4.isValid(): exact;
        }
        actions = {
            NoAction;
        }
        default_action = NoAction();
    }
#endif

    apply {
        meta.ingress_port = standard.ingress_port;
        port_rx.count((bit<32>) standard.ingress_port & 15);
        port_meter.execute_meter((bit<32>) standard.ingress_port & 7, meta.color);
        if (hdr.packet_out.isValid()) {
            standard.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
        } else {
            keyless.apply();
            tenants.apply();
            sources.apply();
            if (hdr.ipv4.isValid()) {
                routes.apply();
            } else {
                bridge.apply();
            }
            acl.apply();
#ifdef NEXT
            extra.apply();
#endif
        }
    }
}

control EdgeEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        if (standard.instance_type == 1) {
            hdr.packet_in.setValid();
            hdr.packet_in.ingress_port = meta.ingress_port;
            hdr.packet_in.reason = 7;
        }
    }
}

control EdgeChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control EdgeDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.ipv4);
    }
}

V1Switch(EdgeParser(), EdgeVerify(), EdgeIngress(), EdgeEgress(), EdgeChecksum(), EdgeDeparser()) main;
