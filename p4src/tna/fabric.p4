// The fabric's tunnel router for TNA (Tofino 1 and 2), from the stages of the v1model program.
//
// What differs is where a stage is applied and who waits for whom. Stages do not wait for the verdict of those before
// them (arch.p4, verdict.p4), so that independent ones share a stage of the chip. And ingress already takes off the tunnel
// that ends here and rewrites the payload, so that egress parses nothing behind the Ethernet header; what is different
// for each copy (link, encapsulation, packet_in) is put in front in egress, from what the bridge header says.
//
// The longest chain of ingress, on which its number of stages depends:
//
//   0  own_rloc   port_context   classification
//   1  checks (a tunnel that ends here: the inner packet)   domain   site_of_rloc
//   2  instance   map_cache or replication   flow hash   ECN
//   3  spray (another hash)   tunnel   instance_rules
//   4  rloc_set
//   5  mtu   underlay
//   6  verdict
//   7  punt_guard (its register and meter)   payload_rewrite
//   8  punt_guard (what they say)
//   9  where to; drops
//
// Tofino 1 runs tables in the order of the program, and what is behind a condition completely before what comes next:
// so the program is in the order of these lines, and a condition is repeated rather than kept open.
// With collectives (WITH_COLLECTIVES) there is a second pipe beside this one, which has their cells: collective_pipe.p4.
// Of them this one has the group, before the map-cache, which makes the chain one longer; the work order is made beside
// punt_guard. Without, their packets are forwarded like others.
#ifdef WITH_COLLECTIVES
#define WITHOUT_VALUES_IN_INGRESS
#define PIPE_OF_FABRIC forwarding_pipe
#else
#define WITHOUT_COLLECTIVES
#define PIPE_OF_FABRIC pipe
#endif
#include "arch.p4"
#include "../include/sizes.p4"
#include "../include/types.p4"
#include "bridge.p4"
#ifdef WITH_COLLECTIVES
#include "collective_work.p4"
#include "collective_seam.p4"
#endif
#include "../include/headers.p4"
#include "../include/metadata.p4"
#include "../stages/frame.p4"
#include "../stages/port_context.p4"
#include "../stages/tunnel_termination.p4"
#include "payload.p4"
#include "checks.p4"
#include "../stages/domain.p4"
#include "../stages/instance.p4"
#include "../stages/spray.p4"
#include "../stages/map_cache.p4"
#include "../stages/replication.p4"
#include "../stages/tunnel.p4"
#include "../stages/rloc_set.p4"
#include "../stages/mtu.p4"
#include "../stages/underlay.p4"
#include "../stages/replica.p4"
#ifdef WITH_COLLECTIVES
#include "../stages/collective_group.p4"
#include "../stages/collective_copy.p4"
#include "collective_frame.p4"
#include "collective_order.p4"
#include "collective_result.p4"
#endif
#include "../stages/link.p4"
#include "../stages/decapsulation.p4"
#include "payload_rewrite.p4"
#include "../stages/encapsulation.p4"
#include "../stages/packet_in.p4"
#include "verdict.p4"
#include "punt_guard.p4"
#include "parser.p4"

#define BUILD_BRIDGE(kind, name, field)     \
    hdr.bridge_##name.setValid();           \
    hdr.bridge_##name.value = meta.field;

