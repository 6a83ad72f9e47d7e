// payload: finds the packet that is being forwarded, and the flow it belongs to. On an access port that is the
// outermost packet, behind a terminated tunnel the inner one, on the underlay the tunnel packet itself; the stages
// after this one need not know which, nor whether it is IPv4, IPv6 or a Scale-Up frame.
#ifndef FABRIC_PAYLOAD_P4_
#define FABRIC_PAYLOAD_P4_

#define TAKE_IPV4(ip)                                     \
    meta.payload.kind = payload_kind_t.IPV4;              \
    meta.payload.src = (eid_t) ip.src;                    \
    meta.payload.dst = (eid_t) ip.dst;                    \
    meta.payload.protocol = ip.protocol;                  \
    meta.payload.total_len = ip.total_len;                \
    meta.payload.ttl = ip.ttl;                            \
    meta.payload.dscp = ip.dscp;                          \
    meta.payload.ecn = ip.ecn;

#define TAKE_IPV6(ip)                                     \
    meta.payload.kind = payload_kind_t.IPV6;              \
    meta.payload.src = ip.src;                            \
    meta.payload.dst = ip.dst;                            \
    meta.payload.protocol = ip.next_header;               \
    meta.payload.total_len = ip.payload_len + IPV6_OCTETS;\
    meta.payload.ttl = ip.hop_limit;                      \
    meta.payload.dscp = ip.dscp;                          \
    meta.payload.ecn = ip.ecn;

// A virtual channel is a class selector to the underlay.
#define TAKE_SCALE_UP(su)                                 \
    meta.payload.kind = payload_kind_t.SCALE_UP;          \
    meta.payload.src = (eid_t) su.src;                    \
    meta.payload.dst = (eid_t) su.dst;                    \
    meta.payload.src_port = su.entropy;                   \
    meta.payload.total_len = su.length + SCALE_UP_OCTETS; \
    meta.payload.ttl = su.hop_limit;                      \
    meta.payload.dscp = su.virtual_channel ++ 3w0;        \
    meta.payload.ecn = su.ecn;                            \
    meta.payload.reorder = (bool) su.reorder;

#define TAKE_PORTS(transport)                             \
    meta.payload.src_port = transport.src_port;           \
    meta.payload.dst_port = transport.dst_port;

