// payload: finds the packet that is being forwarded, and the flow it belongs to, as stages/payload.p4 does for v1model.
// The parser has copied the outermost packet to meta.payload and the one in a tunnel to meta.inner; here the two words that
// hold traffic classes are taken apart. The inner packet takes the place of the outer one when the tunnel ends here
// (TAKE_INNER in arch.p4).
#ifndef FABRIC_TNA_PAYLOAD_P4_
#define FABRIC_TNA_PAYLOAD_P4_

#define CAST_ENTRIES(set)                                                           \
    const entries = {                                                               \
        (payload_kind_t.IPV6, 0xFF02, _)                        : set(cast_t.LINK_LOCAL); \
        (payload_kind_t.IPV6, 0xFF00 &&& 0xFF00, _)             : set(cast_t.MULTICAST);  \
        (payload_kind_t.IPV4, _, 0xFFFFFFFF)                    : set(cast_t.BROADCAST);  \
        (payload_kind_t.IPV4, _, 0xE0000000 &&& 0xFFFFFF00)     : set(cast_t.LINK_LOCAL); \
        (payload_kind_t.IPV4, _, 0xE0000000 &&& 0xF0000000)     : set(cast_t.MULTICAST);  \
        (payload_kind_t.SCALE_UP, _, 0xFFFFFFFF)                : set(cast_t.BROADCAST);  \
        (payload_kind_t.SCALE_UP, _, 0xF0000000 &&& 0xF0000000) : set(cast_t.MULTICAST);  \
    }

// What both packets are, before it is known which of them is forwarded. Sound is an IP header of the right version, IPv4
// without options and long enough for its own header, or a Scale-Up header of the right version.
control Classification(inout headers_t hdr, inout metadata_t meta) {
    action read_ipv4() {
        meta.traffic_class = meta.payload_word & 0x00FF;
        meta.sound = true;
    }

    action read_ipv6() {
        meta.traffic_class[7:0] = meta.payload_word[11:4];
        meta.payload.total_len = meta.payload.total_len + IPV6_OCTETS;
        meta.sound = true;
    }

    // A virtual channel is a class selector to the underlay.
    action read_scale_up() {
        meta.traffic_class = meta.payload_word & 0x00E3;
        meta.payload.total_len = meta.payload.total_len + SCALE_UP_OCTETS;
        meta.sound = true;
    }

    action read_reordered_scale_up() {
        meta.traffic_class = meta.payload_word & 0x00E3;
        meta.payload.total_len = meta.payload.total_len + SCALE_UP_OCTETS;
        meta.payload.reorder = true;
        meta.sound = true;
    }

    @hidden
    table outermost {
        key = {
            meta.payload.kind      : ternary;
            meta.payload_word      : ternary;
            meta.payload.total_len : ternary;
        }
        actions = { NoAction; read_ipv4; read_ipv6; read_scale_up; read_reordered_scale_up; }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.IPV4, _, 0 &&& 0xFFF0)                  : NoAction();
            (payload_kind_t.IPV4, _, 16 &&& 0xFFFC)                 : NoAction();
            (payload_kind_t.IPV4, 0x4500 &&& 0xFF00, _)             : read_ipv4();
            (payload_kind_t.IPV6, 0x6000 &&& 0xF000, _)             : read_ipv6();
            (payload_kind_t.SCALE_UP, 0x1000 &&& 0xF010, _)         : read_scale_up();
            (payload_kind_t.SCALE_UP, 0x1010 &&& 0xF010, _)         : read_reordered_scale_up();
        }
        size = 8;
    }

    action read_inner_ipv4() {
        meta.inner_sound = true;
    }

    action read_inner_ipv6() {
        meta.inner.total_len = meta.inner.total_len + IPV6_OCTETS;
        meta.inner_sound = true;
    }

    action read_inner_scale_up() {
        meta.inner.total_len = meta.inner.total_len + SCALE_UP_OCTETS;
        meta.inner_sound = true;
    }

    action read_inner_reordered_scale_up() {
        meta.inner.total_len = meta.inner.total_len + SCALE_UP_OCTETS;
        meta.inner.reorder = true;
        meta.inner_sound = true;
    }

    @hidden
    table inner {
        key = {
            meta.inner.kind      : ternary;
            meta.inner_word      : ternary;
            meta.inner.total_len : ternary;
        }
        actions = { NoAction; read_inner_ipv4; read_inner_ipv6; read_inner_scale_up; read_inner_reordered_scale_up; }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.IPV4, _, 0 &&& 0xFFF0)                  : NoAction();
            (payload_kind_t.IPV4, _, 16 &&& 0xFFFC)                 : NoAction();
            (payload_kind_t.IPV4, 0x4500 &&& 0xFF00, _)             : read_inner_ipv4();
            (payload_kind_t.IPV6, 0x6000 &&& 0xF000, _)             : read_inner_ipv6();
            (payload_kind_t.SCALE_UP, 0x1000 &&& 0xF010, _)         : read_inner_scale_up();
            (payload_kind_t.SCALE_UP, 0x1010 &&& 0xF010, _)         : read_inner_reordered_scale_up();
        }
        size = 8;
    }

    action set_cast(cast_t cast) {
        meta.payload.cast = cast;
    }

    // Constant. Everything else is unicast.
    @hidden
    table cast {
        key = {
            meta.payload.kind         : ternary;
            meta.payload.dst[127:112] : ternary;
            meta.payload.dst[31:0]    : ternary;
        }
        actions = { set_cast; NoAction; }
        const default_action = NoAction();
        CAST_ENTRIES(set_cast)
        size = 8;
    }

    action set_inner_cast(cast_t cast) {
        meta.inner.cast = cast;
    }

    @hidden
    table inner_cast {
        key = {
            meta.inner.kind         : ternary;
            meta.inner.dst[127:112] : ternary;
            meta.inner.dst[31:0]    : ternary;
        }
        actions = { set_inner_cast; NoAction; }
        const default_action = NoAction();
        CAST_ENTRIES(set_inner_cast)
        size = 8;
    }

    apply {
        outermost.apply();
        inner.apply();
        cast.apply();
        inner_cast.apply();
    }
}

