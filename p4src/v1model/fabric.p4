// The fabric's tunnel router for v1model (bmv2, softswitch).
//
//  INGRESS decides                                                              EGRESS rewrites
//
//  parser ─► port_context ─┬─ core ──► tunnel_termination ─┬─ not ours ──┐      decapsulation
//                          │                               │             │           │
//                          └─ access ──────────┐     terminated          │      payload_rewrite
//                                              ▼           ▼             ▼           │
//                                             instance (IID known?)   payload   encapsulation
//                                                          │          (transit)      │
//                                                       payload          │      packet_in
//                                                          │             │           │
//                                                      scale_out         │        layer 2
//                                         ┌────────────────┼────────┐    │           │
//                                      deliver          rloc_set  punt/drop          ▼
//                                         │                │             │       checksums
//                                         │                ▼             │       deparser
//                                         │             underlay ◄───────┘
//                                         └──────► FORWARD ┘
//
// One switch plays every part of the draft's Figure 1: access xTR, border pxTR (decapsulates and encapsulates in one
// pass) and underlay switch; which one follows from its entries alone.

#include "arch.p4"
#include "../include/sizes.p4"
#include "../include/types.p4"
#include "../include/headers.p4"
#include "../include/metadata.p4"
#include "../stages/port_context.p4"
#include "../stages/tunnel_termination.p4"
#include "../stages/instance.p4"
#include "../stages/payload.p4"
#include "../stages/scale_out.p4"
#include "../stages/rloc_set.p4"
#include "../stages/underlay.p4"
#include "../stages/decapsulation.p4"
#include "../stages/payload_rewrite.p4"
#include "../stages/encapsulation.p4"
#include "../stages/packet_in.p4"
#include "parser.p4"
#include "checksums.p4"

control FabricIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    PortContext()       port_context;
    TunnelTermination() tunnel_termination;
    Instance()          instance;
    Payload()           payload;
    ScaleOut()          scale_out;
    RlocSet()           rloc_set;
    Underlay()          underlay;

    // Packets and octets dropped, by drop_reason_t.
    counter(DROP_COUNTER_SIZE, CounterType.packets_and_bytes) drops;

    // A frame of which nothing beyond Ethernet is usable cannot be forwarded, whoever sent it.
    action check_frame() {
        if (!hdr.ethernet.isValid()) {
            FABRIC_DROP(meta, MALFORMED)
        } else if (!meta.checksum_ok) {
            FABRIC_DROP(meta, BAD_CHECKSUM)
        } else if (hdr.ethernet.ether_type != ETHERTYPE_IPV4) {
            FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
        } else if (!hdr.ipv4.isValid() || hdr.ipv4.version != 4 || hdr.ipv4.ihl != 5
                   || hdr.ipv4.total_len < IPV4_HEADER_OCTETS) {
            FABRIC_DROP(meta, MALFORMED)
        }
    }

    apply {
        meta.ingress_port = (fabric_port_t) standard_metadata.ingress_port;
        meta.from_cpu = hdr.packet_out.isValid();
        meta.parsed_whole = standard_metadata.parser_error == error.NoError;
        meta.checksum_ok = standard_metadata.checksum_error == 0;

        if (meta.from_cpu && hdr.packet_out.mode != PACKET_OUT_SUBMIT) {
            meta.egress_port = hdr.packet_out.port;
            meta.verdict = verdict_t.FORWARD;
        } else {
            check_frame();
            if (meta.verdict == verdict_t.UNDECIDED) {
                port_context.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                if (meta.role == port_role_t.ACCESS) {
                    meta.overlay = true;
                    meta.iid = meta.scale_out_iid;
                } else {
                    tunnel_termination.apply(hdr, meta);
                    meta.overlay = meta.terminated;
                }
            }
            if (meta.verdict == verdict_t.UNDECIDED && meta.overlay) {
                instance.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                payload.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                if (meta.overlay) {
                    scale_out.apply(hdr, meta);
                } else {
                    meta.underlay_dst = hdr.ipv4.dst;
                }
            }
            if (meta.verdict == verdict_t.UNDECIDED && meta.encapsulate) {
                rloc_set.apply(hdr, meta);
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                underlay.apply(hdr, meta);
            }
        }

        if (meta.verdict == verdict_t.FORWARD) {
            standard_metadata.egress_spec = (bit<9>) meta.egress_port;
        } else if (meta.verdict == verdict_t.PUNT) {
            standard_metadata.egress_spec = CPU_PORT;
        } else {
            drops.count((bit<32>) (bit<8>) meta.drop_reason);
            mark_to_drop(standard_metadata);
        }
    }
}

control FabricEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    Decapsulation()  decapsulation;
    PayloadRewrite() payload_rewrite;
    InnerChecksum()  inner_checksum;
    Encapsulation()  encapsulation;
    PacketIn()       punt_header;

    apply {
        if (!meta.from_cpu || hdr.packet_out.mode == PACKET_OUT_SUBMIT) {
            decapsulation.apply(hdr, meta);
            bit<16> tos_word = hdr.inner_ipv4.version ++ hdr.inner_ipv4.ihl ++ hdr.inner_ipv4.dscp ++ hdr.inner_ipv4.ecn;
            bit<16> ttl_word = hdr.inner_ipv4.ttl ++ hdr.inner_ipv4.protocol;
            payload_rewrite.apply(hdr, meta);
            if (meta.terminated && meta.payload_found) {
                inner_checksum.apply(hdr, tos_word, ttl_word);
            }
            encapsulation.apply(hdr, meta);
            punt_header.apply(hdr, meta);
            if (meta.verdict == verdict_t.FORWARD) {
                hdr.ethernet.src = meta.port_mac;
                hdr.ethernet.dst = meta.next_hop_mac;
            }
        }
        hdr.packet_out.setInvalid();
    }
}

V1Switch(FabricParser(), FabricVerifyChecksum(), FabricIngress(), FabricEgress(), FabricComputeChecksum(),
         FabricDeparser()) main;
