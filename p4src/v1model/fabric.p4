// The fabric's tunnel router for v1model (bmv2, softswitch).
//
//  INGRESS decides                                                               EGRESS rewrites
//
//  parser                                                                        replica (each copy: receiver,
//    │                                                                              │     split horizon, mtu)
//  port_context ─► membership (IGMP, MLD: punt)                                   collective_copy (each child's)
//    │                                                                              │
//    │                                                                            link
//    │                                                                              │
//    ├─ core ───► tunnel_termination ─┬─ not ours ────────────────┐              decapsulation
//    │                                │                           │                 │
//    └─ access ─────────────┐    terminated                       │              payload_rewrite
//                           ▼         ▼                           ▼                 │
//                                 payload (what it is, whose flow)               encapsulation
//                           │         │                           │              (collective_rewrite before it)
//                        domain       │                        (transit)         packet_in
//                 (destination: SU/SO)│                           │                 │
//                           └────┬────┘                           │              checksums, deparser
//                         collective_group (a group here?)        │
//                                │                                │
//                             instance (IID known? its limits)    │
//                                │                                │
//          ┌─────────────────────┼─────────────────────────┐      │
//     collective             map_cache                replication │
//   (check, cells,     (Scale-Up: AccID;         (group, broadcast)
//    values, flags)       IP: prefix)                      │      │
//      │    │           │     │     │                      │      │
//      │    │       deliver   │  punt/drop             punt/drop  │
//      │    └──────► tunnel ◄─┴────────────────────────────┘      │
//      │                │  └─ copies, results ─► REPLICATE        │
//    drop/answer    rloc_set  (not a collective's)                │
//                       │                                         │
//                      mtu ─► too big: punt                       │
//      │                           │                              │
//      │                        underlay ◄────────────────────────┘
//      └────────► FORWARD ◄────────┘
//
//  Whatever is to be punted passes punt_guard; whatever is dropped is counted by its reason.
//
// One switch plays every part of the draft's Figure 1: access xTR, border pxTR (decapsulates and encapsulates in one
// pass) and underlay switch; which one follows from its entries alone.

#include "arch.p4"
#include "../include/sizes.p4"
#include "../include/types.p4"
#include "../include/headers.p4"
#include "../include/metadata.p4"
#include "../stages/frame.p4"
#include "../stages/port_context.p4"
#include "../stages/membership.p4"
#include "../stages/frame_check.p4"
#include "../stages/tunnel_termination.p4"
#include "../stages/payload.p4"
#include "../stages/domain.p4"
#include "../stages/instance.p4"
#include "../stages/spray.p4"
#include "../stages/map_cache.p4"
#include "../stages/replication.p4"
#include "../stages/collective_group.p4"
#include "../stages/collective_check.p4"
#include "../stages/collective_outcome.p4"
#include "collective_cells.p4"
#include "collective_values.p4"
#include "../stages/collective.p4"
#include "../stages/tunnel.p4"
#include "../stages/rloc_set.p4"
#include "../stages/mtu.p4"
#include "../stages/underlay.p4"
#include "../stages/replica.p4"
#include "../stages/collective_copy.p4"
#include "../stages/link.p4"
#include "../stages/decapsulation.p4"
#include "../stages/payload_rewrite.p4"
#include "../stages/collective_rewrite.p4"
#include "../stages/encapsulation.p4"
#include "../stages/packet_in.p4"
#include "punt_guard.p4"
#include "parser.p4"
#include "checksums.p4"

control FabricIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    PortContext()       port_context;
    Membership()        membership;
    FrameCheck()        frame_check;
    OwnRloc()           own_rloc;
    TunnelTermination() tunnel_termination;
    Payload()           payload;
    Domain()            domain;
    Instance()          instance;
    InstanceRules()     instance_rules;
    Spray()             spray;
    CollectiveGroup()   collective_group;
    CollectiveCheck()   collective_check;
    Collective()        collective;
    MapCache()          map_cache;
    Replication()       replication;
    Tunnel()            tunnel;
    RlocSet()           rloc_set;
    Mtu()               mtu;
    Underlay()          underlay;
    PuntGuard()         punt_guard;

    // Packets and octets dropped in ingress, by drop_reason_t.
    counter(DROP_COUNTER_SIZE, CounterType.packets_and_bytes) drops;

    apply {
        meta.ingress_port = (fabric_port_t) standard_metadata.ingress_port;
        meta.from_cpu = hdr.packet_out.isValid();
        meta.parsed_whole = standard_metadata.parser_error == error.NoError;
        meta.checksum_wrong = standard_metadata.checksum_error != 0;
        meta.now = standard_metadata.ingress_global_timestamp[25:10];

        if (meta.from_cpu && hdr.packet_out.mode != PACKET_OUT_SUBMIT) {
            meta.egress_port = hdr.packet_out.port;
            meta.verdict = verdict_t.FORWARD;
        } else {
            port_context.apply(hdr, meta);
            if (meta.verdict == verdict_t.UNDECIDED) {
                membership.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                frame_check.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                if (meta.role == port_role_t.ACCESS) {
                    meta.overlay = true;
                } else {
                    bool ours = false;
                    own_rloc.apply(hdr, meta, ours);
                    tunnel_termination.apply(hdr, meta, ours);
                    meta.overlay = meta.terminated;
                }
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                payload.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED && meta.overlay) {
                if (!meta.terminated && !meta.from_cpu) {
                    domain.apply(hdr, meta);
                }
                if (meta.verdict == verdict_t.UNDECIDED && meta.payload.collective) {
                    collective_group.apply(hdr, meta);
                }
                // What the controller clears is no tenant's, and no tenant's limit may get in its way.
                if (meta.verdict == verdict_t.UNDECIDED && meta.collective.outcome != collective_outcome_t.CLEAR) {
                    instance.apply(hdr, meta);
                    if (meta.verdict == verdict_t.UNDECIDED) {
                        instance_rules.apply(hdr, meta);
                        spray.apply(hdr, meta);
                    }
                }
                if (meta.sample_share != 0) {
                    bit<16> chance;
                    RANDOM(random_share, chance, 16w0xFFFF)
                    if (chance <= meta.sample_share) {
                        clone_preserving_field_list(CloneType.I2E, SAMPLE_SESSION, FIELDS_OF_SAMPLE);
                    }
                }
                if (meta.verdict == verdict_t.UNDECIDED) {
                    if (meta.collective.outcome != collective_outcome_t.NONE) {
                        collective_check.apply(hdr, meta);
                        if (meta.verdict == verdict_t.UNDECIDED) {
                            collective.apply(hdr, meta);
                        }
                    } else if (meta.payload.cast == cast_t.UNICAST) {
                        map_cache.apply(hdr, meta);
                    } else {
                        replication.apply(hdr, meta);
                    }
                }
                if (meta.encapsulate || meta.verdict == verdict_t.REPLICATE) {
                    tunnel.apply(hdr, meta);
                }
                // A collective has chosen its locator, and is smaller than any MTU.
                bool packet_of_tenant = meta.collective.outcome == collective_outcome_t.NONE;
                if (meta.verdict == verdict_t.UNDECIDED && packet_of_tenant) {
                    rloc_set.apply(hdr, meta);
                }
                if (meta.verdict == verdict_t.UNDECIDED && packet_of_tenant) {
                    bit<16> excess;
                    mtu.apply(hdr, meta, excess);
                    if (excess != 0 && meta.payload.kind == payload_kind_t.SCALE_UP) {
                        FABRIC_DROP(meta, TOO_BIG)
                    } else if (excess != 0) {
                        meta.encapsulate = false;
                        FABRIC_PUNT(meta, TOO_BIG)
                    }
                }
            } else if (meta.verdict == verdict_t.UNDECIDED) {
                meta.rloc_is_ipv6 = meta.payload.kind == payload_kind_t.IPV6;
                meta.rloc = meta.payload.dst;
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                underlay.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.PUNT) {
                punt_guard.apply(hdr, meta);
            }
        }

        if (meta.verdict == verdict_t.FORWARD) {
            standard_metadata.egress_spec = (bit<9>) meta.egress_port;
        } else if (meta.verdict == verdict_t.REPLICATE) {
            standard_metadata.mcast_grp = meta.group;
        } else if (meta.verdict == verdict_t.PUNT) {
            standard_metadata.egress_spec = CPU_PORT;
        } else {
            drops.count((bit<32>) (bit<8>) meta.drop_reason);
            mark_to_drop(standard_metadata);
        }
    }
}

control FabricEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    Replica()           replica;
    CollectiveCopy()    collective_copy;
    CollectiveRewrite() collective_rewrite;
    Link()              link;
    Decapsulation()  decapsulation;
    PayloadRewrite() payload_rewrite;
    InnerChecksum()  inner_checksum;
    Encapsulation()  encapsulation;
    PacketIn()       punt_header;

    // A packet of a collective has one set of headers, whatever it came in.
    action begin_anew() {
        hdr.inner_scale_up.setInvalid();
        hdr.inner_ipv4.setInvalid();
        hdr.inner_ipv6.setInvalid();
        hdr.inner_udp.setInvalid();
    }

    action move_frame() {
        hdr.ethernet = hdr.inner_ethernet;
        hdr.inner_ethernet.setInvalid();
    }

    // Copies that were not made, by drop_reason_t.
    counter(DROP_COUNTER_SIZE, CounterType.packets_and_bytes) pruned_copies;

    apply {
        if (standard_metadata.instance_type == INSTANCE_INGRESS_CLONE) {
            // The packet as it came in; only the fields of the sample have come along.
            FABRIC_PUNT(meta, SAMPLE)
            punt_header.apply(hdr, meta);
        } else if (!meta.from_cpu || hdr.packet_out.mode == PACKET_OUT_SUBMIT) {
            eid_t collective_eid = meta.payload.dst;
            if (meta.collective.outcome != collective_outcome_t.NONE) {
                collective_copy.apply(hdr, meta, standard_metadata.egress_rid);
            } else
            if (meta.verdict == verdict_t.REPLICATE) {
                meta.egress_port = (fabric_port_t) standard_metadata.egress_port;
                replica.apply(hdr, meta, standard_metadata.egress_rid);
            }
            if (meta.verdict == verdict_t.DROP) {
                pruned_copies.count((bit<32>) (bit<8>) meta.drop_reason);
                mark_to_drop(standard_metadata);
            } else {
                link.apply(hdr, meta);
                decapsulation.apply(hdr, meta);
                bit<16> tos_word = hdr.inner_ipv4.version ++ hdr.inner_ipv4.ihl ++ hdr.inner_ipv4.dscp
                                   ++ hdr.inner_ipv4.ecn;
                bit<16> ttl_word = hdr.inner_ipv4.ttl ++ hdr.inner_ipv4.protocol;
                payload_rewrite.apply(hdr, meta);
                if (meta.terminated && meta.payload_found && hdr.inner_ipv4.isValid()) {
                    inner_checksum.apply(hdr, tos_word, ttl_word);
                }
                if (meta.collective.outcome != collective_outcome_t.NONE) {
                    begin_anew();
                    if (hdr.inner_ethernet.isValid()) {
                        move_frame();
                    }
                    collective_rewrite.apply(hdr, meta, collective_eid);
                }
                encapsulation.apply(hdr, meta);
                punt_header.apply(hdr, meta);
            }
        }
        hdr.packet_out.setInvalid();
    }
}

V1Switch(FabricParser(), FabricVerifyChecksum(), FabricIngress(), FabricEgress(), FabricComputeChecksum(),
         FabricDeparser()) main;