control Payload(inout headers_t hdr, inout metadata_t meta) {
    FLOW_HASH(flow_hash)

    action take_ecn(bit<2> ecn) {
        meta.payload.ecn = ecn;
    }

    action ecn_not_capable() FABRIC_DROP(meta, ECN_NOT_CAPABLE)

    // RFC 6040 section 4.2. Constant.
    table ecn_decapsulation {
        key = {
            meta.payload.ecn : exact @name("inner_ecn");
            meta.outer.ecn   : exact @name("outer_ecn");
        }
        actions = { take_ecn; ecn_not_capable; @defaultonly NoAction; }
        const default_action = NoAction();
        const entries = {
            (0, 0) : take_ecn(0);
            (0, 1) : take_ecn(0);
            (0, 2) : take_ecn(0);
            (0, 3) : ecn_not_capable();
            (1, 0) : take_ecn(1);
            (1, 1) : take_ecn(1);
            (1, 2) : take_ecn(1);
            (1, 3) : take_ecn(3);
            (2, 0) : take_ecn(2);
            (2, 1) : take_ecn(1);
            (2, 2) : take_ecn(2);
            (2, 3) : take_ecn(3);
            (3, 0) : take_ecn(3);
            (3, 1) : take_ecn(3);
            (3, 2) : take_ecn(3);
            (3, 3) : take_ecn(3);
        }
    }

    action set_cast(cast_t cast) {
        meta.payload.cast = cast;
    }

    // Constant. Everything else is unicast.
    table cast {
        key = {
            meta.payload.kind : ternary @name("kind");
            meta.payload.dst  : ternary @name("eid");
        }
        actions = { set_cast; @defaultonly NoAction; }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.IPV6, 0xFF02 << 112 &&& 0xFFFF << 112)  : set_cast(cast_t.LINK_LOCAL);
            (payload_kind_t.IPV6, 0xFF << 120 &&& 0xFF << 120)      : set_cast(cast_t.MULTICAST);
            (payload_kind_t.IPV4, 0xFFFFFFFF)                       : set_cast(cast_t.BROADCAST);
            (payload_kind_t.IPV4, 0xE0000000 &&& 0xFFFFFF00)        : set_cast(cast_t.LINK_LOCAL);
            (payload_kind_t.IPV4, 0xE0000000 &&& 0xF0000000)        : set_cast(cast_t.MULTICAST);
            (payload_kind_t.SCALE_UP, 0xFFFFFFFF)                   : set_cast(cast_t.BROADCAST);
            (payload_kind_t.SCALE_UP, 0xF0000000 &&& 0xF0000000)    : set_cast(cast_t.MULTICAST);
        }
        size = 8;
    }

    action take_inner_ipv4()     { TAKE_IPV4(hdr.inner_ipv4) }
    action take_inner_ipv6()     { TAKE_IPV6(hdr.inner_ipv6) }
    action take_inner_scale_up() { TAKE_SCALE_UP(hdr.inner_scale_up) }
    action take_ipv4()           { TAKE_IPV4(hdr.ipv4) }
    action take_ipv6()           { TAKE_IPV6(hdr.ipv6) }
    action take_scale_up()       { TAKE_SCALE_UP(hdr.scale_up) }

    apply {
        if (meta.terminated) {
            if (hdr.inner_ipv4.isValid()) {
                take_inner_ipv4();
            } else if (hdr.inner_ipv6.isValid()) {
                take_inner_ipv6();
            } else {
                take_inner_scale_up();
                if (hdr.inner_scale_up.operation == SCALE_UP_COLLECTIVE
                    && hdr.inner_scale_up.next_header == NEXT_HEADER_COLLECTIVE) {
                    meta.payload.collective = true;
                }
            }
            if (hdr.inner_udp.isValid()) {
                TAKE_PORTS(hdr.inner_udp)
                meta.payload.collective = hdr.inner_udp.dst_port == UDP_PORT_COLLECTIVE;
            } else if (hdr.inner_ports.isValid()) {
                TAKE_PORTS(hdr.inner_ports)
            }
            if (hdr.inner_bth.isValid()) {
                meta.payload.queue_pair = hdr.inner_bth.queue_pair;
            }
            // RFC 9300 section 5.3: the smaller TTL survives, and the outer DSCP.
            SMALLER(meta.payload.ttl, meta.outer.ttl)
            meta.payload.dscp = meta.outer.dscp;
            ecn_decapsulation.apply();
        } else {
            if (hdr.ipv4.isValid()) {
                take_ipv4();
            } else if (hdr.ipv6.isValid()) {
                take_ipv6();
            } else {
                take_scale_up();
                if (hdr.scale_up.operation == SCALE_UP_COLLECTIVE
                    && hdr.scale_up.next_header == NEXT_HEADER_COLLECTIVE) {
                    meta.payload.collective = true;
                }
            }
            if (hdr.udp.isValid()) {
                TAKE_PORTS(hdr.udp)
                meta.payload.collective = hdr.udp.dst_port == UDP_PORT_COLLECTIVE;
            } else if (hdr.ports.isValid()) {
                TAKE_PORTS(hdr.ports)
            }
            if (hdr.bth.isValid()) {
                meta.payload.queue_pair = hdr.bth.queue_pair;
            }
        }
        meta.payload_found = true;
        if (meta.payload.ttl == 0 || meta.payload.ttl == 1) {
            FABRIC_DROP(meta, TTL_EXPIRED)
        }

        cast.apply();

        FLOW_HASH_GET(flow_hash, meta.payload.hash, meta.payload)
        // Every hop hashes the same flow with the same polynomial. Rotated differently on each switch, the bits that
        // one hop chose by are not the bits the next one chooses by, so that no path is starved.
        FLOW_HASH_ROTATE(meta.payload.hash, meta.hash_rotation)
    }
}

#endif  // FABRIC_PAYLOAD_P4_