control FabricIngress(inout headers_t hdr, inout metadata_t meta, in ingress_intrinsic_metadata_t ig_intr_md,
                      in ingress_intrinsic_metadata_from_parser_t ig_prsr_md,
                      inout ingress_intrinsic_metadata_for_deparser_t ig_dprsr_md,
                      inout ingress_intrinsic_metadata_for_tm_t ig_tm_md) {
    PortContext()       port_context;
    OwnRloc()           own_rloc;
    SiteOfRloc()        site_of_rloc;
    Classification()    classification;
    AccessCheck()       access_check;
    CoreCheck()         core_check;
    Payload()           payload;
    Domain()            domain;
    Instance()          instance;
    InstanceRules()     instance_rules;
    Spray()             spray;
    MapCache()          map_cache;
    Replication()       replication;
    Tunnel()            tunnel;
    RlocSet()           rloc_set;
    Mtu()               mtu;
    Underlay()          underlay;
    Verdict()           verdict;
    PuntGuard()         punt_guard;
    Decapsulation()     decapsulation;
    InnerRewrite()      inner_rewrite;
    PayloadRewrite()    payload_rewrite;
    RANDOM_SOURCE(random_share, 16)
#ifdef WITH_COLLECTIVES
    CollectiveGroup()   collective_group;
    CollectiveWay()     collective_way;
    CollectiveOrder()   collective_order;
#endif

    // Packets and octets dropped in ingress, by drop_reason_t.
    INDEXED_COUNTER(drops, bit<8>, DROP_COUNTER_SIZE)

    // A sample is taken where the number drawn is below the share.
    bit<16> chance = 0;

    action draw() {
        RANDOM(random_share, chance, 16w0xFFFF)
    }

    action weigh() {
        meta.sample_share = meta.sample_share |-| chance;
    }

    action build_bridge() {
        hdr.bridge.setValid();
        hdr.bridge.origin = ORIGIN_INGRESS;
        hdr.bridge.verdict = meta.verdict;
        hdr.bridge.punt_reason = meta.punt_reason;
        hdr.bridge.kind = meta.payload.kind;
        hdr.bridge_flags.setValid();
        hdr.bridge_flags.terminated = (bit<1>) meta.terminated;
        hdr.bridge_flags.payload_found = (bit<1>) meta.payload_found;
        hdr.bridge_flags.encapsulate = (bit<1>) meta.encapsulate;
        hdr.bridge_flags.rloc_is_ipv6 = (bit<1>) meta.rloc_is_ipv6;
        hdr.bridge_flags.carries_frame = (bit<1>) meta.tunnel.carries_frame;
        BRIDGE_VALUES(BUILD_BRIDGE)
    }

    action drop() {
        COUNT_AT(drops, meta.drop_reason)
        ig_dprsr_md.drop_ctl = 1;
    }

    apply {
        if (ig_prsr_md.parser_err == PARSER_ERROR_OK) {
            meta.parsed_whole = true;
        }
        meta.now = ig_prsr_md.global_tstamp[35:20];

        if (meta.from_cpu && hdr.packet_out.mode != PACKET_OUT_SUBMIT) {
            ig_tm_md.ucast_egress_port = (PortId_t) hdr.packet_out.port;
            ig_tm_md.bypass_egress = 1;
        } else {
            bool ours = false;
            bool overlay = false;
            own_rloc.apply(hdr, meta, ours);
            classification.apply(hdr, meta);
            port_context.apply(hdr, meta);
            if (meta.role == port_role_t.ACCESS) {
                access_check.apply(hdr, meta);
                if (!meta.from_cpu) {
                    domain.apply(hdr, meta);
                } else {
                    meta.site = meta.own_site;
                }
            } else {
                site_of_rloc.apply(hdr, meta);
                core_check.apply(hdr, meta, ours);
            }

            payload.apply(hdr, meta);
            if (meta.role == port_role_t.ACCESS || meta.terminated) {
                overlay = true;
                draw();
                UNLESS_CLEAR(hdr, meta, instance.apply(hdr, meta);)
#ifdef WITH_COLLECTIVES
                if (IS_COLLECTIVE(hdr, meta)) {
                    collective_group.apply(hdr, meta);
                }
                if (IS_OF_GROUP(meta)) {
                    collective_way.apply(hdr, meta);
                } else
#endif
                if (meta.payload.cast == cast_t.UNICAST) {
                    map_cache.apply(hdr, meta);
                } else {
                    replication.apply(hdr, meta);
                }
            } else {
                if (meta.payload.kind == payload_kind_t.IPV6) {
                    meta.rloc_is_ipv6 = true;
                }
                meta.rloc = meta.payload.dst;
            }

            spray.apply(hdr, meta);
            if (overlay) {
                tunnel.apply(hdr, meta);
                UNLESS_CLEAR(hdr, meta, instance_rules.apply(hdr, meta);)
                weigh();
            }
            if (meta.encapsulate && !IS_OF_GROUP(meta)) {
                rloc_set.apply(hdr, meta);
                mtu.apply(hdr, meta, meta.excess);
            }
            if (meta.encapsulate || !overlay) {
                underlay.apply(hdr, meta);
            }
            if (meta.sample_share != 0) {
                ig_dprsr_md.mirror_type = MIRROR_SAMPLE;
                meta.sample_session = SAMPLE_SESSION;
            }
            meta.ingress_port = (fabric_port_t) ig_intr_md.ingress_port;
            inner_rewrite.apply(hdr, meta);
            verdict.apply(meta);
#ifdef WITH_COLLECTIVES
            if (IS_ORDERED(meta)) {
                collective_order.apply(hdr, meta);
            }
#endif
            payload_rewrite.apply(hdr, meta);
            punt_guard.apply(hdr, meta);
            meta.entropy = meta.payload.hash[15:0] | 0xC000;
            build_bridge();
#ifdef WITH_COLLECTIVES
            if (IS_ORDERED(meta)) {
                ig_tm_md.ucast_egress_port = COLLECTIVE_PORT;
                ig_tm_md.bypass_egress = 1;
            } else
#endif
            if (meta.verdict == verdict_t.FORWARD) {
                ig_tm_md.ucast_egress_port = (PortId_t) meta.egress_port;
            } else if (meta.verdict == verdict_t.REPLICATE) {
                ig_tm_md.mcast_grp_a = meta.group;
                ig_tm_md.level2_exclusion_id = ig_intr_md.ingress_port;
            } else if (meta.verdict == verdict_t.PUNT) {
                hdr.bridge_iid.value = meta.iid;
                DISCARD_ORDER(hdr)
                ig_tm_md.ucast_egress_port = CPU_PORT;
            } else {
                drop();
            }
            decapsulation.apply(hdr, meta);
            if (meta.terminated && meta.payload.kind != payload_kind_t.SCALE_UP) {
                hdr.inner_ethernet.setInvalid();
            } else if (meta.terminated) {
                hdr.bridge_flags.inner_frame = 1;
            }
#ifdef WITH_COLLECTIVES
            if (IS_ORDERED(meta)) {
                hdr.inner_ethernet.setInvalid();
                hdr.bridge_flags.inner_frame = 0;
            }
#endif
        }
        hdr.packet_out.setInvalid();
    }
}

