// A TNA program on v1model: the same parsers, controls and bridge as in the chip. What the chip does in one way through it
// are several here, and between them a packet is recirculated: through ingress, whose deparser puts the bridge in front;
// through egress, behind the traffic manager, which sends or replicates; and where there are collectives, through ingress
// and egress of their pipe. Not a program to be used, but one that shows, on bmv2 and softswitch, that the TNA program
// does with a packet what the v1model program does.
#define FABRIC_ON_V1MODEL
#define CPU_PORT 510
#include "../arch.p4"
#include "seam.p4"
#include "../fabric.p4"

// Where packets wait for what is next, and in every fourth port below it: a queue of bmv2 has room for 64, and one thread
// serves those ports in the order of time. Those of collectives stay in one queue, as in the chip.
#define LOOPBACK_PORT 509
#define FIELDS_OF_PASS 2
#define INSTANCE_INGRESS_CLONE 1
#define INSTANCE_RECIRCULATED  4

#define LEAVE_BRIDGE(kind, name, field) hdr.bridge_##name.setInvalid();

// What a packet that is recirculated comes to.
enum bit<8> next_t {
    EGRESS              = 0,
    COLLECTIVES_INGRESS = 1,
    COLLECTIVES_EGRESS  = 2
}

// What v1model's egress does.
enum bit<8> pass_t {
    RECIRCULATE = 0,
    EGRESS      = 1,
    BYPASS      = 2     // egress is nothing to this packet
}

struct switch_metadata_t {
    // What the traffic manager is told.
    @field_list(FIELDS_OF_PASS)
    PortId_t port;
    @field_list(FIELDS_OF_PASS)
    bit<16>  group;
    @field_list(FIELDS_OF_PASS)
    next_t   next;

    pass_t                       pass;
    metadata_t                   fabric;
    ingress_intrinsic_metadata_t ingress;
    egress_intrinsic_metadata_t  egress;
}

@noWarn("uninitialized-use")
parser SwitchParser(packet_in packet, out headers_t hdr, inout switch_metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    FabricIngressParser() ingress;
    FabricEgressParser()  egress;
#ifdef WITH_COLLECTIVES
    CollectivesIngressParser() collectives_ingress;
    CollectivesEgressParser()  collectives_egress;
#endif

    state start {
        meta.ingress.ingress_port = standard_metadata.ingress_port;
        transition select(standard_metadata.instance_type, meta.next) {
#ifdef WITH_COLLECTIVES
            (INSTANCE_RECIRCULATED, next_t.COLLECTIVES_INGRESS) : parse_in_collectives_ingress;
            (INSTANCE_RECIRCULATED, next_t.COLLECTIVES_EGRESS)  : parse_in_collectives_egress;
#endif
            (INSTANCE_RECIRCULATED, _)                          : parse_in_egress;
            default                                             : parse_in_ingress;
        }
    }

    state parse_in_ingress {
        ingress.apply(packet, hdr, meta.fabric, meta.ingress);
        transition accept;
    }

    state parse_in_egress {
        egress.apply(packet, hdr, meta.fabric, meta.egress);
        transition accept;
    }

#ifdef WITH_COLLECTIVES
    state parse_in_collectives_ingress {
        meta.ingress.ingress_port = COLLECTIVE_PORT;
        collectives_ingress.apply(packet, hdr, meta.fabric, meta.ingress);
        transition accept;
    }

    state parse_in_collectives_egress {
        collectives_egress.apply(packet, hdr, meta.fabric, meta.egress);
        transition accept;
    }
#endif
}

