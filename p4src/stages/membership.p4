// membership: what accelerators say about the groups they want (IGMP, MLD) is for the controller. It comes with IP
// options and a TTL of 1, which the stages after this one would drop it for.
#ifndef FABRIC_MEMBERSHIP_P4_
#define FABRIC_MEMBERSHIP_P4_

control Membership(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.role == port_role_t.ACCESS && !meta.from_cpu) {
            if ((hdr.ipv4.isValid() && hdr.ipv4.protocol == IP_PROTOCOL_IGMP)
                || (hdr.ipv6.isValid() && hdr.ipv6.next_header == IP_PROTOCOL_HOP_BY_HOP
                    && hdr.ipv6.dst[127:112] == 0xFF02)) {
                FABRIC_PUNT(meta, MEMBERSHIP)
            }
        }
    }
}

#endif  // FABRIC_MEMBERSHIP_P4_
