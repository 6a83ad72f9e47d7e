// The tunnel router of TNA on v1model: the same parsers, controls, bridge and verdict as in the chip, each packet passing
// twice. The first pass is TNA's ingress: its deparser puts the bridge in front and the packet is recirculated. The second
// is what follows in the chip: the traffic manager sends or replicates, and egress parses the bridge. Not a program to be
// used, but one that shows, on bmv2 and softswitch, that the TNA program does with a packet what the v1model program does.
#define FABRIC_ON_V1MODEL
#define CPU_PORT 510
#include "arch.p4"
#include "on_v1model/seam.p4"
#include "fabric.p4"

#define LEAVE_BRIDGE(kind, name, field) hdr.bridge_##name.setInvalid();

// Where packets wait for their second pass, and in every fourth port below it: a queue of bmv2 has room for 64, and one
// thread serves those ports in the order of time.
#define LOOPBACK_PORT 509
#define FIELDS_OF_PASS 2
#define INSTANCE_INGRESS_CLONE 1
#define INSTANCE_RECIRCULATED  4

enum bit<8> pass_t {
    INGRESS = 0,
    EGRESS  = 1,
    BYPASS  = 2      // ingress only
}

struct switch_metadata_t {
    // What the traffic manager is told.
    @field_list(FIELDS_OF_PASS)
    PortId_t port;
    @field_list(FIELDS_OF_PASS)
    bit<16>  group;

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

    state start {
        meta.ingress.ingress_port = standard_metadata.ingress_port;
        transition select(standard_metadata.instance_type) {
            INSTANCE_RECIRCULATED : parse_in_egress;
            default               : parse_in_ingress;
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
}

control SwitchVerifyChecksum(inout headers_t hdr, inout switch_metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid(), IPV4_FIELDS(hdr.ipv4), hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control SwitchIngress(inout headers_t hdr, inout switch_metadata_t meta, inout standard_metadata_t standard_metadata) {
    FabricIngress() ingress;

    apply {
        if (standard_metadata.instance_type == INSTANCE_RECIRCULATED) {
            meta.pass = pass_t.EGRESS;
            if (meta.group != 0) {
                standard_metadata.mcast_grp = meta.group;
            } else {
                standard_metadata.egress_spec = meta.port;
            }
        } else {
            ingress_intrinsic_metadata_from_parser_t  from_parser = { 0, 0 };
            ingress_intrinsic_metadata_for_deparser_t for_deparser = { 0, 0 };
            ingress_intrinsic_metadata_for_tm_t       for_tm = { 0, 0, 0, 0 };
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
            if (for_deparser.drop_ctl == 1) {
                mark_to_drop(standard_metadata);
            } else if (for_tm.bypass_egress == 1) {
                meta.pass = pass_t.BYPASS;
                standard_metadata.egress_spec = for_tm.ucast_egress_port;
            } else {
                meta.port = for_tm.ucast_egress_port;
                meta.group = for_tm.mcast_grp_a;
                standard_metadata.egress_spec = LOOPBACK_PORT - (5w0 ++ meta.fabric.payload.hash[3:0] << 2);
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
        } else if (meta.pass == pass_t.INGRESS) {
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
        update_checksum(hdr.ipv4.isValid() && meta.fabric.rewritten == 1, IPV4_FIELDS(hdr.ipv4), hdr.ipv4.checksum,
                        HashAlgorithm.csum16);
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
        EMIT_TO_EGRESS
    }
}

V1Switch(SwitchParser(), SwitchVerifyChecksum(), SwitchIngress(), SwitchEgress(), SwitchComputeChecksum(),
         SwitchDeparser()) main;