control SwitchVerifyChecksum(inout headers_t hdr, inout switch_metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid(), IPV4_FIELDS(hdr.ipv4), hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

// Where a packet goes that comes out of an ingress.
control TrafficManager(inout switch_metadata_t meta, inout standard_metadata_t standard_metadata,
                       in ingress_intrinsic_metadata_for_deparser_t for_deparser,
                       in ingress_intrinsic_metadata_for_tm_t for_tm) {
    apply {
        meta.port = for_tm.ucast_egress_port;
        meta.group = for_tm.mcast_grp_a;
        meta.next = next_t.EGRESS;
        standard_metadata.egress_spec = LOOPBACK_PORT - (1w0 ++ meta.fabric.payload.hash[5:0] ++ 2w0);
        if (for_deparser.drop_ctl == 1) {
            mark_to_drop(standard_metadata);
#ifdef WITH_COLLECTIVES
        } else if (for_tm.ucast_egress_port == COLLECTIVE_PORT) {
            meta.next = next_t.COLLECTIVES_EGRESS;
            if (for_tm.bypass_egress == 1) {
                meta.next = next_t.COLLECTIVES_INGRESS;
            }
            standard_metadata.egress_spec = LOOPBACK_PORT;
#endif
        } else if (for_tm.bypass_egress == 1) {
            meta.pass = pass_t.BYPASS;
            standard_metadata.egress_spec = for_tm.ucast_egress_port;
        }
    }
}

control SwitchIngress(inout headers_t hdr, inout switch_metadata_t meta, inout standard_metadata_t standard_metadata) {
    FabricIngress()  ingress;
    TrafficManager() traffic_manager;
#ifdef WITH_COLLECTIVES
    CollectivesIngress() collectives_ingress;
    CollectivesEgress()  collectives_egress;
    TrafficManager()     traffic_manager_of_collectives;
#endif

    apply {
        ingress_intrinsic_metadata_from_parser_t  from_parser = { 0, 0 };
        ingress_intrinsic_metadata_for_deparser_t for_deparser = { 0, 0 };
        ingress_intrinsic_metadata_for_tm_t       for_tm = { 0, 0, 0, 0 };
        if (standard_metadata.instance_type != INSTANCE_RECIRCULATED) {
            // Nanoseconds: 1 024 for each microsecond, so that ticks are as long as those of v1model.
            from_parser.global_tstamp = standard_metadata.ingress_global_timestamp << 10;
            if (standard_metadata.parser_error != error.NoError) {
                from_parser.parser_err = 1;
            }
            meta.fabric.checksum_wrong = standard_metadata.checksum_error != 0;
            ingress.apply(hdr, meta.fabric, meta.ingress, from_parser, for_deparser, for_tm);
            if (for_deparser.mirror_type == MIRROR_SAMPLE) {
                clone_preserving_field_list(CloneType.I2E, (bit<32>) meta.fabric.sample_session, FIELDS_OF_SAMPLE);
            }
            traffic_manager.apply(meta, standard_metadata, for_deparser, for_tm);
#ifdef WITH_COLLECTIVES
        } else if (meta.next == next_t.COLLECTIVES_INGRESS) {
            collectives_ingress.apply(hdr, meta.fabric, meta.ingress, from_parser, for_deparser, for_tm);
            traffic_manager_of_collectives.apply(meta, standard_metadata, for_deparser, for_tm);
        } else if (meta.next == next_t.COLLECTIVES_EGRESS) {
            egress_intrinsic_metadata_from_parser_t     from_egress_parser = { 0 };
            egress_intrinsic_metadata_for_deparser_t    for_egress_deparser = { 0 };
            egress_intrinsic_metadata_for_output_port_t for_port = { 0 };
            // The chip's egress drops what it cannot parse, before it comes to a cell.
            if (standard_metadata.parser_error != error.NoError) {
                mark_to_drop(standard_metadata);
            } else {
                collectives_egress.apply(hdr, meta.fabric, meta.egress, from_egress_parser, for_egress_deparser, for_port);
                meta.next = next_t.COLLECTIVES_INGRESS;
                standard_metadata.egress_spec = LOOPBACK_PORT;
            }
#endif
        } else {
            meta.pass = pass_t.EGRESS;
            if (meta.group != 0) {
                standard_metadata.mcast_grp = meta.group;
            } else {
                standard_metadata.egress_spec = meta.port;
            }
        }
    }
}

control SwitchEgress(inout headers_t hdr, inout switch_metadata_t meta, inout standard_metadata_t standard_metadata) {
    FabricEgress() egress;

    // The deparser of egress does not know them.
    action leave_bridge() {
        hdr.sample.setInvalid();
        hdr.bridge.setInvalid();
        hdr.bridge_flags.setInvalid();
        BRIDGE_VALUES(LEAVE_BRIDGE)
    }

    apply {
        if (standard_metadata.instance_type == INSTANCE_INGRESS_CLONE) {
            // The mirror: the packet as it came in, behind the header that the deparser of ingress would put there.
            hdr.sample.setValid();
            hdr.sample.origin = ORIGIN_SAMPLE;
            hdr.sample.ingress_port = meta.fabric.ingress_port;
            hdr.sample.iid = meta.fabric.iid;
            meta.port = standard_metadata.egress_port;
            recirculate_preserving_field_list(FIELDS_OF_PASS);
        } else if (meta.pass == pass_t.RECIRCULATE) {
            recirculate_preserving_field_list(FIELDS_OF_PASS);
        } else if (meta.pass == pass_t.EGRESS) {
            egress_intrinsic_metadata_from_parser_t     from_parser = { 0 };
            egress_intrinsic_metadata_for_deparser_t    for_deparser = { 0 };
            egress_intrinsic_metadata_for_output_port_t for_port = { 0 };
            meta.egress.egress_port = standard_metadata.egress_port;
            meta.egress.egress_rid = standard_metadata.egress_rid;
            egress.apply(hdr, meta.fabric, meta.egress, from_parser, for_deparser, for_port);
            leave_bridge();
            if (for_deparser.drop_ctl == 1) {
                mark_to_drop(standard_metadata);
            }
        }
    }
}

// Those of both deparsers; whichever does not run has none of these headers. A mirrored packet is not touched.
control SwitchComputeChecksum(inout headers_t hdr, inout switch_metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid() && (meta.fabric.rewritten == 1 || meta.pass == pass_t.EGRESS),
                        IPV4_FIELDS(hdr.ipv4), hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(!hdr.sample.isValid() && hdr.inner_ipv4.isValid(),
                        IPV4_REWRITTEN(hdr.inner_ipv4, meta.fabric.inner_residual), hdr.inner_ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(hdr.encap_ipv4.isValid(), IPV4_FIELDS(hdr.encap_ipv4), hdr.encap_ipv4.checksum,
                        HashAlgorithm.csum16);
    }
}

control SwitchDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.sample);
        packet.emit(hdr.packet_out);    // a mirrored packet of the controller has it still
        packet.emit(hdr.packet_in);
        packet.emit(hdr.link);
        packet.emit(hdr.encap_ipv4);
        packet.emit(hdr.encap_ipv6);
        packet.emit(hdr.encap_udp);
        packet.emit(hdr.encap_tunnel);
        packet.emit(hdr.encap_ethernet);
        EMIT_ORDER(packet, hdr)
#ifdef WITH_COLLECTIVES
        packet.emit(hdr.cell);
        packet.emit(hdr.state);
#endif
        EMIT_BRIDGE(packet, hdr)
#ifdef WITH_COLLECTIVES
        packet.emit(hdr.result);
#endif
        EMIT_PACKET(packet, hdr)
#ifdef WITH_COLLECTIVES
        packet.emit(hdr.incc_values);
#endif
    }
}

V1Switch(SwitchParser(), SwitchVerifyChecksum(), SwitchIngress(), SwitchEgress(), SwitchComputeChecksum(),
         SwitchDeparser()) main;
