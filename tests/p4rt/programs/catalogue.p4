// A program with one of everything that P4Runtime can name, for the tests of the P4Runtime client.
//
// Every packet enters from the controller (a packet-out) and every outcome returns to it (a packet-in that
// carries `mark`, the number the deciding action gave, and `replica`, the replication instance), so that a
// test needs no network interface.
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 255;
const bit<16> TYPE_IPV4 = 0x0800;
const bit<16> TYPE_IPV6 = 0x86dd;

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

header ipv4_t {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<3>  flags;
    bit<13> frag_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

header ipv6_t {
    bit<4>   version;
    bit<8>   traffic_class;
    bit<20>  flow_label;
    bit<16>  payload_len;
    bit<8>   next_header;
    bit<8>   hop_limit;
    bit<128> src;
    bit<128> dst;
}

@controller_header("packet_in")
header packet_in_t {
    bit<9>  ingress_port;
    bit<7>  _pad;
    bit<16> mark;
    bit<16> replica;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9>  egress_port;      // 0: the tables decide
    bit<7>  _pad;
    bit<16> multicast_group;  // 0: none
    bit<16> vrf;
}

struct headers_t {
    packet_in_t  packet_in;
    packet_out_t packet_out;
    ethernet_t   ethernet;
    ipv4_t       ipv4;
    ipv6_t       ipv6;
}

struct metadata_t {
    bit<16> vrf;
    bit<16> nexthop;
    @field_list(1)
    bit<16> mark;
}

struct learn_t {
    bit<48> mac;
    bit<9>  port;
}

parser CatalogueParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                       inout standard_metadata_t standard) {
    value_set<bit<16>>(4) tunnel_types;

    state start {
        transition select(standard.ingress_port) {
            CPU_PORT: parse_packet_out;
            default: parse_ethernet;
        }
    }
    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition parse_ethernet;
    }
    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) {
            TYPE_IPV4: parse_ipv4;
            TYPE_IPV6: parse_ipv6;
            tunnel_types: parse_ipv4;
            default: accept;
        }
    }
    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        transition accept;
    }
    state parse_ipv6 {
        packet.extract(hdr.ipv6);
        transition accept;
    }
}

control CatalogueVerify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control CatalogueIngress(inout headers_t hdr, inout metadata_t meta,
                         inout standard_metadata_t standard) {
    counter(64, CounterType.packets_and_bytes) vrf_packets;
    direct_counter(CounterType.packets_and_bytes) port_packets;
    direct_meter<bit<2>>(MeterType.packets) acl_rate;
    meter(16, MeterType.bytes) vrf_rate;
    register<bit<32>>(8) seen;
    action_selector(HashAlgorithm.crc16, 128, 16) nexthop_selector;
    action_profile(32) tag_profile;
    bit<2> color = 0;

    action drop() { mark_to_drop(standard); }

    action deliver(bit<9> port, bit<16> mark) {
        standard.egress_spec = port;
        meta.mark = mark;
    }

    action replicate(bit<16> group, bit<16> mark) {
        standard.mcast_grp = group;
        meta.mark = mark;
    }

    action set_vrf(bit<16> vrf) {
        meta.vrf = vrf;
        port_packets.count();
    }

    action set_nexthop(bit<16> nexthop) { meta.nexthop = nexthop; }

    action copy_to_cpu(bit<16> mark) {
        meta.mark = mark;
        clone_preserving_field_list(CloneType.I2E, 7, 1);
    }

    action learn() { digest<learn_t>(1, { hdr.ethernet.src, standard.ingress_port }); }

    action limit() { acl_rate.read(color); }

    action tag(bit<16> value) { meta.mark = value; }

    // exact, with a direct counter
    table ports {
        key = { standard.ingress_port: exact @name("port"); meta.vrf: exact @name("vrf"); }
        actions = { set_vrf; @defaultonly NoAction; }
        counters = port_packets;
        const default_action = NoAction();
        size = 64;
    }

    // ternary, range and optional, with a direct meter; ageing
    table acl {
        key = {
            hdr.ethernet.src: ternary @name("src");
            hdr.ethernet.type: range @name("type");
            meta.vrf: optional @name("vrf");
            hdr.ethernet.dst: ternary @name("dst");
        }
        actions = { drop; learn; copy_to_cpu; limit; NoAction; }
        default_action = NoAction();
        meters = acl_rate;
        size = 64;
    }

    // exact and longest prefix, with a default action that the controller may change
    table routes4 {
        key = { meta.vrf: exact @name("vrf"); hdr.ipv4.dst: lpm @name("dst"); }
        actions = { set_nexthop; deliver; replicate; drop; }
        default_action = drop();
        support_timeout = true;
        size = 1024;
    }

    table routes6 {
        key = { meta.vrf: exact @name("vrf"); hdr.ipv6.dst: lpm @name("dst"); }
        actions = { set_nexthop; deliver; replicate; drop; }
        default_action = drop();
        size = 65536;
    }

    table nexthops {
        key = {
            meta.nexthop: exact @name("nexthop");
            hdr.ipv4.src: selector;
            hdr.ipv4.identification: selector;
        }
        actions = { deliver; replicate; NoAction; }
        implementation = nexthop_selector;
        size = 64;
    }

    table tags {
        key = { hdr.ipv4.tos: exact @name("tos"); }
        actions = { tag; NoAction; }
        implementation = tag_profile;
        size = 16;
    }

    // never touched by a controller
    table reserved {
        key = { hdr.ethernet.dst: ternary @name("dst"); }
        actions = { drop; NoAction; }
        const default_action = NoAction();
        const entries = {
            0x0180c2000000 &&& 0xfffffffffff0: drop();
        }
    }

    apply {
        if (hdr.packet_out.isValid()) {
            meta.vrf = hdr.packet_out.vrf;
        }
        if (hdr.packet_out.isValid() && hdr.packet_out.egress_port != 0) {
            standard.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
        } else if (hdr.packet_out.isValid() && hdr.packet_out.multicast_group != 0) {
            standard.mcast_grp = hdr.packet_out.multicast_group;
            hdr.packet_out.setInvalid();
        } else {
            hdr.packet_out.setInvalid();
            reserved.apply();
            ports.apply();
            vrf_packets.count((bit<32>) meta.vrf);
            vrf_rate.execute_meter<bit<2>>((bit<32>) meta.vrf, color);
            seen.write(0, (bit<32>) meta.vrf);
            acl.apply();
            if (hdr.ipv4.isValid()) {
                routes4.apply();
                if (meta.nexthop != 0) {
                    nexthops.apply();
                }
                tags.apply();
            } else if (hdr.ipv6.isValid()) {
                routes6.apply();
            } else {
                drop();
            }
        }
    }
}

control CatalogueEgress(inout headers_t hdr, inout metadata_t meta,
                        inout standard_metadata_t standard) {
    apply {
        if (standard.egress_port == CPU_PORT) {
            hdr.packet_in.setValid();
            hdr.packet_in.ingress_port = standard.ingress_port;
            hdr.packet_in._pad = 0;
            hdr.packet_in.mark = meta.mark;
            hdr.packet_in.replica = standard.egress_rid;
        }
    }
}

control CatalogueChecksum(inout headers_t hdr, inout metadata_t meta) { apply { } }

control CatalogueDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv6);
    }
}

V1Switch(CatalogueParser(), CatalogueVerify(), CatalogueIngress(), CatalogueEgress(), CatalogueChecksum(),
         CatalogueDeparser()) main;
