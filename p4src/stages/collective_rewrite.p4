// collective_rewrite (egress): a packet of a collective is not passed on but begins here. It comes from the group's EID
// and may have become longer or shorter than the packet it was made from. Between switches it goes to that EID as well.
#ifndef FABRIC_COLLECTIVE_REWRITE_P4_
#define FABRIC_COLLECTIVE_REWRITE_P4_

const bit<8> COLLECTIVE_HOP_LIMIT = 64;

#define BEGIN_SCALE_UP(su)                                  \
    meta.payload.total_len = octets + SCALE_UP_OCTETS;      \
    su.src = group[31:0];                                   \
    su.dst = meta.payload.dst[31:0];                        \
    su.hop_limit = COLLECTIVE_HOP_LIMIT;                    \
    su.length = octets;                                     \
    su.sequence = 0;                                        \
    su.tag = 0;

// The architecture computes the checksum.
#define BEGIN_IPV4(ip)                                          \
    meta.payload.total_len = octets + UDP_OCTETS + IPV4_OCTETS; \
    ip.src = group[31:0];                                       \
    ip.dst = meta.payload.dst[31:0];                            \
    ip.ttl = COLLECTIVE_HOP_LIMIT;                              \
    ip.total_len = meta.payload.total_len;                      \
    ip.identification = 0;                                      \
    ip.flags = IPV4_FLAG_DF;

#define BEGIN_IPV6(ip)                                          \
    meta.payload.total_len = octets + UDP_OCTETS + IPV6_OCTETS; \
    ip.src = group;                                             \
    ip.dst = meta.payload.dst;                                  \
    ip.hop_limit = COLLECTIVE_HOP_LIMIT;                        \
    ip.payload_len = octets + UDP_OCTETS;

#define BEGIN_UDP(transport)                        \
    transport.src_port = UDP_PORT_COLLECTIVE;       \
    transport.dst_port = UDP_PORT_COLLECTIVE;       \
    transport.length = octets + UDP_OCTETS;         \
    transport.checksum = 0;

control CollectiveRewrite(inout headers_t hdr, inout metadata_t meta, in eid_t group) {
    bit<16> octets = INCC_OCTETS;

    action begin_scale_up()       { BEGIN_SCALE_UP(hdr.scale_up) }
    @noWarn("invalid-header")
    action begin_ipv4()           { BEGIN_IPV4(hdr.ipv4) BEGIN_UDP(hdr.udp) }
    @noWarn("invalid-header")
    action begin_ipv6()           { BEGIN_IPV6(hdr.ipv6) BEGIN_UDP(hdr.udp) }
    action begin_inner_scale_up() { BEGIN_SCALE_UP(hdr.inner_scale_up) }
    action begin_inner_ipv4()     { BEGIN_IPV4(hdr.inner_ipv4) BEGIN_UDP(hdr.inner_udp) }
    action begin_inner_ipv6()     { BEGIN_IPV6(hdr.inner_ipv6) BEGIN_UDP(hdr.inner_udp) }

    apply {
        hdr.incc.kind = collective_kind_t.RESULT;
        if (meta.collective.outcome == collective_outcome_t.CONTRIBUTE) {
            hdr.incc.kind = collective_kind_t.CONTRIBUTION;
        }
        if (hdr.incc_values.isValid()) {
            octets = INCC_OCTETS + INCC_VALUES_OCTETS;
        } else {
            hdr.incc.flags = hdr.incc.flags | COLLECTIVE_EMPTY;
        }
        if (meta.terminated) {
            if (hdr.inner_scale_up.isValid()) {
                begin_inner_scale_up();
            } else if (hdr.inner_ipv4.isValid()) {
                begin_inner_ipv4();
            } else {
                begin_inner_ipv6();
            }
        } else if (hdr.scale_up.isValid()) {
            begin_scale_up();
        } else if (hdr.ipv4.isValid()) {
            begin_ipv4();
        } else {
            begin_ipv6();
        }
        meta.payload.ttl = COLLECTIVE_HOP_LIMIT;
    }
}

#endif  // FABRIC_COLLECTIVE_REWRITE_P4_
