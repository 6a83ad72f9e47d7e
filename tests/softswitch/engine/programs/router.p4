// An IPv4 router: longest prefix, next hop, neighbour, checksum, counters.
#include <core.p4>
#include <v1model.p4>

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    bit<16> type;
}

header ipv4_t {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  dscp;
    bit<16> total_length;
    bit<16> identification;
    bit<3>  flags;
    bit<13> fragment;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> source;
    bit<32> destination;
}

header udp_t {
    bit<16> source;
    bit<16> destination;
    bit<16> length;
    bit<16> checksum;
}

struct headers_t {
    ethernet_t ethernet;
    ipv4_t     ipv4;
    udp_t      udp;
}

struct metadata_t {
    bit<16> next_hop;
}

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.ethernet);
        transition select(headers.ethernet.type) {
            0x0800: ipv4;
            default: accept;
        }
    }
    state ipv4 {
        packet.extract(headers.ipv4);
        transition select(headers.ipv4.fragment, headers.ipv4.protocol) {
            (0, 17): udp;
            default: accept;
        }
    }
    state udp {
        packet.extract(headers.udp);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) {
    apply {
        verify_checksum(headers.ipv4.isValid(),
            { headers.ipv4.version, headers.ipv4.ihl, headers.ipv4.dscp, headers.ipv4.total_length,
              headers.ipv4.identification, headers.ipv4.flags, headers.ipv4.fragment, headers.ipv4.ttl,
              headers.ipv4.protocol, headers.ipv4.source, headers.ipv4.destination },
            headers.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    direct_counter(CounterType.packets_and_bytes) route_counter;
    counter(4, CounterType.packets_and_bytes) drops;

    action discard(bit<32> reason) {
        drops.count(reason);
        mark_to_drop(standard);
    }
    action route_to(bit<16> next_hop) {
        meta.next_hop = next_hop;
        headers.ipv4.ttl = headers.ipv4.ttl - 1;
    }
    table routes {
        key = { headers.ipv4.destination: lpm; }
        actions = { route_to; discard; }
        const default_action = discard(1);
        counters = route_counter;
        size = 4096;
    }

    action forward(bit<9> port, bit<48> mac) {
        standard.egress_spec = port;
        headers.ethernet.destination = mac;
    }
    table next_hops {
        key = { meta.next_hop: exact; }
        actions = { forward; discard; }
        default_action = discard(2);
        size = 1024;
    }

    apply {
        if (headers.ipv4.isValid() && headers.ipv4.ttl > 1 && standard.checksum_error == 0) {
            if (routes.apply().hit) {
                next_hops.apply();
            }
        } else {
            discard(3);
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    action rewrite_source(bit<48> mac) {
        headers.ethernet.source = mac;
    }
    table port_addresses {
        key = { standard.egress_port: exact; }
        actions = { rewrite_source; NoAction; }
        default_action = NoAction();
    }
    apply {
        port_addresses.apply();
    }
}

control Update(inout headers_t headers, inout metadata_t meta) {
    apply {
        update_checksum(headers.ipv4.isValid(),
            { headers.ipv4.version, headers.ipv4.ihl, headers.ipv4.dscp, headers.ipv4.total_length,
              headers.ipv4.identification, headers.ipv4.flags, headers.ipv4.fragment, headers.ipv4.ttl,
              headers.ipv4.protocol, headers.ipv4.source, headers.ipv4.destination },
            headers.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(headers.udp.isValid(),
            { headers.ipv4.source, headers.ipv4.destination, 8w0, headers.ipv4.protocol, headers.udp.length,
              headers.udp.source, headers.udp.destination, headers.udp.length },
            headers.udp.checksum, HashAlgorithm.csum16);
    }
}

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.ethernet);
        packet.emit(headers.ipv4);
        packet.emit(headers.udp);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
