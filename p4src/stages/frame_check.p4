// frame_check: a frame of which nothing beyond Ethernet is usable cannot be forwarded, whoever sent it. What is neither IP
// nor a Scale-Up frame names no EID, ARP included: neighbours on access ports are known from the configuration.
#ifndef FABRIC_FRAME_CHECK_P4_
#define FABRIC_FRAME_CHECK_P4_

control FrameCheck(inout headers_t hdr, inout metadata_t meta) {
    action unsound() FABRIC_DROP(meta, MALFORMED)

    // Version 4 without options, and long enough for its own header. Constant.
    table ipv4_header {
        key = {
            hdr.ipv4.version   : ternary @name("version");
            hdr.ipv4.ihl       : ternary @name("ihl");
            hdr.ipv4.total_len : ternary @name("total_len");
        }
        actions = { NoAction; unsound; }
        const default_action = unsound();
        const entries = {
            (4, 5, 0 &&& 0xFFF0)  : unsound();
            (4, 5, 16 &&& 0xFFFC) : unsound();
            (4, 5, _)             : NoAction();
        }
        size = 4;
    }

    apply {
        if (!hdr.ethernet.isValid()) {
            FABRIC_DROP(meta, MALFORMED)
        } else if (meta.checksum_wrong) {
            FABRIC_DROP(meta, BAD_CHECKSUM)
        } else if (hdr.ethernet.ether_type == ETHERTYPE_IPV4) {
            if (hdr.ipv4.isValid()) {
                ipv4_header.apply();
            } else {
                FABRIC_DROP(meta, MALFORMED)
            }
        } else if (hdr.ethernet.ether_type == ETHERTYPE_IPV6) {
            if (!hdr.ipv6.isValid() || hdr.ipv6.version != 6) {
                FABRIC_DROP(meta, MALFORMED)
            }
        } else if (hdr.ethernet.ether_type == ETHERTYPE_SCALE_UP && meta.role == port_role_t.ACCESS) {
            if (!hdr.scale_up.isValid() || hdr.scale_up.version != SCALE_UP_VERSION) {
                FABRIC_DROP(meta, MALFORMED)
            }
        } else {
            FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
        }
    }
}

#endif  // FABRIC_FRAME_CHECK_P4_