control Payload(inout headers_t hdr, inout metadata_t meta) {
    FLOW_HASH(flow_hash)

    action take_ecn(bit<2> ecn) {
        meta.traffic_class[1:0] = ecn;
    }

    action ecn_not_capable() FABRIC_DROP(meta, ECN_NOT_CAPABLE)

    // RFC 6040 section 4.2. Constant. In IPv6 the field lies elsewhere than in the others.
    table ecn_decapsulation {
        key = {
            meta.inner.kind         : ternary @name("kind");
            meta.inner_word[5:4]    : ternary @name("inner_ecn_ipv6");
            meta.inner_word[1:0]    : ternary @name("inner_ecn");
            meta.traffic_class[1:0] : ternary @name("outer_ecn");
        }
        actions = { take_ecn; ecn_not_capable; @defaultonly NoAction; }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.IPV6, 0, _, 0) : take_ecn(0);
            (payload_kind_t.IPV6, 0, _, 1) : take_ecn(0);
            (payload_kind_t.IPV6, 0, _, 2) : take_ecn(0);
            (payload_kind_t.IPV6, 0, _, 3) : ecn_not_capable();
            (payload_kind_t.IPV6, 1, _, 0) : take_ecn(1);
            (payload_kind_t.IPV6, 1, _, 1) : take_ecn(1);
            (payload_kind_t.IPV6, 1, _, 2) : take_ecn(1);
            (payload_kind_t.IPV6, 1, _, 3) : take_ecn(3);
            (payload_kind_t.IPV6, 2, _, 0) : take_ecn(2);
            (payload_kind_t.IPV6, 2, _, 1) : take_ecn(1);
            (payload_kind_t.IPV6, 2, _, 2) : take_ecn(2);
            (payload_kind_t.IPV6, 2, _, 3) : take_ecn(3);
            (payload_kind_t.IPV6, 3, _, 0) : take_ecn(3);
            (payload_kind_t.IPV6, 3, _, 1) : take_ecn(3);
            (payload_kind_t.IPV6, 3, _, 2) : take_ecn(3);
            (payload_kind_t.IPV6, 3, _, 3) : take_ecn(3);
            (_, _, 0, 0)                   : take_ecn(0);
            (_, _, 0, 1)                   : take_ecn(0);
            (_, _, 0, 2)                   : take_ecn(0);
            (_, _, 0, 3)                   : ecn_not_capable();
            (_, _, 1, 0)                   : take_ecn(1);
            (_, _, 1, 1)                   : take_ecn(1);
            (_, _, 1, 2)                   : take_ecn(1);
            (_, _, 1, 3)                   : take_ecn(3);
            (_, _, 2, 0)                   : take_ecn(2);
            (_, _, 2, 1)                   : take_ecn(1);
            (_, _, 2, 2)                   : take_ecn(2);
            (_, _, 2, 3)                   : take_ecn(3);
            (_, _, 3, 0)                   : take_ecn(3);
            (_, _, 3, 1)                   : take_ecn(3);
            (_, _, 3, 2)                   : take_ecn(3);
            (_, _, 3, 3)                   : take_ecn(3);
        }
        size = 32;
    }

    apply {
        if (meta.terminated) {
            ecn_decapsulation.apply();
        }
        meta.payload_found = true;
        FLOW_HASH_GET(flow_hash, meta.payload.hash, meta.payload)
    }
}

#endif  // FABRIC_TNA_PAYLOAD_P4_