control FabricEgress(inout headers_t hdr, inout metadata_t meta, in egress_intrinsic_metadata_t eg_intr_md,
                     in egress_intrinsic_metadata_from_parser_t eg_prsr_md,
                     inout egress_intrinsic_metadata_for_deparser_t eg_dprsr_md,
                     inout egress_intrinsic_metadata_for_output_port_t eg_oport_md) {
    Replica()       replica;
    Link()          link;
    Encapsulation() encapsulation;
    PacketIn()      punt_header;
#ifdef WITH_COLLECTIVES
    CollectiveResult() collective_result;
#endif

    // Copies that were not made, by drop_reason_t.
    INDEXED_COUNTER(pruned_copies, bit<8>, DROP_COUNTER_SIZE)

    action cross_bridge() {
        meta.terminated = (bool) hdr.bridge_flags.terminated;
        meta.payload_found = (bool) hdr.bridge_flags.payload_found;
        meta.tunnel.carries_frame = (bool) hdr.bridge_flags.carries_frame;
        meta.payload.dscp = meta.traffic_class[7:2];
        meta.payload.ecn = meta.traffic_class[1:0];
        meta.egress_port = (fabric_port_t) eg_intr_md.egress_port;
    }

    // A copy's own tunnel is the replica's.
    action cross_tunnel() {
        meta.encapsulate = (bool) hdr.bridge_flags.encapsulate;
        meta.rloc_is_ipv6 = (bool) hdr.bridge_flags.rloc_is_ipv6;
    }

    action prune(drop_reason_t reason) {
        COUNT_AT(pruned_copies, reason)
        eg_dprsr_md.drop_ctl = 1;
    }

    apply {
        if (!hdr.sample.isValid()) {
            cross_bridge();
#ifdef WITH_COLLECTIVES
            if (hdr.result.isValid()) {
                cross_tunnel();
                collective_result.apply(hdr, meta, eg_intr_md.egress_rid);
                if (meta.objections.NO_RLOC == 1) {
                    prune(drop_reason_t.NO_RLOC);
                }
            } else
#endif
            if (meta.verdict == verdict_t.REPLICATE) {
                replica.apply(hdr, meta, eg_intr_md.egress_rid);
                if (meta.objections.SPLIT_HORIZON == 1) {
                    prune(drop_reason_t.SPLIT_HORIZON);
                } else if (meta.objections.TOO_BIG == 1) {
                    prune(drop_reason_t.TOO_BIG);
                } else if (meta.objections.NO_RLOC == 1) {
                    prune(drop_reason_t.NO_RLOC);
                }
            } else {
                cross_tunnel();
            }
            link.apply(hdr, meta);
            encapsulation.apply(hdr, meta);
        }
        punt_header.apply(hdr, meta);
    }
}

#ifdef WITH_COLLECTIVES
#include "collective_pipe.p4"
#endif

#ifndef FABRIC_ON_V1MODEL
Pipeline(FabricIngressParser(), FabricIngress(), FabricIngressDeparser(),
         FabricEgressParser(), FabricEgress(), FabricEgressDeparser()) PIPE_OF_FABRIC;

#ifdef WITH_COLLECTIVES
Switch(PIPE_OF_FABRIC, collective_pipe) main;
#else
Switch(PIPE_OF_FABRIC) main;
#endif
#endif
